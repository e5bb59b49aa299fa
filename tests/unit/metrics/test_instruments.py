"""Counters and histograms."""

import os
import subprocess
import sys

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from tests.unit.metrics.build import NOW, at, project

from feature_lineage import __version__
from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    InvalidReport,
    ServerUnavailable,
)
from feature_lineage.metrics import Instruments, State, StateCollector, result_of
from feature_lineage.metrics.families import exposition


def lines(registry: CollectorRegistry, prefix: str) -> str:
    text = b"".join(exposition(registry)).decode()
    return "".join(
        line
        for line in text.splitlines(keepends=True)
        if line.startswith((prefix, f"# TYPE {prefix}"))
    )


BEFORE = project(operation={"id": "op-1", "kind": "Materialize"})
AFTER = project(
    operations=[
        {"id": "op-1", "kind": "Materialize", "schedule": "hourly", "result": "Failed"},
        # Without a schedule it only put back the state of views.
        {"id": "op-2", "kind": "Materialize", "result": "Succeeded"},
    ],
    featureViews=[
        {
            "name": "stats",
            "attemptedAt": at(seconds=5),
            "lastResult": "Succeeded",
            "lastDurationSeconds": 42.5,
        },
        {"name": "slow", "attemptedAt": at(seconds=1), "lastResult": "Failed"},
        {"name": "never"},
    ],
)
P = 'name="ranking",namespace="ml",project="driver_ranking"'


def test_materialization_counts_per_view_as_in_feast() -> None:
    instruments = Instruments()

    instruments.project_changed(BEFORE, AFTER)

    bucket = f'feast_materialization_duration_seconds_bucket{{feature_view="stats",le="%s",{P}}} %s'
    small, large = (
        ("1.0", "5.0", "10.0", "30.0"),
        (*("60.0", "120.0", "300.0", "600.0", "1800.0", "3600.0", "+Inf"),),
    )
    assert lines(instruments.registry, "feast_") == "\n".join(
        (
            "# TYPE feast_materialization_result_total counter",
            f'feast_materialization_result_total{{feature_view="stats",{P},status="success"}} 1.0',
            f'feast_materialization_result_total{{feature_view="stats",{P},status="failure"}} 0.0',
            f'feast_materialization_result_total{{feature_view="slow",{P},status="success"}} 0.0',
            f'feast_materialization_result_total{{feature_view="slow",{P},status="failure"}} 1.0',
            "# TYPE feast_materialization_duration_seconds histogram",
            *(bucket % (le, "0.0") for le in small),
            *(bucket % (le, "1.0") for le in large),
            f'feast_materialization_duration_seconds_count{{feature_view="stats",{P}}} 1.0',
            f'feast_materialization_duration_seconds_sum{{feature_view="stats",{P}}} 42.5',
            "",
        )
    )


def test_operation_counts_once_with_zeros_for_other_results() -> None:
    instruments = Instruments()

    instruments.project_changed(BEFORE, AFTER)
    instruments.project_changed(AFTER, AFTER)

    name = "feature_lineage_operations_total"
    assert lines(instruments.registry, name) == "\n".join(
        (
            f"# TYPE {name} counter",
            f'{name}{{kind="Materialize",{P},result="Succeeded"}} 0.0',
            f'{name}{{kind="Materialize",{P},result="Planned"}} 0.0',
            f'{name}{{kind="Materialize",{P},result="Blocked"}} 0.0',
            f'{name}{{kind="Materialize",{P},result="Failed"}} 1.0',
            "",
        )
    )


def retried(*, seconds: float) -> FeatureStoreProject:
    view = {"name": "stats", "attemptedAt": at(seconds=seconds), "lastResult": "Failed"}
    return project(featureViews=[view])


def test_each_attempt_counts_as_a_run() -> None:
    instruments = Instruments()

    instruments.project_changed(project(), retried(seconds=90))
    instruments.project_changed(retried(seconds=90), retried(seconds=30))
    instruments.project_changed(retried(seconds=30), retried(seconds=30))

    failures = {"feature_view": "stats", "status": "failure", "project": "driver_ranking"}
    found = instruments.registry.get_sample_value(
        "feast_materialization_result_total", {**failures, "namespace": "ml", "name": "ranking"}
    )
    assert found == 2.0


def test_a_deleted_project_takes_its_series_along() -> None:
    instruments = Instruments()
    other = project("other")
    instruments.project_changed(BEFORE, AFTER)
    instruments.project_changed(other, other.model_copy(update={"status": AFTER.status}))

    instruments.project_removed("ml", "ranking")
    instruments.project_removed("ml", "unheard-of")

    text = b"".join(exposition(instruments.registry)).decode()
    assert 'name="ranking"' not in text
    assert 'name="other"' in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "success"),
        (ServerUnavailable("MLflow does not answer"), "transient"),
        (AccessRefused("401"), "waiting"),
        (FeatureLineageError("something"), "waiting"),
        (InvalidReport("no JSON"), "terminal"),
        (KeyError("a defect"), "crash"),
    ],
)
def test_how_a_pass_ended_follows_from_what_to_do_about_it(
    error: Exception | None, expected: str
) -> None:
    assert expected == result_of(error)


def test_passes_are_counted_and_timed_by_kind() -> None:
    instruments = Instruments()

    instruments.reconciled("TrainedModel", "transient", 0.02)
    instruments.reconciled("TrainedModel", "success", 0.01)
    instruments.reconciled("TrainedModel", "crash", 0.0)

    name = "feature_lineage_reconcile_total"
    assert lines(instruments.registry, name) == "\n".join(
        (
            f"# TYPE {name} counter",
            f'{name}{{kind="TrainedModel",result="success"}} 1.0',
            f'{name}{{kind="TrainedModel",result="transient"}} 1.0',
            f'{name}{{kind="TrainedModel",result="waiting"}} 0.0',
            f'{name}{{kind="TrainedModel",result="terminal"}} 0.0',
            f'{name}{{kind="TrainedModel",result="crash"}} 1.0',
            "",
        )
    )
    seconds = "feature_lineage_reconcile_duration_seconds"
    count = instruments.registry.get_sample_value(f"{seconds}_count", {"kind": "TrainedModel"})
    assert count == 3.0


def test_the_build_says_which_operator_this_is() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    expected = (
        "# TYPE feature_lineage_build_info gauge\n"
        f'feature_lineage_build_info{{python_version="{version}",version="{__version__}"}} 1.0\n'
    )

    assert expected == lines(Instruments().registry, "feature_lineage_build_info")


def test_gauges_do_not_use_the_default_registry() -> None:
    def ours() -> set[str]:
        return {family.name for family in prometheus_client.REGISTRY.collect()}

    before = ours()
    instruments = Instruments()
    instruments.registry.register(StateCollector(lambda: State((AFTER,)), lambda: NOW))

    names = {family.name for family in instruments.registry.collect()}

    assert {"feature_lineage_condition", "feature_lineage_reconcile"} <= names
    assert before == ours()


def test_importing_leaves_the_environment_alone() -> None:
    """Feast sets a variable that stores counters in files; this package must not."""
    code = "import os; before = dict(os.environ); import feature_lineage.metrics; "
    code += "assert before == dict(os.environ)"

    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
