"""Counters and histograms of reconciles, operations and materializations.

They use a separate registry, since any import may add to the library's default registry. The series
of a resource are removed when the resource is deleted.
"""

import platform
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from feature_lineage import __version__
from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import Result
from feature_lineage.api.operation_status import OperationRecord
from feature_lineage.api.project_status import FeatureViewStatus
from feature_lineage.decide.project.suspects import puts_back
from feature_lineage.errors import FeatureLineageError, TerminalError, TransientError
from feature_lineage.metrics.catalogue import INSTRUMENTS, MetricDefinition
from feature_lineage.metrics.families import label
from feature_lineage.metrics.state import Name, name_of

Kind = Literal["FeatureStoreProject", "TrainedModel"]
ResultLabel = Literal["success", "transient", "waiting", "terminal", "crash"]

MATERIALIZATION_BUCKETS: Final = (
    *(1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0),
)
"""Feast's own, so that its dashboards work."""

RECONCILE_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_BY_NAME: Final = {definition.name: definition for definition in INSTRUMENTS}


def result_of(error: BaseException | None) -> ResultLabel:
    """The `result` label of a reconcile."""
    if error is None:
        return "success"
    if isinstance(error, TransientError):
        return "transient"
    if isinstance(error, TerminalError):
        return "terminal"
    return "waiting" if isinstance(error, FeatureLineageError) else "crash"


class Instruments:
    """Counters of one process; also the registry for all other collectors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._views = _counter("feast_materialization_result_total", self.registry)
        self._view_seconds = _histogram(
            "feast_materialization_duration_seconds", self.registry, MATERIALIZATION_BUCKETS
        )
        self._operations = _counter("feature_lineage_operations_total", self.registry)
        self._reconciles = _counter("feature_lineage_reconcile_total", self.registry)
        self._reconcile_seconds = _histogram(
            "feature_lineage_reconcile_duration_seconds", self.registry, RECONCILE_BUCKETS
        )
        self._sink_errors = _counter("feature_lineage_sink_errors_total", self.registry)
        self._series: dict[Name, set[tuple[Counter | Histogram, tuple[str, ...]]]] = {}
        build = _BY_NAME["feature_lineage_build_info"]
        Gauge(build.name, build.help, build.labels, registry=self.registry).labels(
            __version__, platform.python_version()
        ).set(1)
        ProcessCollector(registry=self.registry)  # process_*: memory, open files, start time

    def reconciled(self, kind: Kind, result: ResultLabel, seconds: float) -> None:
        """Count one reconcile."""
        for each in get_args(ResultLabel):  # a series that starts at 0 shows its first increase
            self._reconciles.labels(kind, each).inc(each == result)
        self._reconcile_seconds.labels(kind).observe(seconds)

    def sinks_failed(self, errors: int) -> None:
        """Count domain events that did not reach a sink."""
        self._sink_errors.inc(errors)

    def project_changed(self, before: FeatureStoreProject, after: FeatureStoreProject) -> None:
        """Count operations and view materializations that ended between two statuses.

        Args:
            before: the project before the reconcile.
            after: the project with the written status.
        """
        counted = {record.id for record in before.status.operations}
        for record in after.status.operations:
            if record.id not in counted and not puts_back(record):
                self.operation_finished(after, record)
        known = {view.name: view.attempted_at for view in before.status.feature_views}
        for view in after.status.feature_views:
            if view.attempted_at is not None and view.attempted_at != known.get(view.name):
                self.view_attempted(after, view)

    def operation_finished(self, project: FeatureStoreProject, record: OperationRecord) -> None:
        """Count an operation that ended, once for all attempts."""
        for result in Result:
            values = (*_labels(project), record.kind.value, result.value)
            self._keep(project, self._operations, values)
            self._operations.labels(*values).inc(result is record.result)

    def view_attempted(self, project: FeatureStoreProject, view: FeatureViewStatus) -> None:
        """Count one attempt to materialize a view."""
        values = (*_labels(project), label(view.name))
        succeeded = view.last_result is Result.SUCCEEDED
        for status, happened in (("success", succeeded), ("failure", not succeeded)):
            self._keep(project, self._views, (*values, status))
            self._views.labels(*values, status).inc(happened)
        if view.last_duration_seconds is not None:
            self._keep(project, self._view_seconds, values)
            self._view_seconds.labels(*values).observe(view.last_duration_seconds)

    def project_removed(self, namespace: str, name: str) -> None:
        """Remove the series of a deleted resource."""
        for metric, values in self._series.pop((namespace, name), ()):
            metric.remove(*values)

    def _keep(
        self, project: FeatureStoreProject, metric: Counter | Histogram, values: tuple[str, ...]
    ) -> None:
        self._series.setdefault(name_of(project), set()).add((metric, values))


def _labels(project: FeatureStoreProject) -> tuple[str, str, str]:
    return (*name_of(project), project.spec.project)


def _counter(name: str, registry: CollectorRegistry) -> Counter:
    definition = _definition(name, "counter")
    return Counter(definition.name, definition.help, definition.labels, registry=registry)


def _histogram(name: str, registry: CollectorRegistry, buckets: tuple[float, ...]) -> Histogram:
    definition = _definition(name, "histogram")
    return Histogram(
        definition.name, definition.help, definition.labels, registry=registry, buckets=buckets
    )


def _definition(name: str, type_: str) -> MetricDefinition:
    definition = _BY_NAME[name]
    assert definition.type == type_
    return definition
