"""Which views a materialization processes, and from which time on.

An incremental window starts where the last one ended. If the rows of a view are in another online
store, or under other join keys, a schedule writes all that Feast can serve again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from feature_lineage.features.freshness import place_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import ViewReport
from feature_lineage.operations.protocol import MaterializeRequest, ViewWindow
from feature_lineage.runner.job import intervals, watermarks

_YEAR: Final = timedelta(weeks=52)  # Feast's default for views without a TTL


class NotMaterializableError(Exception):
    """A view cannot be materialized; the message is shown to users."""


@dataclass(frozen=True)
class Places:
    """Where the rows of views are, and where a job writes them.

    Attributes:
        snapshot: the registry, for the join keys.
        online_store: id of the online store of the job.
    """

    request: MaterializeRequest
    snapshot: RegistrySnapshot
    online_store: str

    def are_elsewhere(self, name: str) -> bool:
        """Whether the rows of the view are not where this job writes them, as far as is known."""
        known, here = self.request.written_to.get(name), self._here(name)
        return bool(known and here) and known != here

    def noted(self, report: ViewReport) -> ViewReport:
        """The report with the place, if all rows of the view are there now."""
        if report.result != "Succeeded":
            return report
        if self.are_elsewhere(report.name) and not self.request.fill:
            return report  # a chunk of a backfill is a part of the rows
        return report.model_copy(update={"written_to": self._here(report.name)})

    def _here(self, name: str) -> str:
        return place_of(self.snapshot, name, self.online_store)


def windows_of(request: MaterializeRequest, views: dict[str, Any]) -> Iterator[ViewWindow]:
    yield from request.views
    if request.all_views_end is None:
        return
    named = {window.name for window in request.views}
    for name, (section, message) in sorted(views.items()):
        if name not in named and _materializable(section, message):
            yield ViewWindow(name=name, start=request.all_views_start, end=request.all_views_end)


def _materializable(section: str, message: Any) -> bool:
    spec = message.spec
    if getattr(spec, "disabled", False):
        return False
    if section == "on_demand_feature_views":
        return bool(spec.write_to_online_store)
    if section not in ("feature_views", "stream_feature_views") or not spec.online:
        return False
    return bool(spec.HasField("batch_source"))  # the rows of others are pushed


def start_of(window: ViewWindow, views: dict[str, Any], places: Places) -> datetime:
    """The start of the window; earlier, if the rows of the view are elsewhere.

    Args:
        views: by name, the section and the message of each view in the registry.

    Raises:
        NotMaterializableError: there is no such view, or it is filled otherwise.
    """
    untrusted = places.request.untrusted.get(window.name)
    start = window.start or _incremental_start(window, views, untrusted)
    if places.request.fill and places.are_elsewhere(window.name):
        start = min(start, _start_of_all(window, views))
    return start


def _start_of_all(window: ViewWindow, views: dict[str, Any]) -> datetime:
    """The time from which a row may be served."""
    message, now = views[window.name][1], datetime.now(UTC)
    if life := _ttl(message):
        return now - life
    return min((now - _YEAR, *(start for start, _ in intervals(message))))


def _incremental_start(
    window: ViewWindow, views: dict[str, Any], untrusted: datetime | None
) -> datetime:
    """Where Feast's own incremental materialization would start."""
    if window.name not in views:
        raise NotMaterializableError(unknown_view(window.name, views))
    section, message = views[window.name]
    if section == "on_demand_feature_views":
        sources = [
            s.feature_view_projection.feature_view_name for s in message.spec.sources.values()
        ]
        lives = [_ttl(views[name][1]) for name in sources if name in views]
        return window.end - (max(lives, default=timedelta(0)) or _YEAR)
    if section == "label_views":
        raise NotMaterializableError(
            "a label view is filled by pushing labels, not by materializing"
        )
    if not message.spec.HasField("batch_source"):
        raise NotMaterializableError("a view without a source is filled by pushing rows")
    now = datetime.now(UTC)
    until, ahead = watermarks(message, untrusted)
    if until is not None:
        return until
    if ahead is not None:
        # Nobody knows which rows existed when it was written, so its whole window is read again.
        start = min(start for start, _ in intervals(message))
        return min(start, now)
    return now - (_ttl(message) or _YEAR)


def _ttl(message: Any) -> timedelta:
    ttl = getattr(message.spec, "ttl", None)
    return ttl.ToTimedelta() if ttl is not None else timedelta(0)


def unknown_view(name: str, views: dict[str, Any]) -> str:
    known = ", ".join(sorted(views)[:20]) or "none"
    return f"there is no feature view {name!r} in the registry; there are: {known}"
