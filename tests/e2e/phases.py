"""What kstatus, Argo CD and Flux make of an object in each phase of its life, in this order."""

from typing import Final

from tests.cluster.gitops.judging import judge

from feature_lineage.kube.api_client import Object

WORKING: Final = ("InProgress", "Progressing", "InProgress")
READY: Final = ("Current", "Healthy", "Current")
FAILED: Final = ("Failed", "Degraded", "Failed")
GOING: Final = ("Terminating", "Progressing", "InProgress")
STUCK: Final = ("Terminating", "Progressing", "Failed")


def words(body: Object) -> tuple[str, str, str]:
    """What they say of an object as the API server has it."""
    (judgement,) = judge([body])
    return judgement.words
