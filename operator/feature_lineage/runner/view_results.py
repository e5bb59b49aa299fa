"""Collects the results of views in the supervisor, and keeps them where the job's end is survived.

The worker waits before each view until the report so far is kept. If it is killed in that view, the
report names the view.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from feature_lineage.operations.job_report import MAX_VIEWS, JobReport, Outcome, ViewReport
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner.redaction import Redaction
from feature_lineage.runner.report_builder import redacted, report_of

Keep = Callable[[JobReport], None]


class ViewResults:
    """The report so far of a materialization.

    Args:
        request: of the job.
        started: when the job began, in seconds since 1970.
        keep: stores the report so far; must not raise.
        redaction: of what is kept.
    """

    def __init__(
        self, request: JobRequest, started: float, keep: Keep, redaction: Redaction
    ) -> None:
        self._request, self._started = request, datetime.fromtimestamp(started, UTC)
        self._keep, self._redaction = keep, redaction
        self._views: dict[str, ViewReport] = {}
        self._running = ""

    @property
    def unfinished(self) -> JobReport | None:
        """The report so far; None before the worker has named its views."""
        if not self._views:
            return None
        report = report_of(
            self._request,
            Outcome.FAILED,
            self._started,
            reason=Reason.JOB_FAILED,
            message="the job has not ended",
            views=tuple(self._views.values()),
            running=self._running,
        )
        return redacted(report, self._redaction)

    def handle(self, message: Mapping[str, Any]) -> bool:
        """Take over an event of the worker; returns whether the worker waits for an answer.

        The worker runs code of others: an event that does not parse is ignored.
        """
        match message:
            case {"event": "view_planned" | "view_ended", "view": dict(view)}:
                self._take_over(view)
                return False
            case {"event": "view_keeps_state", "name": str(name)} if name in self._views:
                self._views[name] = self._views[name].model_copy(update={"state": ""})
                return False
            case {"event": "view_running", "name": str(name)}:
                self._running = name if name in self._views else ""
                if (report := self.unfinished) is not None:
                    self._keep(report)
                return True
        return False

    def _take_over(self, value: dict[str, Any]) -> None:
        try:
            view = ViewReport.model_validate({**value, "keys": None})
        except ValidationError:
            return
        if view.name in self._views or len(self._views) < MAX_VIEWS:
            self._views[view.name] = view
