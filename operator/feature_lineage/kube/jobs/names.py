"""Names and labels of what the operator makes in a project's namespace."""

from typing import Final

from feature_lineage.api import GROUP, FeatureStoreProject
from feature_lineage.kube.client import Object
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


def report_names(job: str) -> tuple[str, ...]:
    """Names of the ConfigMaps that take the report of a job."""
    return tuple(f"{job}-report-{number}" for number in range(PIECES))


def request_name(job: str) -> str:
    """Name of the ConfigMap with the request of a job."""
    return f"{job}-request"


POD_DIGEST: Final = f"{GROUP}/pod-digest"
"""Annotation of a Job: what its pod was made of; of another digest, it would be made anew."""

TAKEN_BACK: Final = f"{GROUP}/taken-back"
"""Annotation of a Job that was ended before it began: the reason and what it waited for."""


def labels(project: FeatureStoreProject, job: str = "") -> dict[str, str]:
    """Labels of what belongs to a project, or to one of its jobs."""
    found = {MANAGED_BY: MANAGER, PROJECT_LABEL: project.metadata.name}
    return {**found, OPERATION_LABEL: job} if job else found


def owned_by_project(project: FeatureStoreProject) -> list[Object]:
    """Goes with the project. It does not block its deletion: that would take a permission more."""
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
