"""Whether the feature server of a project may be asked."""

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.observed import Failure
from feature_lineage.errors import HostNotAllowed
from feature_lineage.ports import Ports


def refused_server(ports: Ports, project: FeatureStoreProject) -> Failure | None:
    """Why the platform does not allow its address; None if it does, or if there is none."""
    url = project.spec.feature_server
    if not url or ports.allows_feature_server(url):
        return None
    return Failure.of(
        HostNotAllowed(
            f"spec.probe.featureServerUrl {url} is not among the platform's "
            "allowedFeatureServerUrls; use one of them, or ask the team that runs the operator"
        )
    )
