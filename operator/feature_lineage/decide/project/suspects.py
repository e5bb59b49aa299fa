"""Views during whose materialization jobs died: which are skipped, and whose state is put back.

A view that ended the process of a job comes last in the next one. After two jobs it is skipped,
until its definition or the runtime changes, or a person asks for it.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from feature_lineage.api.enums import ApplyMode, OperationKind
from feature_lineage.api.operation_status import OperationRecord, OperationStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus, FeatureViewStatus
from feature_lineage.features.snapshot import RegistrySnapshot, digest_of
from feature_lineage.operations.job_report import ViewReport

MOST_KILLED_JOBS: Final = 2
PUT_BACK: Final = frozenset({"AVAILABLE_ONLINE", "GENERATED"})
"""States that Feast changes to MATERIALIZING."""
LEFT: Final = frozenset({"MATERIALIZING", "GENERATED"})
"""States that a dead job leaves, or a failed attempt after it."""
_SKIPPED: Final = "skipped: "


def tried_with(
    spec: FeatureStoreProjectSpec, snapshot: RegistrySnapshot | None
) -> Callable[[str], str | None]:
    """For a view, the digest of what decides whether it fits into a job.

    The digest is None if the registry is not known.
    """
    runtime = {
        "runtime": spec.runtime.as_dict(),
        "schedules": {
            each.name: each.resources.as_dict() for each in spec.schedules if each.resources
        },
    }

    def digest(name: str) -> str | None:
        if snapshot is None:
            return None
        return digest_of({**runtime, "view": snapshot.view(name)})[:16]

    return digest


def noted(
    view: FeatureViewStatus,
    seen: ViewReport,
    digest_for: Callable[[str], str | None],
    *,
    observed: bool = False,
) -> FeatureViewStatus:
    """The view with what a report says about jobs that died while they materialized it.

    Args:
        observed: whether the registry was only read, while no job of ours wrote to it: another
            tool materializes a view in such a state, or died while it did.
    """
    changes: dict[str, Any] = {}
    if seen.killed:
        digest = digest_for(view.name) or view.killed_with
        before = view.killed_jobs or 0 if digest == view.killed_with else 0
        changes |= {"killed_jobs": before + 1, "killed_with": digest}
    elif seen.result == "Succeeded":
        changes |= {"killed_jobs": None, "killed_with": None}
    if seen.left_in in PUT_BACK:
        changes |= {"state_before": view.state_before or seen.left_in}
        changes["not_served"] = None if seen.served else True
    elif view.state_before and seen.state:
        if seen.state in LEFT - {view.state_before}:
            changes["not_served"] = True if seen.state == "GENERATED" else view.not_served
        else:
            changes |= {"state_before": None, "not_served": None}
    elif seen.state and (observed or (view.not_served and seen.state not in LEFT)):
        refused = seen.state in LEFT and not (seen.served and seen.state == "MATERIALIZING")
        changes["not_served"] = refused or None
    return view.model_copy(update=changes) if changes else view


def last_views(status: FeatureStoreProjectStatus) -> tuple[str, ...]:
    """The views that come last in the next materialization."""
    return tuple(sorted(view.name for view in status.feature_views if view.killed_jobs))


def skipped_views(
    status: FeatureStoreProjectStatus, digest_for: Callable[[str], str | None]
) -> dict[str, str]:
    """The views that the next materialization skips, each with why and until when."""
    return {
        view.name: _why(view)
        for view in status.feature_views
        if (view.killed_jobs or 0) >= MOST_KILLED_JOBS
        and digest_for(view.name) in (None, view.killed_with)
    }


def _why(view: FeatureViewStatus) -> str:
    error = view.last_error or "the cause is not known"
    if error.startswith(_SKIPPED):
        return error
    return (
        f"{_SKIPPED}it ended the process of {view.killed_jobs} jobs in a row. Change the view or "
        f"spec.runtime.resources, or request a reconcile. {error}"
    )


def to_put_back(spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus) -> dict[str, str]:
    """The states that the next job puts back; in mode Observe another tool writes the registry."""
    return {view.name: view.state_before or "" for view in left_views(spec, status)}


def left_views(
    spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus
) -> tuple[FeatureViewStatus, ...]:
    """The views whose state is put back."""
    if spec.apply.mode is ApplyMode.OBSERVE:
        return ()
    return tuple(view for view in status.feature_views if view.state_before)


def end_of_left_state(spec: FeatureStoreProjectSpec) -> str:
    """What ends a state that a dead job left, as the end of a message."""
    if spec.apply.mode is ApplyMode.OBSERVE:
        return "in mode Observe nothing is put back: its next successful materialization serves it"
    return "what a job of the project left is put back by its next materialization or apply"


def puts_back(operation: OperationStatus | OperationRecord) -> bool:
    """Whether the operation materializes nothing, and only puts back what dead jobs left."""
    return operation.kind is OperationKind.MATERIALIZE and operation.schedule is None


def tried_again(
    status: FeatureStoreProjectStatus, names: Collection[str] | None
) -> FeatureStoreProjectStatus:
    """The status in which a person asked for these views, or for all: none of them is skipped."""
    fresh = {"killed_jobs": None, "killed_with": None}
    views = tuple(
        view.model_copy(update=fresh)
        if view.killed_jobs and (names is None or view.name in names)
        else view
        for view in status.feature_views
    )
    return status.model_copy(update={"feature_views": views})
