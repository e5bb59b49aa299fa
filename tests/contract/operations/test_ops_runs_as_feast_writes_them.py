"""Our ops runs have the keys, types and texts that Feast's own logger writes for an operation."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.mlflow_integration.logger import FeastMlflowLogger
from feast.types import Float32
from mlflow.utils.validation import _validate_metric_name, _validate_param, _validate_tag

from feature_lineage.api.enums import OperationKind
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.ops_run_builder import ops_run
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.records import Operation, OpsRun

START = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
END = START + timedelta(hours=1)


@dataclass
class Written:
    """Replaces MlflowClient, and records what Feast's logger writes."""

    experiment: str = ""
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def get_experiment_by_name(self, name: str) -> Any:
        self.experiment = name
        return SimpleNamespace(experiment_id="1")

    def create_run(self, _experiment: str, run_name: str) -> Any:
        self.name = run_name
        return SimpleNamespace(info=SimpleNamespace(run_id="r"))

    def set_tag(self, _run: str, key: str, value: str) -> None:
        self.tags[key] = value

    def log_param(self, _run: str, key: str, value: str) -> None:
        self.params[key] = value

    def log_metric(self, _run: str, key: str, value: float) -> None:
        self.metrics[key] = value

    def set_terminated(self, _run: str) -> None:
        pass


@pytest.fixture
def feast() -> tuple[FeastMlflowLogger, Written]:
    config = SimpleNamespace(ops_experiment_suffix="-feast-ops", get_tracking_uri=lambda: None)
    store: Any = SimpleNamespace(project="p", config=SimpleNamespace(mlflow=config))
    written = Written()
    return FeastMlflowLogger(store, None, written), written


def feast_part(values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key.startswith("feast.")}


def assert_same(written: Written, run: OpsRun) -> None:
    assert (run.experiment, run.name) == (written.experiment, written.name)
    assert feast_part(run.tags) == written.tags
    assert feast_part(run.params) == written.params
    assert feast_part(run.metrics) == written.metrics


def ours(kind: OperationKind, *, incremental: bool = False, **fields: Any) -> OpsRun:
    report = JobReport(
        operation_id="op",
        kind=kind,
        project="p",
        outcome=Outcome.SUCCEEDED,
        started_at=START,
        finished_at=END,
        **fields,
    )
    operation = Operation("op", kind, "p", "ns/p", START, END, incremental=incremental)
    return ops_run(operation, report, experiment_suffix="-feast-ops")


def view(name: str) -> FeatureView:
    source = FileSource(path="x.parquet", timestamp_field="t")
    return FeatureView(name=name, schema=[Field(name="f", dtype=Float32)], source=source)


@pytest.mark.parametrize("count", [2, 900], ids=["two views", "more views than a tag holds"])
def test_apply(feast: tuple[FeastMlflowLogger, Written], count: int) -> None:
    logger, written = feast
    views = [f"view_{number:04}" for number in range(count)]
    objects = [
        *map(view, views),
        Entity(name="driver", value_type=ValueType.INT64),
        FeatureService(name="svc", features=[]),
    ]
    happened = dict.fromkeys(views[1:], "CREATE") | {
        views[0]: "DELETE",
        "driver": "UPDATE",
        "svc": "CREATE",
    }

    assert logger.log_apply(objects, happened)

    changes = (
        Change("feature_view", views[0], ChangeClass.DELETED),
        *(Change("feature_view", name, ChangeClass.CREATED) for name in views[1:]),
        Change("entity", "driver", ChangeClass.JOIN_KEYS_CHANGED),
        Change("feature_service", "svc", ChangeClass.CREATED),
    )
    run = ours(OperationKind.APPLY, plan=Plan("d", PlanVerdict.CLEAN, changes=changes))
    assert_same(written, run)


@pytest.mark.parametrize("incremental", [False, True])
def test_materialize(feast: tuple[FeastMlflowLogger, Written], incremental: bool) -> None:
    logger, written = feast

    assert logger.log_materialize(
        ["a", "b"], None if incremental else START, END, 3.00004, incremental=incremental
    )

    views = tuple(
        ViewReport(
            name=name,
            kind="feature_view",
            result="Succeeded",
            start=START,
            end=END,
            seconds=1.50002,
            rows=3,
        )
        for name in ("a", "b")
    )
    run = ours(OperationKind.MATERIALIZE, incremental=incremental, views=views)
    assert_same(written, run)


@pytest.mark.parametrize("name", ["plain", "a/b", "..", "ünï cödé", "x" * 400, " a ", "a.b:c-d"])
def test_mlflow_takes_every_key_and_value(name: str) -> None:
    done = ViewReport(name=name, kind="feature_view", result="Succeeded", rows=1, seconds=1)
    views = (done, done.model_copy(update={"name": f"{name}/"}))

    run = ours(OperationKind.MATERIALIZE, views=views)

    assert len([key for key in run.metrics if "/rows/" in key]) == 2
    for key in run.metrics:
        _validate_metric_name(key)
    for key, value in run.tags.items():
        _validate_tag(key, value)
    for key, value in run.params.items():
        _validate_param(key, value)
