"""Compares what Feast stored in an apply with what the repository declares."""

from feature_lineage.errors import TransientError
from feature_lineage.features.delta import ObjectDelta
from feature_lineage.features.field_differences import differences
from feature_lineage.features.views import pinned_version
from feature_lineage.operations.doubts import Doubt
from feature_lineage.reasons import Reason


def storage_warnings(differing: tuple[ObjectDelta, ...]) -> tuple[str, ...]:
    """Warn of objects that Feast stored differently, such as views pinned to an old version.

    Raises:
        TransientError: an applied object is missing, or a deleted object is still in the registry.
    """
    for item in differing:
        if item.was is None or item.now is None:
            state = "still" if item.was is None else "not"
            raise TransientError(
                f"{item.kind.replace('_', ' ')} {item.name!r} is {state} in the registry after the "
                "apply: another writer changed it, or the repo's code interferes with Feast",
                reason=Reason.JOB_FAILED,
            )
    return tuple(map(_stored_differently, differing))


def _stored_differently(item: ObjectDelta) -> str:
    declared, stored = item.was or {}, item.now or {}
    version = pinned_version(declared)
    fact = (
        f"{Doubt.STORED_DIFFERENTLY}: {item.kind.replace('_', ' ')} {item.name!r}: Feast stores "
        f"another definition than the repository declares ({differences(declared, stored)} there)"
    )
    if version:
        return (
            f"{fact}, because the view is pinned to {version}; remove the version from the view to "
            f"apply the declared definition, or declare what {version} has"
        )
    return (
        f"{fact}, because Feast does not keep this change of an object; declare what is stored, or "
        "remove the object, apply, then add it again"
    )
