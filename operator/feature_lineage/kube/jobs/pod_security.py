"""What `spec.runtime` may set of a pod's isolation: nothing outside of the standard `restricted`.

The standard is Kubernetes' Pod Security Standard. Whatever passes here, an API server that enforces
`restricted` in the namespace admits. It is checked here because not every namespace enforces it.
"""

from collections.abc import Mapping
from typing import Any, Final

from feature_lineage.errors import TerminalError
from feature_lineage.kube.api_client import Object
from feature_lineage.reasons import Reason

USER: Final = 65532

ALLOWED_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
ALLOWED_POD_SECURITY: Final = frozenset(
    {
        "fsGroup",
        "fsGroupChangePolicy",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "seLinuxChangePolicy",
        "seLinuxOptions",
        "seccompProfile",
        "supplementalGroups",
        "supplementalGroupsPolicy",
    }
)
SELINUX_OPTIONS: Final = ("level", "type")
"""Without `user` and `role`, which the standard refuses."""
SELINUX_TYPES: Final = (
    *("container_engine_t", "container_init_t", "container_kvm_t", "container_t"),
)
"""`spc_t`, for example, is not confined."""
APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
"""Prefix of the annotation that selects a profile for a container."""


def check_volume(volume: Mapping[str, Any]) -> None:
    """Check the type of a tenant's volume.

    Raises:
        TerminalError: a pod of the standard has no volumes of this type.
    """
    for source in sorted(volume.keys() - {"name"}):
        if source not in ALLOWED_VOLUMES:
            allowed = ", ".join(sorted(ALLOWED_VOLUMES))
            raise refused(f"volumes: {volume['name']} is a {source}; allowed are {allowed}")


def check_annotations(annotations: Mapping[str, str]) -> None:
    """Check the annotations of the pod.

    Raises:
        TerminalError: one removes the AppArmor profile.
    """
    for name, profile in sorted(annotations.items()):
        confined = profile == "runtime/default" or profile.startswith("localhost/")
        if name.startswith(APP_ARMOR) and not confined:
            raise refused(f"podAnnotations: {name} must be runtime/default or localhost/<profile>")


def pod_security(wanted: Mapping[str, Any]) -> Object:
    """The securityContext: the tenant may choose another user than the default, but not root.

    Raises:
        TerminalError: a field weakens the isolation.
    """
    if unknown := sorted(wanted.keys() - ALLOWED_POD_SECURITY):
        allowed = ", ".join(sorted(ALLOWED_POD_SECURITY))
        raise refused(f"securityContext: {', '.join(unknown)}; allowed are {allowed}")
    profile = wanted.get("seccompProfile") or {"type": "RuntimeDefault"}
    if not isinstance(profile, dict) or profile.get("type") not in ("RuntimeDefault", "Localhost"):
        raise refused("securityContext: seccompProfile must be RuntimeDefault or Localhost")
    _check_selinux(wanted.get("seLinuxOptions"))
    if wanted.get("runAsUser") == 0 or wanted.get("runAsNonRoot") is False:
        raise refused("securityContext: jobs do not run as root; choose another runAsUser")
    defaults = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    return {**defaults, **wanted, "runAsNonRoot": True, "seccompProfile": profile}


def refused(what: str) -> TerminalError:
    """The error for a field of ``spec.runtime``."""
    return TerminalError(f"spec.runtime.{what}", reason=Reason.INVALID_MANIFEST)


def _check_selinux(options: object) -> None:
    """A type of containers, not that of a privileged process, and no other user or role."""
    if options is None:
        return
    if not isinstance(options, dict):
        raise refused("securityContext: seLinuxOptions must be an object")
    if unknown := sorted(options.keys() - set(SELINUX_OPTIONS)):
        allowed = " and ".join(SELINUX_OPTIONS)
        fields = ", ".join(f"seLinuxOptions.{name}" for name in unknown)
        raise refused(f"securityContext: {fields}; allowed are {allowed}")
    if options.get("type", "") not in ("", *SELINUX_TYPES):
        allowed = ", ".join(SELINUX_TYPES)
        raise refused(f"securityContext: seLinuxOptions.type must be one of {allowed}")
