"""The pod spec of a job: the fields of `spec.runtime`, with a minimum of security.

The tenant may set every field of `spec.runtime`; fields that would weaken the isolation of the job
are overwritten or refused. Secrets are mounted by reference: the operator neither reads nor copies
them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any, Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.names import access_name, request_name
from feature_lineage.kube.jobs.pod_security import pod_security, refused
from feature_lineage.operations.pod_protocol import REQUEST_KEY
from feature_lineage.sources.pod_mounts import MOUNTS, key_volume
from feature_lineage.sources.source_kinds import mounts

CONTAINER: Final = "runner"
HOME: Final = "/job"
REQUEST_DIR: Final = f"{MOUNTS}/request"
YAML_DIR: Final = f"{MOUNTS}/feature-store"
VOLUME_PREFIX: Final = "feature-lineage-"
"""Prefix of the names of the operator's volumes."""


@dataclass(frozen=True, slots=True)
class RunnerDefaults:
    """The platform's defaults for jobs.

    Attributes:
        image: image of the runner.
        image_pull_policy: as Kubernetes spells it.
        image_pull_secrets: names of Secrets in each project's namespace.
        resources: of jobs whose project sets none.
    """

    image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)


def pod_spec(project: FeatureStoreProject, job: str, defaults: RunnerDefaults) -> Object:
    """The pod spec of a job, by the pod security standard ``restricted``.

    Raises:
        TerminalError: `spec.runtime` sets something that a job may not have.
    """
    runtime = project.spec.runtime
    mounted = _mounts(project, job)
    pull_secrets = [{"name": name} for name in defaults.image_pull_secrets]
    pull_secrets += [ref.as_dict() for ref in runtime.image_pull_secrets]
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": runtime.service_account_name or access_name(project),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": pod_security(runtime.security_context or {}),
        "imagePullSecrets": pull_secrets,
        "nodeSelector": dict(runtime.node_selector),
        "tolerations": [toleration.as_dict() for toleration in runtime.tolerations],
        "affinity": runtime.affinity,
        "priorityClassName": runtime.priority_class_name,
        "containers": [
            {
                "name": CONTAINER,
                "image": runtime.image or defaults.image,
                "imagePullPolicy": defaults.image_pull_policy,
                "command": ["python", "-P", "-m", "feature_lineage.runner.pod"],
                "args": ["--request", f"{REQUEST_DIR}/{REQUEST_KEY}"],
                "workingDir": HOME,
                "env": _environment(project),
                "envFrom": [source.as_dict() for source in runtime.env_from],
                "resources": _resources(project, job, defaults),
                "volumeMounts": [mount for _, mount in mounted]
                + [mount.as_dict() for mount in _tenant_mounts(project)],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [volume for volume, _ in mounted] + _tenant_volumes(project),
    }
    return {name: value for name, value in pod.items() if value not in (None, [], {})}


def _mounts(project: FeatureStoreProject, job: str) -> list[tuple[Object, Object]]:
    """The operator's volumes, each with its mount."""
    found = [
        _volume("job", {"emptyDir": {}}, HOME, writable=True),
        _volume("tmp", {"emptyDir": {}}, "/tmp", writable=True),  # noqa: S108
        _volume("request", {"configMap": {"name": request_name(job)}}, REQUEST_DIR),
    ]
    found += [_volume(each.name, each.volume, each.path) for each in mounts(project.spec.source)]
    if (replacement := project.spec.feature_store_yaml) is not None:
        found.append(_volume("feature-store", key_volume(replacement), YAML_DIR))
    return found


def _volume(
    name: str, source: Mapping[str, Any], path: str, *, writable: bool = False
) -> tuple[Object, Object]:
    name = VOLUME_PREFIX + name
    mount = {"name": name, "mountPath": path, **({} if writable else {"readOnly": True})}
    return {"name": name, **source}, mount


def _environment(project: FeatureStoreProject) -> list[Object]:
    variables = [variable.as_dict() for variable in project.spec.runtime.env]
    if any(variable["name"] == "HOME" for variable in variables):
        return variables
    return [{"name": "HOME", "value": f"{HOME}/home"}, *variables]


def _resources(project: FeatureStoreProject, job: str, defaults: RunnerDefaults) -> Object:
    """Resources of the operation's schedule, else of the project, else of the platform."""
    schedules = {each.schedule for each in project.status.in_flight if each.job == job}
    scheduled = (each.resources for each in project.spec.schedules if each.name in schedules)
    wanted = next(scheduled, None) or project.spec.runtime.resources
    return wanted.as_dict() if wanted is not None else dict(defaults.resources)


def _tenant_volumes(project: FeatureStoreProject) -> list[Object]:
    volumes = [volume.as_dict() for volume in project.spec.runtime.volumes]
    for volume in volumes:
        name = volume["name"]
        if name.startswith(VOLUME_PREFIX):
            raise refused(f"volumes: the name {name} is reserved; choose another name")
    return volumes


def _tenant_mounts(project: FeatureStoreProject) -> Iterable[Any]:
    for mount in project.spec.runtime.volume_mounts:
        path = PurePosixPath(normpath(mount.mount_path))
        if mount.name.startswith(VOLUME_PREFIX):
            raise refused(
                f"volumeMounts: {path}: the volume {mount.name} is not yours; mount another one"
            )
        reserved = path.is_relative_to(MOUNTS) or path.is_relative_to(f"{HOME}/repo")
        if reserved or str(path) in ("/", HOME, "/tmp", "/etc"):  # noqa: S108
            raise refused(f"volumeMounts: {path} is reserved; mount {mount.name} somewhere else")
        yield mount
