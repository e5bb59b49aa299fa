"""The results of kstatus, Argo CD and Flux for an object in each phase, in this order."""

from typing import Final

from tests.cluster.gitops.judging import judge

from feature_lineage.kube.api_client import Object

WORKING: Final = ("InProgress", "Progressing", "InProgress")
READY: Final = ("Current", "Healthy", "Current")
FAILED: Final = ("Failed", "Degraded", "Failed")
GOING: Final = ("Terminating", "Progressing", "InProgress")
STUCK: Final = ("Terminating", "Progressing", "Failed")


def words(body: Object) -> tuple[str, str, str]:
    """Return their results for an object on the API server."""
    (judgement,) = judge([body])
    return judgement.words
