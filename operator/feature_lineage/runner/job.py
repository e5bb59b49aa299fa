"""The context of one operation: request, settings, registry reader, and the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import feast
from feast import FeatureStore
from feast.feature_view import FeatureViewState

from feature_lineage.features.freshness import is_future
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.protection import Guard, is_stale
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner.canonical import SECTIONS, snapshot_of
from feature_lineage.runner.errors import SteppedBack
from feature_lineage.runner.progress import ProgressPipe
from feature_lineage.runner.reader import Reading, RegistryReader, views_of
from feature_lineage.runner.report_builder import report_of
from feature_lineage.runner.settings import Settings, open_store

ASKED_EARLY: Final = timedelta(seconds=30)
"""A job asks for a newer guard so long before its own is too old, or a quarter of maxGuardAge.
The host reads questions from a minute before that moment on."""


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

    def current_guard(self, guard: Guard, max_age: float) -> Guard:
        """The guard, or a newer one of the host if the guard is too old, or will be soon.

        Args:
            max_age: maxGuardAge in seconds.

        Raises:
            SteppedBack: the host sent none in time, or one that is too old, too.
        """
        limit = timedelta(seconds=max_age)
        # The plan follows: a guard that becomes too old meanwhile would end the attempt.
        soon = datetime.now(UTC) + min(ASKED_EARLY, limit / 4)
        if not is_stale(guard, limit, soon):
            return guard
        with self.progress.phase("wait_for_guard"):
            text = self.progress.ask_for_guard()
        nobody = GuardAnswer(token="", failure="no host answers this job")
        answer = GuardAnswer.model_validate_json(text) if text else nobody
        for known in (answer.guard, guard):
            if known is not None and not is_stale(known, limit, datetime.now(UTC)):
                return known
        raise self._stale_guard(guard, max_age, answer)

    def _stale_guard(self, guard: Guard, max_age: float, answer: GuardAnswer) -> SteppedBack:
        now = datetime.now(UTC)
        age, worked = (now - guard.read_at).total_seconds(), (now - self.started).total_seconds()
        newer = f"The job asked for newer facts: {answer.failure}"
        if answer.guard is not None:
            late = (now - answer.guard.read_at).total_seconds()
            newer = f"The newer facts were {late:.0f} s old when they came: raise maxGuardAge"
        return SteppedBack(
            f"the facts about the protected models, of {guard.read_at:%Y-%m-%dT%H:%M:%SZ}, are "
            f"{age:.0f} s old; spec.apply.protection.maxGuardAge is {max_age:.0f} s. {newer}. The "
            f"job worked {worked:.0f} s until here, "
            f"{self.progress.seconds.get('import_repo', 0.0):.0f} s of it to import the "
            "repository. It changed nothing and is repeated",
            reason=Reason.GUARD_UNAVAILABLE,
        )

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
            online_store_id=self.settings.online_store_id,
            seconds=self.progress.seconds,
            **fields,
        )


def view_reports(
    proto: Any,
    project: str,
    done: Mapping[str, ViewReport] | None = None,
    *,
    served: bool = False,
) -> tuple[ViewReport, ...]:
    """Every view in the registry with this operation's result for it, sorted by name.

    Args:
        served: whether Feast serves views while they are materialized.
    """
    found = {}
    for section, message in views_of(proto, project):
        name = message.spec.name
        until, ahead = watermarks(message)
        untouched = ViewReport(name=name, kind=SECTIONS[section], served=served)
        report = (done or {}).get(name, untouched)
        seen = {"materialized_until": until, "future_until": ahead, "state": state_of(message)}
        found[name] = report.model_copy(update=seen)
    missing = {name: report for name, report in (done or {}).items() if name not in found}
    return tuple(report for _, report in sorted({**found, **missing}.items()))


def watermarks(
    message: Any, untrusted: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """Ends of a view's newest materialization intervals: until now, and in the future.

    Args:
        untrusted: an end that was in the future when its rows were read; it counts as such.
    """
    now = datetime.now(UTC)
    past: list[datetime] = []
    ahead: list[datetime] = []
    for _, end in intervals(message):
        future = is_future(end, now) or end.replace(microsecond=0) == untrusted
        (ahead if future else past).append(end)
    return max(past, default=None), max(ahead, default=None)


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
