"""The context of one operation: request, settings, registry reader, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feast
from feast import FeatureStore
from feast.feature_view import FeatureViewState

from feature_lineage.features.freshness import is_future
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner.canonical import SECTIONS, snapshot_of
from feature_lineage.runner.errors import SteppedBack
from feature_lineage.runner.progress import ProgressPipe
from feature_lineage.runner.reader import Reading, RegistryReader, views_of
from feature_lineage.runner.report_builder import report_of
from feature_lineage.runner.settings import Settings, open_store


@dataclass(frozen=True)
class Job:
    """The context of one operation.

    Attributes:
        request: what to do.
        progress: sends progress events to the supervisor.
        started: when the worker began.
        repo: the feature repo, resolved; also the working directory.
        settings: the repo's feature_store.yaml.
        reader: reads the registry that `settings` names.
    """

    request: JobRequest
    progress: ProgressPipe
    started: datetime
    repo: Path
    settings: Settings
    reader: RegistryReader

    @property
    def project(self) -> str:
        return self.request.project

    def read(self) -> Reading:
        with self.progress.phase("read"):
            return self.reader.read()

    def open_store(self) -> FeatureStore:
        return open_store(self.settings, self.repo)

    def snapshot(
        self,
        reading: Reading,
        closures: Mapping[str, str] | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> RegistrySnapshot:
        found = snapshot_of(reading.proto, self.project, self.project)
        return RegistrySnapshot(found.project, found.objects, dict(closures or {}), answers)

    def report(self, outcome: Outcome, **fields: Any) -> JobReport:
        """The worker's report; the supervisor adds output and verification."""
        return report_of(
            self.request,
            outcome,
            self.started,
            feast_version=feast.__version__,
            registry_type=self.settings.registry_type,
            online_store_type=self.settings.online_store_type,
            registry_id=self.settings.registry_id,
            seconds=self.progress.seconds,
            **fields,
        )


def stale_guard(read_at: datetime, max_age: float, seconds: Mapping[str, float]) -> SteppedBack:
    """The error for a guard that is older than maxGuardAge.

    Args:
        read_at: age of the oldest MLflow fact in the guard.
        max_age: maxGuardAge in seconds.
        seconds: phase → seconds of the job.
    """
    age = (datetime.now(UTC) - read_at).total_seconds()
    imported = seconds.get("import_repo", 0.0)
    return SteppedBack(
        f"the facts about the protected models, of {read_at:%Y-%m-%dT%H:%M:%SZ}, are {age:.0f} s "
        f"old; spec.apply.protection.maxGuardAge is {max_age:.0f} s. The job needed "
        f"{sum(seconds.values()):.0f} s until here, {imported:.0f} s of it to import the "
        "repository. It changed nothing and is repeated with new facts; if the next attempt "
        "takes as long, raise maxGuardAge above that time or shorten the import",
        reason=Reason.GUARD_UNAVAILABLE,
    )


def view_reports(
    proto: Any, project: str, done: Mapping[str, ViewReport] | None = None
) -> tuple[ViewReport, ...]:
    """Every view in the registry with this operation's result for it, sorted by name."""
    found = {}
    for section, message in views_of(proto, project):
        name = message.spec.name
        until, ahead = watermarks(message)
        report = (done or {}).get(name) or ViewReport(name=name, kind=SECTIONS[section])
        seen = {"materialized_until": until, "future_until": ahead, "state": state_of(message)}
        found[name] = report.model_copy(update=seen)
    missing = {name: report for name, report in (done or {}).items() if name not in found}
    return tuple(report for _, report in sorted({**found, **missing}.items()))


def watermarks(message: Any) -> tuple[datetime | None, datetime | None]:
    """Ends of a view's newest materialization intervals: until now, and in the future."""
    now = datetime.now(UTC)
    ends = [end for _, end in intervals(message)]
    past = max((end for end in ends if not is_future(end, now)), default=None)
    return past, max((end for end in ends if is_future(end, now)), default=None)


def state_of(message: Any) -> str:
    """Feast's state of a view, such as ``AVAILABLE_ONLINE``; "" if it has none."""
    if "state" not in message.meta.DESCRIPTOR.fields_by_name:
        return ""
    return str(FeatureViewState.from_proto(message.meta.state).name)


def intervals(message: Any) -> list[tuple[datetime, datetime]]:
    """Start and end of a view's materialization intervals."""
    found = getattr(message.meta, "materialization_intervals", ())
    return [
        (each.start_time.ToDatetime(tzinfo=UTC), each.end_time.ToDatetime(tzinfo=UTC))
        for each in found
    ]
