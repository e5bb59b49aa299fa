"""Gauges about resources, computed from their state at scrape time.

Deleted resources therefore have no series, freshness is exact at the scrape, and a restart loses
no values.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Final

from prometheus_client.core import Metric

from feature_lineage.clock import utc_now
from feature_lineage.metrics import models, projects
from feature_lineage.metrics.catalogue import GAUGES
from feature_lineage.metrics.families import Row, family
from feature_lineage.metrics.state import ScrapeData, State, scrape_data


class StateCollector:
    """A collector for a `prometheus_client.CollectorRegistry`.

    Args:
        state: called once for each scrape, on the thread that serves it: it returns
            immutable values, and an empty `State` where this process is not the leader.
        now: the current time, aware; injected by tests.
    """

    def __init__(self, state: Callable[[], State], now: Callable[[], datetime] = utc_now) -> None:
        self._state = state
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """The families without samples: the registration needs only names."""
        return [family(definition) for definition in GAUGES]

    def collect(self) -> Iterator[Metric]:
        data = scrape_data(self._state(), self._now())
        for definition in GAUGES:
            yield family(definition, partial(SAMPLES[definition.name], data))


def _conditions(data: ScrapeData) -> Iterator[Row]:
    for kind, name, condition in data.conditions():
        yield (kind, *name, condition.type, condition.status, condition.reason), 1.0


def _transitions(data: ScrapeData) -> Iterator[Row]:
    for kind, name, condition in data.conditions():
        yield (kind, *name, condition.type), condition.since


SAMPLES: Final[dict[str, Callable[[ScrapeData], Iterator[Row]]]] = {
    "feast_feature_freshness_seconds": projects.freshness,
    "feature_lineage_feature_view_never_materialized": projects.never_materialized,
    "feature_lineage_feature_view_stale": projects.stale,
    "feature_lineage_feature_view_max_age_seconds": projects.max_age,
    "feature_lineage_feature_view_rows": projects.rows,
    "feature_lineage_feature_view_consecutive_failures": projects.consecutive_failures,
    "feature_lineage_project_models": projects.models,
    "feature_lineage_plan_blocked": projects.plan_blocked,
    "feature_lineage_plan_blocked_since_timestamp_seconds": projects.plan_blocked_since,
    "feature_lineage_plan_impacts": projects.plan_impacts,
    "feature_lineage_operation_in_progress": projects.operation_in_progress,
    "feature_lineage_operation_last_success_timestamp_seconds": projects.last_success,
    "feature_lineage_operations_unrecorded": projects.unrecorded,
    "feature_lineage_mlflow_view_age_seconds": projects.mlflow_view_age,
    "feature_lineage_registry_snapshot_age_seconds": projects.registry_snapshot_age,
    "feature_lineage_guard_age_seconds": projects.guard_age,
    "feature_lineage_schedule_next_timestamp_seconds": projects.schedule_next,
    "feature_lineage_model_info": models.info,
    "feature_lineage_model_feature_view_info": models.feature_views,
    "feature_lineage_model_verdict": models.verdict,
    "feature_lineage_model_verdict_since_timestamp_seconds": models.verdict_since,
    "feature_lineage_model_problems": models.problems,
    "feature_lineage_model_features_fresh": models.features_fresh,
    "feature_lineage_model_serving": models.serving,
    "feature_lineage_model_null_ratio": models.null_ratio,
    "feature_lineage_model_skew_ratio": models.skew_ratio,
    "feature_lineage_condition": _conditions,
    "feature_lineage_condition_last_transition_timestamp_seconds": _transitions,
}
