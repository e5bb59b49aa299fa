"""A report about an operation that no worker got to: the pod had no repo to give it."""

from datetime import UTC, datetime

from feature_lineage.errors import FeatureLineageError
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobReport, JobRequest, Outcome
from feature_lineage.reasons import Reason
from feature_lineage.sources.interface import SourceChanged


def not_begun(request: JobRequest, error: FeatureLineageError, started: datetime) -> JobReport:
    """The operation did not begin, for want of its repo."""
    back = isinstance(error, SourceChanged)
    return _report(
        request, Outcome.STEPPED_BACK if back else Outcome.FAILED, error.reason, str(error), started
    )


def interrupted(request: JobRequest, started: datetime) -> JobReport:
    """The pod was told to go before the operation began."""
    return _report(
        request,
        Outcome.FAILED,
        Reason.INTERRUPTED,
        "stopped while fetching the repo: SIGTERM",
        started,
    )


def too_large(report: JobReport, error: FeatureLineageError) -> JobReport:
    """What is told instead of a report that cannot be handed over."""
    objects = len(report.snapshot.objects) if report.snapshot else 0
    return report.model_copy(
        update={
            "outcome": Outcome.FAILED,
            "reason": error.reason,
            "message": f"{KINDS[report.kind].command} ended ({report.outcome}), but {error} "
            f"(the registry holds {objects} objects of this project)",
            "snapshot": None,
            "plan": None,
            "views": (),
            "warnings": (),
        }
    )


def _report(
    request: JobRequest, outcome: Outcome, reason: str, message: str, started: datetime
) -> JobReport:
    return JobReport(
        operation_id=request.operation_id,
        kind=request.kind,
        project=request.project,
        revision=request.revision,
        outcome=outcome,
        reason=reason,
        message=message,
        started_at=started,
        finished_at=datetime.now(UTC),
    )
