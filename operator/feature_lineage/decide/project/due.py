"""Which operation is due: every reason for a project to start a job, one check each.

One writing job runs per project at a time; `operations.queue` says which of those due goes first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from feature_lineage.api.enums import (
    ApplyMode,
    BackfillState,
    DeletionPolicy,
    OperationKind,
    Result,
)
from feature_lineage.api.project_status import FeatureStoreProjectStatus, OperationView
from feature_lineage.api.schedules import Schedule
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.project.job_request import own_registry
from feature_lineage.decide.project.preconditions import blocked_by
from feature_lineage.decide.project.queue import Candidate as QueueCandidate
from feature_lineage.decide.project.queue import Work, choose_next
from feature_lineage.decide.values import ObservedProject
from feature_lineage.operations import backfills, schedules
from feature_lineage.operations.protection import guard_digest, protected_versions
from feature_lineage.operations.protocol import MaterializeRequest


@dataclass(frozen=True)
class Candidate:
    """An operation that is due.

    Attributes:
        work: its place in the queue.
        kind: what it does.
        since: since when it could have started: for schedules, the tick.
        inputs_digest: of everything it depends on.
        revision: what it works on.
        window_start, window_end: of a materialization; no start means incremental.
        views: to materialize; empty means every materializable view.
    """

    work: Work
    kind: OperationKind
    since: datetime
    inputs_digest: str = ""
    revision: str = ""
    schedule: str | None = None
    backfill: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    views: tuple[OperationView, ...] = ()


@dataclass(frozen=True)
class DecisionInput:
    """What the checks look at: the observation, the status so far, and the inputs of an apply."""

    observed: ObservedProject
    status: FeatureStoreProjectStatus
    inputs_digest: str


MATERIALIZE: Final = OperationKind.MATERIALIZE

Check = Callable[[DecisionInput], Candidate | None]


def _deletion(situation: DecisionInput) -> Candidate | None:
    """A deleted project whose policy says so takes its Feast objects with it."""
    observed, status = situation.observed, situation.status
    if not observed.deleted or observed.resource.spec.deletion_policy is not DeletionPolicy.DELETE:
        return None
    if not own_registry(observed.resource.spec, status):
        return None  # what was only looked at is somebody else's
    done = next((op for op in status.operations if op.kind is OperationKind.DELETE), None)
    if done is not None and done.inputs_digest == situation.inputs_digest:
        unblocked = done.result is Result.BLOCKED and not _guarded(observed)
        if done.result is Result.SUCCEEDED or not (unblocked or observed.requested):
            return None
    revision = status.applied.revision if status.applied else None
    since = observed.resource.metadata.deletion_timestamp or observed.now
    return Candidate(
        Work.DELETE, OperationKind.DELETE, since, situation.inputs_digest, revision or ""
    )


def _apply(situation: DecisionInput) -> Candidate | None:
    """New inputs, or a block whose grounds have moved."""
    observed, status, spec = situation.observed, situation.status, situation.observed.resource.spec
    if observed.deleted or spec.apply.mode is ApplyMode.OBSERVE:
        return None
    if not isinstance(observed.source, SourceFacts):
        return None
    last = status.last_apply
    if last is not None and last.inputs_digest == situation.inputs_digest:
        unblocked = last.result is Result.BLOCKED and last.guard_digest != _guard(observed)
        again = last.result is Result.FAILED and observed.requested
        if not unblocked and not again:
            return None
    kind = OperationKind.PLAN if spec.apply.mode is ApplyMode.PLAN_ONLY else OperationKind.APPLY
    since = status.source.observed_at if status.source else None
    return Candidate(
        Work.APPLY,
        kind,
        since or observed.now,
        situation.inputs_digest,
        observed.source.revision,
    )


def _guarded(observed: ObservedProject) -> bool:
    guard = observed.models.guard if observed.models else None
    return guard is not None and bool(protected_versions(guard))


def _guard(observed: ObservedProject) -> str | None:
    if observed.models is None or observed.models.guard is None:
        return None
    return guard_digest(observed.models.guard)


def _in_effect(situation: DecisionInput) -> str | None:
    """The revision materializations run at; None while nothing is in effect."""
    observed, status = situation.observed, situation.status
    if observed.deleted or status.registry is None or status.registry.digest is None:
        return None
    if status.applied is not None:
        return status.applied.revision or ""
    if observed.resource.spec.apply.mode is ApplyMode.OBSERVE:
        return observed.source.revision if isinstance(observed.source, SourceFacts) else ""
    return None


def _schedule(situation: DecisionInput) -> Candidate | None:
    """The newest missed tick of each schedule, the most overdue schedule first."""
    revision = _in_effect(situation)
    if revision is None:
        return None
    observed = situation.observed
    due = []
    for schedule in observed.resource.spec.schedules:
        tick = schedule_state(schedule, situation.status, observed).tick
        if tick is not None:
            due.append((tick, schedule.name, schedule))
    if not due:
        return None
    tick, name, schedule = min(due)
    return _materialization(
        schedules.materialization(schedule, tick, now=observed.now),
        Candidate(Work.SCHEDULED, MATERIALIZE, tick, revision=revision, schedule=name),
    )


def schedule_state(
    schedule: Schedule, status: FeatureStoreProjectStatus, observed: ObservedProject
) -> schedules.Due:
    """When a schedule ran last, is due now, and comes next.

    Ticks count from the resource's creation, or from when the schedule joined it.
    """
    last = next((entry.last for entry in status.schedules if entry.name == schedule.name), None)
    created = observed.resource.metadata.creation_timestamp
    return schedules.due(schedule, last=last, since=created or observed.now, now=observed.now)


def _backfill(situation: DecisionInput) -> Candidate | None:
    """The next chunk of the first backfill that is not done."""
    revision = _in_effect(situation)
    if revision is None:
        return None
    observed = situation.observed
    states = {state.name: state for state in situation.status.backfills}
    for spec in observed.resource.spec.backfills:
        state = states.get(spec.name)
        if state is None or state.state in (BackfillState.SUCCEEDED, BackfillState.FAILED):
            continue
        chunk = backfills.next_chunk(spec, state.completed_through, now=observed.now)
        if chunk is None:
            continue
        since = situation.status.operations[0].finished_at if situation.status.operations else None
        return _materialization(
            backfills.materialization(spec, chunk),
            Candidate(
                Work.BACKFILL,
                OperationKind.BACKFILL,
                since or observed.now,
                inputs_digest=state.digest or "",
                revision=revision,
                backfill=spec.name,
            ),
        )
    return None


def _materialization(request: MaterializeRequest, candidate: Candidate) -> Candidate:
    window_end = request.all_views_end
    window_start = request.all_views_start
    if request.views:
        window_start, window_end = request.views[0].start, request.views[0].end
    return replace(
        candidate,
        window_start=window_start,
        window_end=window_end,
        views=tuple(
            OperationView(
                name=view.name, start=view.start, end=view.end, incremental=view.start is None
            )
            for view in request.views
        ),
    )


def _observe(situation: DecisionInput) -> Candidate | None:
    """Somebody else writes the registry: look at it again when the last look is old."""
    observed, status = situation.observed, situation.status
    interval = observed.resource.spec.registry_poll_interval
    if observed.deleted or interval is None:
        return None
    if isinstance(observed.source, SourceFacts) is False and observed.source is not None:
        return None
    seen = status.registry.observed_at if status.registry else None
    last = last_looked(status)
    if last is not None and observed.now < last + interval and not observed.requested:
        return None
    if seen is None and observed.resource.spec.apply.mode is not ApplyMode.OBSERVE:
        return None
    revision = observed.source.revision if isinstance(observed.source, SourceFacts) else ""
    since = observed.now if last is None else last + interval
    return Candidate(Work.OBSERVE, OperationKind.OBSERVE, since, revision=revision)


def last_looked(status: FeatureStoreProjectStatus) -> datetime | None:
    """When the registry was last read, or that was last tried in vain."""
    looked = next((op for op in status.operations if op.kind is OperationKind.OBSERVE), None)
    seen = status.registry.observed_at if status.registry else None
    return max((at for at in (seen, looked and looked.finished_at) if at), default=None)


CHAIN: Final[tuple[Check, ...]] = (_deletion, _apply, _schedule, _backfill, _observe)


def next_operation(situation: DecisionInput) -> Candidate | None:
    """The one operation to start now, or None where none is due or may start."""
    observed = situation.observed
    due = {
        QueueCandidate(candidate.work, str(candidate.kind), candidate.since): candidate
        for check in CHAIN
        if (candidate := check(situation)) is not None
        and blocked_by(observed, candidate.kind) is None
    }
    chosen = choose_next(due, running=False, now=observed.now)
    return None if chosen is None else due[chosen]
