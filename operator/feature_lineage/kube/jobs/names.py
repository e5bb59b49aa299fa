"""Names, labels and owners of the objects that the operator creates for a project."""

from collections.abc import Mapping
from typing import Final

from feature_lineage.api import GROUP, FeatureStoreProject
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import MANAGED_BY, MANAGER, OPERATION_LABEL, PROJECT_LABEL, PROJECTS
from feature_lineage.operations.pod_protocol import PIECES


def access_name(project: FeatureStoreProject) -> str:
    """Name of the project's ServiceAccount, Role and RoleBinding."""
    return f"feature-lineage-runner-{project.metadata.name}"


def timeline_name(project: str) -> str:
    """Name of the ConfigMap with the timeline of a project's registry."""
    return f"feature-lineage-registry-{project}"


def snapshot_name(project: str, digest: str, piece: int) -> str:
    """Name of the ConfigMap with one piece of a snapshot."""
    return f"feature-lineage-registry-{project}-{digest[:16]}-{piece}"


def probe_name(project: str) -> str:
    """Name of the ConfigMap with the record of a project's probes."""
    return f"feature-lineage-probe-{project}"


def report_names(job: str) -> tuple[str, ...]:
    """Names of the ConfigMaps for the pieces of a job's report."""
    return tuple(f"{job}-report-{number}" for number in range(PIECES))


def request_name(job: str) -> str:
    """Name of the ConfigMap with the request of a job."""
    return f"{job}-request"


SELECTED_BY: Final = ("app.kubernetes.io/name", "app.kubernetes.io/instance")
"""Labels by which the Service and the policies of the operator select its pods."""

POD_DIGEST: Final = f"{GROUP}/pod-digest"
"""Annotation of a Job: digest of its pod template."""

CANCELLED: Final = f"{GROUP}/taken-back"
"""Annotation of a cancelled Job: ``reason: message`` of the cause."""


GUARD_READ_AT: Final = f"{GROUP}/guard-read-at"
"""Annotation of a Job whose guard may become too old: when its facts were read."""


def labels(project: FeatureStoreProject, job: str = "") -> dict[str, str]:
    """Labels of an object of a project, or of one of its jobs."""
    found = {MANAGED_BY: MANAGER, PROJECT_LABEL: project.metadata.name}
    return {**found, OPERATION_LABEL: job} if job else found


def tenant_labels(wanted: Mapping[str, str]) -> dict[str, str]:
    """The tenant's labels of a pod, without those by which Services and policies select others."""
    return {key: value for key, value in wanted.items() if key not in SELECTED_BY}


def owned_by_project(project: FeatureStoreProject) -> list[Object]:
    """Owner references for an object that is deleted with the project.

    The object does not block the deletion: `blockOwnerDeletion` needs one more permission.
    """
    return [
        {
            "apiVersion": PROJECTS.api_version,
            "kind": PROJECTS.kind,
            "name": project.metadata.name,
            "uid": project.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
