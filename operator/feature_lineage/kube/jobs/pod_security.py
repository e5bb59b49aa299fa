"""What `spec.runtime` may set of a pod's isolation: nothing outside of the standard `restricted`.

The standard is Kubernetes' Pod Security Standard. Whatever passes here, an API server that enforces
`restricted` in the namespace admits. It is checked here because not every namespace enforces it.
Volumes and fields that the standard refuses altogether are not in the schema: see `api/pod_shapes`.
"""

from collections.abc import Mapping
from typing import Any, Final

from feature_lineage.errors import TerminalError
from feature_lineage.kube.api_client import Object
from feature_lineage.reasons import Reason

USER: Final = 65532

SELINUX_TYPES: Final = (
    *("container_engine_t", "container_init_t", "container_kvm_t", "container_t"),
)
"""`spc_t`, for example, is not confined."""
APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
"""Prefix of the annotation that selects a profile for a container."""


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
    profile = wanted.get("seccompProfile") or {"type": "RuntimeDefault"}
    if profile.get("type") not in ("RuntimeDefault", "Localhost"):
        raise refused("securityContext: seccompProfile must be RuntimeDefault or Localhost")
    _check_selinux(wanted.get("seLinuxOptions") or {})
    if wanted.get("runAsUser") == 0 or wanted.get("runAsNonRoot") is False:
        raise refused("securityContext: jobs do not run as root; choose another runAsUser")
    defaults = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    return {**defaults, **wanted, "runAsNonRoot": True, "seccompProfile": profile}


def refused(what: str) -> TerminalError:
    """The error for a field of ``spec.runtime``."""
    return TerminalError(f"spec.runtime.{what}", reason=Reason.INVALID_MANIFEST)


def _check_selinux(options: Mapping[str, str]) -> None:
    """A type of containers, not that of a privileged process, and no other user or role."""
    if options.get("user") or options.get("role"):
        raise refused("securityContext: seLinuxOptions.user and .role are not allowed; remove them")
    if options.get("type", "") not in ("", *SELINUX_TYPES):
        allowed = ", ".join(SELINUX_TYPES)
        raise refused(f"securityContext: seLinuxOptions.type must be one of {allowed}")
