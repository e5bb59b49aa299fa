"""Manifests of the Job of one attempt and of its ConfigMaps."""

import base64
from typing import Any, Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import TerminalError
from feature_lineage.features.snapshot import digest_of
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.names import (
    GUARD_READ_AT,
    POD_DIGEST,
    labels,
    owned_by_project,
    report_names,
    request_name,
    tenant_labels,
)
from feature_lineage.kube.jobs.pod_manifest import (
    CONTAINER,
    HOME,
    YAML_DIR,
    RunnerDefaults,
    pod_spec,
)
from feature_lineage.kube.jobs.pod_security import check_annotations
from feature_lineage.operations.job_report import ExitCode
from feature_lineage.operations.pod_protocol import REQUEST_KEY, PodRequest, pack_pod_request
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.sources.source_kinds import pod_source

START_GRACE_SECONDS: Final = 300
"""Time for scheduling and for the image pull, which the runner's own deadline does not include."""


def job_manifest(
    project: FeatureStoreProject, request: JobRequest, defaults: RunnerDefaults
) -> Object:
    """The Job, suspended.

    Raises:
        TerminalError: `spec.runtime` sets something that a job may not have.
    """
    job, guard = request.operation_id, request.enforced_guard
    template = pod_template(project, job, defaults)
    annotations = {POD_DIGEST: digest_of(template)}
    if guard is not None:
        annotations[GUARD_READ_AT] = guard.read_at.isoformat()
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job,
            "namespace": project.metadata.namespace,
            "labels": labels(project, job),
            "annotations": annotations,
            "ownerReferences": owned_by_project(project),
        },
        "spec": {
            "suspend": True,
            # The project's status counts the attempts, with the cause of each failure.
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(request.deadline_seconds) + START_GRACE_SECONDS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [int(ExitCode.TERMINAL)],
                        },
                    },
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": template,
        },
    }


def pod_template(project: FeatureStoreProject, job: str, defaults: RunnerDefaults) -> Object:
    """The pod template of the Job.

    Raises:
        TerminalError: `spec.runtime` sets something that a job may not have.
    """
    runtime = project.spec.runtime
    check_annotations(runtime.pod_annotations)
    return {
        "metadata": {
            "labels": {**tenant_labels(runtime.pod_labels), **labels(project, job)},
            "annotations": dict(runtime.pod_annotations),
        },
        "spec": pod_spec(project, job, defaults),
    }


def is_outdated(job: Object, project: FeatureStoreProject, defaults: RunnerDefaults) -> bool:
    """Whether the pod template of a new Job would differ from the template of this Job."""
    metadata = job["metadata"]
    made_of = (metadata.get("annotations") or {}).get(POD_DIGEST)
    try:
        today = digest_of(pod_template(project, metadata["name"], defaults))
    except TerminalError:  # `start` reports the error for the next Job
        return True
    return made_of not in (None, today)


def request_manifest(
    project: FeatureStoreProject, request: JobRequest, owner: list[Object]
) -> Object:
    """The ConfigMap with the pod's request.

    Raises:
        TerminalError: the request is too large for a ConfigMap.
    """
    packed = pack_pod_request(pod_request(project, request))
    return {
        **_config_map(project, request.operation_id, request_name(request.operation_id), owner),
        "immutable": True,
        "binaryData": {REQUEST_KEY: base64.b64encode(packed).decode()},
    }


def report_manifests(project: FeatureStoreProject, job: str, owner: list[Object]) -> list[Object]:
    """The ConfigMaps for the report, still empty."""
    return [_config_map(project, job, name, owner) for name in report_names(job)]


def owned_by_job(job: Object) -> list[Object]:
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]


def pod_request(project: FeatureStoreProject, request: JobRequest) -> PodRequest:
    """The pod's request: it has the paths of the mounts, and not their contents.

    Raises:
        TerminalError: a pod cannot use a source of this kind.
    """
    replacement = project.spec.feature_store_yaml
    return PodRequest(
        **dict(pod_source(project.spec.source)),
        request=request.model_copy(
            update={"feature_store_yaml": None, "ephemeral": ("/", HOME, "/tmp")}  # noqa: S108
        ),
        feature_store_yaml=f"{YAML_DIR}/{replacement.ref.key}" if replacement else "",
        namespace=project.metadata.namespace,
        reports=report_names(request.operation_id),
    )


def _config_map(
    project: FeatureStoreProject, job: str, name: str, owner: list[Object]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": project.metadata.namespace,
            "labels": labels(project, job),
            "ownerReferences": owner,
        },
    }
