"""Decides which operation is due: one check for each kind of operation.

Each lane runs one operation at a time; `due_operation` orders the due ones.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    OperationKind,
    Result,
)
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.due_operation import (
    DecisionInput,
    DueOperation,
    most_urgent,
)
from feature_lineage.decide.project.job_request import own_registry, was_refused
from feature_lineage.decide.project.materialization_due import chunk_due, materialization_due
from feature_lineage.decide.project.preconditions import blocked_by
from feature_lineage.decide.project.probing import probe_due
from feature_lineage.operations.kinds import KINDS, Lane
from feature_lineage.operations.protection import guard_digest, protected_versions
from feature_lineage.reasons import Reason

READ_AGAIN: Final = timedelta(minutes=10)
"""When the registry is read again if the last snapshot of it is lost."""

Check = Callable[[DecisionInput], DueOperation | None]


def next_operation(given: DecisionInput, lane: Lane) -> DueOperation | None:
    """The operation to start now in a lane; None if none is due or permitted."""
    observed = given.observed
    due = (check(given) for kind, check in CHECKS.items() if KINDS[kind].lane is lane)
    may_start = [
        each for each in due if each is not None and blocked_by(observed, each.kind) is None
    ]
    return most_urgent(may_start, observed.now)


def _deletion(given: DecisionInput) -> DueOperation | None:
    """A deleted project with deletionPolicy Delete deletes its Feast objects."""
    observed, status = given.observed, given.status
    if not observed.deleted or observed.resource.spec.deletion_policy is not DeletionPolicy.DELETE:
        return None
    if not own_registry(observed.resource.spec, status):
        return None  # a registry that was only read belongs to another writer
    done = status.newest(OperationKind.DELETE)
    if done is not None and done.inputs_digest == given.inputs_digest:
        # A protected service, whose reason is another one, blocks until the spec or an annotation
        # changes.
        by_models = done.result is Result.BLOCKED and done.reason == Reason.BLOCKED
        unblocked = by_models and not _guarded(observed)
        if done.result is Result.SUCCEEDED or not (unblocked or observed.requested):
            return None
    revision = status.applied.revision if status.applied else None
    since = observed.resource.metadata.deletion_timestamp or observed.now
    return DueOperation(OperationKind.DELETE, since, given.inputs_digest, revision or "")


def _apply(given: DecisionInput) -> DueOperation | None:
    """The newest revision, if it differs from the last apply."""
    observed, status = given.observed, given.status
    if not apply_is_due(given):
        return None
    assert isinstance(observed.source, SourceFacts)
    planned = observed.resource.spec.apply.mode is ApplyMode.PLAN_ONLY
    since = status.source.observed_at if status.source else None
    return DueOperation(
        OperationKind.PLAN if planned else OperationKind.APPLY,
        since or observed.now,
        given.inputs_digest,
        observed.source.revision,
    )


def apply_is_due(given: DecisionInput) -> bool:
    """Whether an apply is due: new inputs, a requested retry after a failure, a changed guard
    after a blocked plan, or a request after another resource owned the project.
    """
    observed, last = given.observed, given.status.last_apply
    if observed.deleted or observed.resource.spec.apply.mode is ApplyMode.OBSERVE:
        return False
    if not isinstance(observed.source, SourceFacts):
        return False
    if last is None or last.inputs_digest != given.inputs_digest:
        return True
    if was_refused(given.status):
        return observed.requested  # a changed guard does not change the owner
    if last.result is Result.BLOCKED:
        if last.reason == Reason.REGISTRY_EMPTY and observed.requested:
            return True  # it may have been restored, which no input shows
        return _guard_is_known(observed) and last.guard_digest != _guard(observed)
    return last.result is Result.FAILED and observed.requested


def guard_is_needed(observed: ObservedProject, inputs: str) -> bool:
    """Whether a job that needs the guard may start now, or asks for a newer one.

    The guard must be current then.

    Args:
        inputs: digest of all inputs of an apply.
    """
    status, spec = observed.resource.status, observed.resource.spec
    operation, last = status.operation, status.last_apply
    job = observed.job_of(operation) if operation is not None else None
    if job is not None and job.running:
        return bool(job.guard_question)
    if observed.deleted:
        return True
    if spec.suspend or spec.apply.mode is ApplyMode.OBSERVE:
        return False
    if operation is not None and KINDS[operation.kind].plans:
        return True
    if observed.requested and last is not None and last.result is Result.BLOCKED:
        return True
    return apply_is_due(DecisionInput(observed, status, inputs))


def _guard_is_known(observed: ObservedProject) -> bool:
    """Whether MLflow was read, or is not needed."""
    return observed.resource.spec.mlflow is None or _guard(observed) is not None


def _guarded(observed: ObservedProject) -> bool:
    guard = observed.models.guard if observed.models else None
    return guard is not None and bool(protected_versions(guard))


def _guard(observed: ObservedProject) -> str | None:
    if observed.models is None or observed.models.guard is None:
        return None
    return guard_digest(observed.models.guard)


def _observe(given: DecisionInput) -> DueOperation | None:
    """Another writer may have changed the registry: it is read again when the last read is old."""
    observed, status = given.observed, given.status
    interval: timedelta | None = observed.resource.spec.registry_poll_interval
    lost = _snapshot_lost(observed)
    if lost:
        interval = min(interval or READ_AGAIN, READ_AGAIN)
    if observed.deleted or interval is None:
        return None
    if isinstance(observed.source, SourceFacts) is False and observed.source is not None:
        return None
    seen = status.registry.observed_at if status.registry else None
    last = last_observed(status)
    if last is not None and observed.now < last + interval and not observed.requested:
        return None
    if seen is None and not lost and observed.resource.spec.apply.mode is not ApplyMode.OBSERVE:
        return None
    revision = observed.source.revision if isinstance(observed.source, SourceFacts) else ""
    since = observed.now if last is None else last + interval
    return DueOperation(OperationKind.OBSERVE, since, revision=revision)


def _snapshot_lost(observed: ObservedProject) -> bool:
    """Whether the status names a snapshot of the registry that no store has, or that nobody read.

    The second is a status that a person or an older version wrote.
    """
    registry = observed.resource.status.registry
    if registry is None or registry.digest is None:
        return False
    return observed.snapshot_lost or registry.observed_at is None


def last_observed(status: FeatureStoreProjectStatus) -> datetime | None:
    """The time of the last read of the registry, or of the last failed attempt.

    An operation of another kind counts if it read the registry. Otherwise the registry is as old as
    before, and the operation does not delay an Observe.
    """
    observed = status.newest(OperationKind.OBSERVE)
    seen = status.registry.observed_at if status.registry else None
    return max((at for at in (seen, observed and observed.finished_at) if at), default=None)


CHECKS: Final[Mapping[OperationKind, Check]] = {
    OperationKind.DELETE: _deletion,
    OperationKind.APPLY: _apply,
    OperationKind.MATERIALIZE: materialization_due,
    OperationKind.BACKFILL: chunk_due,
    OperationKind.OBSERVE: _observe,
    OperationKind.PROBE: probe_due,
}
"""The check of each kind; a plan replaces an apply."""
