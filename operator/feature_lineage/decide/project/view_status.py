"""What a report says of each view, as the status shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from feature_lineage.api.enums import (
    MaterializedBy,
    Result,
)
from feature_lineage.api.project_status import (
    FeatureStoreProjectStatus,
    FeatureViewStatus,
)
from feature_lineage.operations.protocol import JobReport, ViewReport

MAX_VIEWS = 500
MAX_ERROR = 500


def with_views(
    status: FeatureStoreProjectStatus, report: JobReport | None, now: datetime
) -> FeatureStoreProjectStatus:
    """Take over what a report says of each view; a view that left the registry leaves the list."""
    if report is None or not report.views:
        return status
    known = {view.name: view for view in status.feature_views}
    views = {
        view.name: _view(known.get(view.name), view, now)
        for view in report.views
        if report.snapshot is None or report.snapshot.view(view.name) is not None
    }
    if report.snapshot is None:
        views = known | views
    return status.model_copy(update={"feature_views": unhealthy_first(views)})


def _view(known: FeatureViewStatus | None, seen: ViewReport, now: datetime) -> FeatureViewStatus:
    view = known or FeatureViewStatus(name=seen.name)
    changes: dict[str, Any] = {"kind": seen.kind}
    until = seen.materialized_until
    if until is not None and until.replace(microsecond=0) != view.materialized_until:
        changes["materialized_until"] = until.replace(microsecond=0)
        changes["by"] = (
            MaterializedBy.OPERATOR if seen.result == "Succeeded" else MaterializedBy.EXTERNAL
        )
    if seen.result:
        succeeded = seen.result == "Succeeded"
        changes |= {
            "last_result": Result.SUCCEEDED if succeeded else Result.FAILED,
            "last_error": seen.error[:MAX_ERROR] or None,
            "attempted_at": now,
            "last_duration_seconds": None if seen.seconds is None else round(seen.seconds, 3),
            "consecutive_failures": 0 if succeeded else view.consecutive_failures + 1,
        }
        if succeeded:
            changes["rows"] = seen.rows
            newest = seen.newest_event_time
            changes["newest_event_time"] = (
                newest.replace(microsecond=0) if newest else view.newest_event_time
            )
    return view.model_copy(update=changes)


def outcome(view: ViewReport) -> dict[str, Any]:
    result = Result.SUCCEEDED if view.result == "Succeeded" else Result.FAILED
    return {"result": result, "rows": view.rows, "error": view.error[:MAX_ERROR] or None}


def unhealthy_first(views: Mapping[str, FeatureViewStatus]) -> tuple[FeatureViewStatus, ...]:
    """The list as the status shows it: failing and stale views first, then by name."""

    def rank(view: FeatureViewStatus) -> tuple[bool, bool, str]:
        failing = view.last_result is Result.FAILED
        return (not failing, view.fresh is not False, view.name)

    return tuple(sorted(views.values(), key=rank))[:MAX_VIEWS]
