"""The domain events of an operation that has ended."""

from collections.abc import Iterable, Iterator

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import Result
from feature_lineage.api.operation_status import OperationRecord
from feature_lineage.decide.events import (
    DomainEvent,
    JobWarned,
    ModelsHurt,
    OperationEnded,
    PermissionUsed,
    PlanBlocked,
)
from feature_lineage.decide.facts import key_of
from feature_lineage.operations.doubts import PlanWarning
from feature_lineage.operations.explain import explain_applied_impacts
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.kinds import KINDS


def end_events(
    project: FeatureStoreProject,
    record: OperationRecord,
    message: str,
    report: JobReport | None,
    *,
    superseded: bool,
    doubts: Iterable[PlanWarning] = (),
) -> Iterator[DomainEvent]:
    """The domain events for the end of an operation.

    Args:
        record: the operation as it is in the list.
        message: the full message.
        report: report of its last job.
        doubts: what makes a plan without apply worth less; not reported for an apply.
    """
    of = (key_of(project), record.id, record.kind)
    plan = report.plan if report is not None else None
    result, reason = record.result or Result.FAILED, record.reason or ""
    yield OperationEnded(*of, result, record.attempt, reason, message, superseded)
    revision = record.revision or ""
    if plan is not None and result is Result.BLOCKED:
        yield PlanBlocked(*of, revision, plan.digest, len(plan.impacts), reason)
    if record.override is not None:
        yield PermissionUsed(*of, record.override.kind, record.override.why)
    # A permitted impact gets an Event: there may be no TrainedModel whose status would show it.
    traits = KINDS[record.kind]
    applied = traits.plans and traits.writes_registry and result is Result.SUCCEEDED
    if plan is not None and applied and (harm := explain_applied_impacts(plan, revision)):
        yield ModelsHurt(*of, harm)
    own = doubts if plan is not None and not traits.writes_registry else ()
    for warning in (*map(str, own), *(report.warnings if report is not None else ())):
        yield JobWarned(*of, warning)
