"""Reports of jobs that died: what a job wrote about its views before, completed with the cause.

A job keeps its report so far before it materializes each view. If its process is killed, its
deadline passes or its node is gone, the host reads that report: it says which views succeeded, and
which one was being materialized.
"""

from datetime import datetime
from typing import Any

from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.reasons import Reason


def ended_early(
    unfinished: JobReport, reason: str, message: str, at: datetime, *, killed: bool
) -> JobReport:
    """The report of a job that ended without one.

    Args:
        unfinished: what the job kept last.
        reason: condition reason of its end.
        message: the cause, for users.
        at: when it ended, or was seen to have ended.
        killed: its process ended by itself, or for its memory, and nobody stopped it: then the view
            that was being materialized is at fault.
    """
    name = unfinished.running
    views = tuple(
        _interrupted(view, reason, message, killed=killed) if view.name == name else view
        for view in unfinished.views
    )
    planned = [view for view in views if view.end is not None]
    done = sum(view.result == "Succeeded" for view in planned)
    where = f"while it materialized view {name!r}" if name else "between two views"
    return unfinished.model_copy(
        update={
            "outcome": Outcome.FAILED,
            "reason": reason,
            "message": f"{message}; that was {where}, and {done} of {len(planned)} views had "
            "succeeded",
            "finished_at": max(at, unfinished.started_at),
            "views": views,
            "running": "",
        }
    )


def _interrupted(view: ViewReport, reason: str, message: str, *, killed: bool) -> ViewReport:
    """The view that was being materialized; a view of a job that was stopped has no result."""
    changes: dict[str, Any] = {"left_in": view.state}
    if killed or reason == Reason.DEADLINE_EXCEEDED:
        error = f"the job's process ended while it materialized this view: {message}"
        changes |= {"result": "Failed", "error": error, "killed": killed}
    return view.model_copy(update=changes)
