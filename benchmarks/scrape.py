"""A scrape of 10,000 `TrainedModel`s and a project of 500 views.

The floor is prometheus_client's own writer on the same collector: the cost of a scrape without
`exposition`, which writes lines itself and keeps one slice in memory at a time.
"""

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.measure import Row, Size, timed_in_turn
from benchmarks.project_fixture import NOW, PROJECT, SyntheticProject, view_name
from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.metrics import FactTimes, State, StateCollector
from feature_lineage.metrics.families import exposition

KEY = ("ml", "ranking")


def scrape(size: Size) -> Iterator[Row]:
    """The time of a whole exposition, and its peak memory."""
    models, views = (50, 10) if size.quick else (10_000, 500)
    state = _state(models, SyntheticProject(views=views))
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: state, lambda: NOW))
    text = b"".join(exposition(registry))
    if sorted(text.splitlines()) != sorted(generate_latest(registry).splitlines()):
        raise RuntimeError("the exposition is not what the library writes")
    name = f"scrape {models:,} models, {views} views, {text.count(b'{'):,} series"
    floor, ours = timed_in_turn(size, lambda: generate_latest(registry), lambda: _read(registry))
    yield Row(name, ours, floor, "prometheus_client's writer", goal=1.0)
    peaks = [_peak(lambda: generate_latest(registry)), _peak(lambda: _read(registry))]
    yield Row(f"{name}, peak", peaks[1:], peaks[:1], "prometheus_client's writer", "MB", goal=1.0)


def _read(registry: CollectorRegistry) -> int:
    return sum(map(len, exposition(registry)))


def _peak(work: Any) -> float:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def _state(models: int, synthetic: SyntheticProject) -> State:
    project = FeatureStoreProject.model_validate(
        {
            "metadata": {"name": KEY[1], "namespace": KEY[0]},
            "spec": {
                "project": PROJECT,
                "source": {"git": {"url": "https://git.example/r.git", "ref": {"branch": "main"}}},
                "freshness": {"maxAge": "1h"},
                "mlflow": {"trackingUri": "http://mlflow:5000"},
            },
            "status": {
                "featureViews": [
                    {
                        "name": view_name(number),
                        "kind": "feature_view",
                        "materializedUntil": _ago(minutes=number),
                        "lastResult": "Succeeded",
                        "rows": 1000,
                    }
                    for number in range(synthetic.views)
                ],
                "registry": {"digest": "d" * 64, "observedAt": _ago(minutes=10)},
                "conditions": [_condition("Ready"), _condition("SourceReady")],
            },
        }
    )
    trained = tuple(_model(number, synthetic) for number in range(models))
    facts = FactTimes(NOW - timedelta(seconds=30), NOW - timedelta(seconds=30))
    return State((project,), trained, {KEY: synthetic.snapshot()}, {KEY: facts})


def _model(number: int, synthetic: SyntheticProject) -> TrainedModel:
    views = [view_name((number + step * 7) % synthetic.views) for step in range(3)]
    return TrainedModel.model_validate(
        {
            "metadata": {"name": f"model-{number:05}", "namespace": KEY[0]},
            "spec": {
                "projectRef": {"name": KEY[1]},
                "model": {"name": f"model_{number:05}", "alias": "champion"},
            },
            "status": {
                "resolved": {"version": "4"},
                "lineage": {
                    "featureViews": sorted(set(views)),
                    "featureViewsTotal": len(set(views)),
                    "featureCount": synthetic.features,
                    "verdict": "Verified",
                    "verdictSince": _ago(hours=2),
                },
                "conditions": [_condition("Ready"), _condition("LineageVerified")],
            },
        }
    )


def _condition(name: str) -> dict[str, str]:
    return {
        "type": name,
        "status": "True",
        "reason": "Succeeded",
        "lastTransitionTime": _ago(hours=2),
    }


def _ago(**ago: float) -> str:
    return f"{NOW - timedelta(**ago):%Y-%m-%dT%H:%M:%SZ}"
