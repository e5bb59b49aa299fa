"""Decides which materialization is due: ticks of schedules and chunks of backfills."""

from dataclasses import replace
from datetime import datetime

from feature_lineage.api.enums import ApplyMode, BackfillState, OperationKind
from feature_lineage.api.operation_status import OperationView
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.api.schedules import Schedule
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.due_operation import DecisionInput, DueOperation
from feature_lineage.decide.project.suspects import left_views
from feature_lineage.features.snapshot import digest_of
from feature_lineage.operations import backfills, schedules
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import MaterializeRequest


def materialization_due(given: DecisionInput) -> DueOperation | None:
    """A tick of a schedule; else what a dead job left, which the job of a tick puts back, too."""
    return tick_due(given) or put_back_due(given)


def put_back_due(given: DecisionInput) -> DueOperation | None:
    """A job without views, once for the same states that dead jobs left."""
    left, revision = left_views(given.observed.resource.spec, given.status), _in_effect(given)
    if not left or revision is None:
        return None
    inputs = digest_of([[view.name, view.state_before] for view in left])
    if given.status.put_back_tried == inputs:
        return None  # it could not put them back: the next job that writes the registry tries again
    return DueOperation(OperationKind.MATERIALIZE, given.observed.now, inputs, revision)


def tick_due(given: DecisionInput) -> DueOperation | None:
    """The newest missed tick of each schedule, the most overdue schedule first."""
    revision = _in_effect(given)
    if revision is None:
        return None
    observed = given.observed
    due = []
    for schedule in observed.resource.spec.schedules:
        tick = schedule_state(schedule, given.status, observed).tick
        if tick is not None:
            due.append((tick, schedule.name, schedule))
    if not due:
        return None
    tick, name, schedule = min(due)
    return _materialization(
        schedules.materialization(schedule, tick, now=observed.now),
        DueOperation(OperationKind.MATERIALIZE, tick, revision=revision, schedule=name),
    )


def schedule_state(
    schedule: Schedule, status: FeatureStoreProjectStatus, observed: ObservedProject
) -> schedules.Due:
    """The last, the due and the next tick of a schedule.

    Ticks count from the creation of the resource, or from the addition of the schedule.
    """
    last = next((entry.last for entry in status.schedules if entry.name == schedule.name), None)
    created = observed.resource.metadata.creation_timestamp
    return schedules.due(schedule, last=last, since=created or observed.now, now=observed.now)


def chunk_due(given: DecisionInput) -> DueOperation | None:
    """The next chunk of the first unfinished backfill."""
    revision = _in_effect(given)
    if revision is None:
        return None
    observed = given.observed
    states = {state.name: state for state in given.status.backfills}
    for spec in observed.resource.spec.backfills:
        state = states.get(spec.name)
        if state is None or state.state in (BackfillState.SUCCEEDED, BackfillState.FAILED):
            continue
        chunk = backfills.next_chunk(spec, state.completed_through, now=observed.now)
        if chunk is None:
            continue
        return _materialization(
            backfills.materialization(spec, chunk),
            DueOperation(
                OperationKind.BACKFILL,
                _end_of_work_before(given.status) or observed.now,
                inputs_digest=state.digest or "",
                revision=revision,
                backfill=spec.name,
            ),
        )
    return None


def _end_of_work_before(status: FeatureStoreProjectStatus) -> datetime | None:
    """The end of the newest operation in the lane: before, no chunk could start."""
    lane = KINDS[OperationKind.BACKFILL].lane
    ends = (op.finished_at for op in status.operations if KINDS[op.kind].lane is lane)
    return next(ends, None)


def _in_effect(given: DecisionInput) -> str | None:
    """The revision of materializations; None if no revision is in effect."""
    observed, status = given.observed, given.status
    if observed.deleted or status.registry is None or status.registry.digest is None:
        return None
    if status.applied is not None:
        return status.applied.revision or ""
    if observed.resource.spec.apply.mode is ApplyMode.OBSERVE:
        return observed.source.revision if isinstance(observed.source, SourceFacts) else ""
    return None


def _materialization(request: MaterializeRequest, due: DueOperation) -> DueOperation:
    window_end = request.all_views_end
    window_start = request.all_views_start
    if request.views:
        window_start, window_end = request.views[0].start, request.views[0].end
    return replace(
        due,
        window_start=window_start,
        window_end=window_end,
        views=tuple(
            OperationView(
                name=view.name, start=view.start, end=view.end, incremental=view.start is None
            )
            for view in request.views
        ),
    )
