"""What an apply records in a registry: its resource, and the services that it protects.

Each record is a tag of Feast's `Project` object, so only somebody with the credentials of the
registry can write it. It is written in the same transaction as the objects. `feast apply` by a
person writes the `Project` anew, and so removes the records.
"""

from typing import Any, Final

from feature_lineage.errors import TerminalError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason

OWNER_TAG: Final = "featurelineage.io/owner"
SERVICES_TAG: Final = "featurelineage.io/protected-services"


def owner_of(registry: Any, project: str) -> str:
    """Id of the resource that applied the project to this ``Registry`` message; "" if none did."""
    return _record(registry, project, OWNER_TAG)


def services_record_of(registry: Any, project: str) -> str | None:
    """The globs of protected services with which the project was applied; "" if there were none.

    None if no resource applied it.
    """
    if not owner_of(registry, project):
        return None
    return _record(registry, project, SERVICES_TAG)


def _record(registry: Any, project: str, tag: str) -> str:
    for message in registry.projects:
        if message.spec.name == project:
            return str(message.spec.tags.get(tag, ""))
    return ""


def is_owned_by_other(request: JobRequest, recorded: str, current: RegistrySnapshot) -> bool:
    """Whether the job's resource may not change the project in this registry.

    A resource that was refused does not become the owner because the record is gone.

    Args:
        recorded: the owner record.
        current: the project as it is in the registry.
    """
    if not request.owner:
        return False
    if recorded:
        return recorded != request.owner
    return request.refused and bool(current.objects)


def check_owner(request: JobRequest, recorded: str, current: RegistrySnapshot, step: str) -> None:
    """Refuse to change a project that another resource applied.

    Args:
        recorded, current: as in `is_owned_by_other`.
        step: what the user can do.

    Raises:
        TerminalError: another resource owns the project in this registry.
    """
    if is_owned_by_other(request, recorded, current):
        raise TerminalError(
            f"another resource applied project {request.project!r} to this registry; "
            f"the job changed nothing; {step}",
            reason=Reason.PROJECT_OWNED_BY_OTHER,
        )
