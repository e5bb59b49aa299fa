"""Reports that the pod writes itself, because no worker ran or its report is too large."""

from datetime import datetime

from feature_lineage.errors import FeatureLineageError
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner.report_builder import report_of
from feature_lineage.sources.interface import SourceChanged


def not_started(request: JobRequest, error: FeatureLineageError, started: datetime) -> JobReport:
    """The report of an operation whose repo could not be provided."""
    outcome = Outcome.STEPPED_BACK if isinstance(error, SourceChanged) else Outcome.FAILED
    return report_of(request, outcome, started, reason=error.reason, message=str(error))


def interrupted(request: JobRequest, started: datetime) -> JobReport:
    """The report of an operation that SIGTERM ended before the worker started."""
    message = "stopped while fetching the repo: SIGTERM"
    return report_of(request, Outcome.FAILED, started, reason=Reason.INTERRUPTED, message=message)


def too_large(report: JobReport, error: FeatureLineageError) -> JobReport:
    """A short report that replaces one that is too large, with the same outcome data."""
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
