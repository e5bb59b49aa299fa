"""`decide` for a FeatureStoreProject: a pure function from an observation to a decision.

The steps are in order: follow the jobs in flight, start due operations, describe the state. Each
step takes a value and returns a new one.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.enums import BackfillState, DeletionPolicy, OperationKind, Result
from feature_lineage.api.project_status import (
    BackfillStatus,
    FeatureStoreProjectStatus,
    ScheduleStatus,
    SourceStatus,
)
from feature_lineage.decide.budget import KEPT_BACKFILLS
from feature_lineage.decide.decision import Decision, Record, RecordAliases
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.decide.project.access_events import access_lost
from feature_lineage.decide.project.bounded import bounded
from feature_lineage.decide.project.conditions import conditions_of
from feature_lineage.decide.project.due import last_observed
from feature_lineage.decide.project.history import listed, records_operations, with_aliases
from feature_lineage.decide.project.job_request import inputs_digest, own_registry
from feature_lineage.decide.project.lifecycle import follow_job
from feature_lineage.decide.project.materialization_due import schedule_state
from feature_lineage.decide.project.probing import next_probe, without_probe
from feature_lineage.decide.project.starting import start_due
from feature_lineage.decide.project.step import Step, into_lanes
from feature_lineage.decide.project.suspects import tried_again
from feature_lineage.decide.project.views import counts, judge_views, with_freshness
from feature_lineage.operations import backfills
from feature_lineage.operations.kinds import Lane

WAITING: Final = timedelta(minutes=1)


def decide(observed: ObservedProject) -> Decision[FeatureStoreProjectStatus]:
    """The decision for one project."""
    # A status has whole seconds: it must be equal after it was stored and read again.
    now, observed = observed.now, replace(observed, now=observed.now.replace(microsecond=0))
    inputs = inputs_digest(observed)
    step = into_lanes(Step(observed.resource.status, observed.snapshot, observed.probe))
    step = note_source(observed, step)
    step = note_backfills(observed, step)
    step = note_new_schedules(observed, step)
    step = without_probe(observed, step)
    for lane in Lane:
        step = follow_job(observed, step, lane)
    for lane in Lane:
        step = start_due(observed, step, lane, inputs)
    step = record_operations(observed, step)
    step = note_ticks(observed, step)
    step = describe(observed, step, inputs)
    step = step.telling(*access_lost(observed, step.status))
    step = poll(observed, step, now)
    recorded = records_operations(observed.resource.spec)
    return Decision(
        status=bounded(step.status, observed.resource.status, recorded=recorded),
        before=step.before,
        after=step.after,
        events=step.events,
        requeue_at=min(step.requeue, default=None),
        finished=is_finished(observed, step.status),
    )


def note_source(observed: ObservedProject, step: Step) -> Step:
    """The revision of the source, and the request that this reconcile answers."""
    if observed.annotated:
        step = replace(step, status=tried_again(step.status, None))
    if isinstance(observed.source, SourceFacts):
        known = step.status.source
        if known is None or known.revision != observed.source.revision:
            revision = observed.source.revision
            step = step.update(source=SourceStatus(revision=revision, observed_at=observed.now))
    requested = observed.resource.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    return step if requested is None else step.update(last_handled_reconcile_at=requested)


def note_new_schedules(observed: ObservedProject, step: Step) -> Step:
    """Add the schedules of the spec; a new schedule has no ticks before now."""
    if step.status.observed_generation is None:
        return step
    known = {state.name for state in step.status.schedules}
    new = tuple(
        ScheduleStatus(name=schedule.name, last=observed.now)
        for schedule in observed.resource.spec.schedules
        if schedule.name not in known
    )
    return step.update(schedules=(*step.status.schedules, *new)) if new else step


def note_backfills(observed: ObservedProject, step: Step) -> Step:
    """Add the backfills of the spec; changed content is a new backfill, equal content is not.

    A finished backfill stays in the list when its entry in the spec is removed, so that the same
    entry does not run again later. A failed backfill continues when a reconcile is requested.
    """
    status = step.status
    known = {state.name: state for state in status.backfills}
    named = {spec.name for spec in observed.resource.spec.backfills}
    done = BackfillState.SUCCEEDED
    finished = [s for s in known.values() if s.name not in named and s.state is done]
    states = sorted(finished, key=lambda s: str(s.finished_at))[-KEPT_BACKFILLS:]
    for spec in observed.resource.spec.backfills:
        digest = backfills.content_digest(spec)
        state = known.get(spec.name)
        if state is None or state.digest != digest:
            state = BackfillStatus(name=spec.name, digest=digest, state=BackfillState.PENDING)
            status = tried_again(status, spec.views or None)
        elif state.state is BackfillState.FAILED and observed.requested:
            again = {"state": BackfillState.RUNNING, "finished_at": None}
            state = state.model_copy(update=again)
        states.append(state)
    return replace(step, status=status).update(backfills=tuple(states))


def record_operations(observed: ObservedProject, step: Step) -> Step:
    """Record what is not in MLflow yet, oldest first, while MLflow answers."""
    spec, models = observed.resource.spec, observed.models
    recorded = records_operations(spec)
    step = step.update(operations=listed(step.status.operations, recorded))
    if not recorded or (spec.suspend and not observed.deleted):
        return step
    if models is None or models.failure is not None:
        return step
    aliases = observed.aliases
    if aliases is not None:
        step = replace(step, status=with_aliases(step.status, aliases.recorded))
    changes = (RecordAliases(aliases.pending),) if aliases is not None and aliases.pending else ()
    waiting = (op.id for op in reversed(step.status.operations) if op.mlflow_run_id is None)
    return step.acting(*map(Record, waiting), *changes)


def note_ticks(observed: ObservedProject, step: Step) -> Step:
    """The next tick of each schedule, and the skipped ticks."""
    known = {state.name: state for state in step.status.schedules}
    states, next_ticks = [], []
    for schedule in observed.resource.spec.schedules:
        due = schedule_state(schedule, step.status, observed)
        state = known.get(schedule.name, ScheduleStatus(name=schedule.name))
        handled = due.skipped or state.last
        states.append(state.model_copy(update={"next": due.next, "last": handled}))
        if due.next is not None and not observed.resource.spec.suspend:
            next_ticks.append(due.next)
    states.sort(key=lambda state: state.name)
    return step.update(schedules=tuple(states)).requeued(next_ticks)


def describe(observed: ObservedProject, step: Step, inputs: str) -> Step:
    """Compute freshness of the views, totals and conditions from the current registry snapshot."""
    judged = judge_views(observed.resource.spec, step.status, step.snapshot, observed.now)
    step = step.requeued(item.next_stale_at for item in judged.values() if item.next_stale_at)
    status = with_freshness(step.status, observed.resource.spec, judged)
    conditions = conditions_of(observed, status, inputs, judged)
    return replace(step, status=status).update(
        counts=counts(observed, step.snapshot, judged),
        conditions=conditions.values,
        observed_generation=observed.resource.metadata.generation or None,
    )


def poll(observed: ObservedProject, step: Step, now: datetime) -> Step:
    """The next time to read source, MLflow and registry; at least a second from now."""
    spec = observed.resource.spec
    moments = list(step.requeue)
    if spec.source is not None:
        moments.append(now + spec.source.poll_interval)
    if spec.mlflow is not None:
        moments.append(now + spec.mlflow.poll_interval)
    if spec.source is None and isinstance(observed.source, Failure):
        moments.append(now + WAITING)
    interval, read = spec.registry_poll_interval, last_observed(step.status)
    if interval is not None and read is not None and read + interval > now:
        moments.append(read + interval)
    following = next_probe(observed, step.status)
    if following is not None and following > now:
        moments.append(following)
    soonest = now + timedelta(seconds=1)
    return replace(step, requeue=tuple(max(moment, soonest) for moment in moments))


def is_finished(observed: ObservedProject, status: FeatureStoreProjectStatus) -> bool:
    """Whether a deleted resource may be removed: Retain, or its deletion is done and recorded."""
    spec = observed.resource.spec
    if not observed.deleted or status.in_flight:
        return False
    unrecorded = any(operation.mlflow_run_id is None for operation in status.operations)
    if records_operations(spec) and unrecorded:
        return False  # no ops run is lost
    if spec.deletion_policy is DeletionPolicy.RETAIN or not own_registry(spec, status):
        return True
    done = status.newest(OperationKind.DELETE)
    return done is not None and done.result is Result.SUCCEEDED
