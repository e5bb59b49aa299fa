"""A large project as plain values: a registry, and model versions that were trained on it.

The same numbers give the same project, so that two runs measure the same work. Versions of a model
differ in their features, which is the expensive case: no links can be shared.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView, TrainingRun

PROJECT = "bench"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PER_VIEW = 20
PER_MODEL = 4
OPENED = 5
"""Number of views from which one model takes its features."""


@dataclass(frozen=True)
class SyntheticProject:
    """The size of the project.

    Attributes:
        views: feature views of `PER_VIEW` features each; every tenth feeds an on-demand view.
        versions: model versions, `PER_MODEL` to a model; the last of each is its champion.
        features: number of features of one version.
    """

    views: int = 500
    versions: int = 10_000
    features: int = 20

    def snapshot(self) -> RegistrySnapshot:
        """The registry."""
        source = {"name": "events", "type": "BATCH_FILE", "timestamp_field": "at"}
        return RegistrySnapshot(
            PROJECT,
            {
                "entity": {"driver": {"name": "driver", "join_key": "driver_id"}},
                "data_source": {"events": source},
                "feature_view": {
                    view_name(number): {
                        "name": view_name(number),
                        "batch_source": source,
                        "entities": ["driver"],
                        "entity_columns": [{"name": "driver_id", "value_type": "INT64"}],
                        "features": _columns("f", PER_VIEW),
                        "online": True,
                        "ttl": "86400s",
                    }
                    for number in range(self.views)
                },
                "on_demand_feature_view": dict(map(_on_demand, range(0, self.views, 10))),
            },
        )

    def view(self) -> RegistryView:
        """The facts of MLflow, as `tracking` reads them."""
        chance = random.Random(self.versions)
        versions: dict[str, dict[str, ModelVersion]] = {}
        runs = {}
        for number in range(self.versions):
            run = self._run(number, chance)
            name, version = f"model_{number // PER_MODEL:05}", str(number % PER_MODEL + 1)
            runs[run.run_id] = run
            versions.setdefault(name, {})[version] = ModelVersion(
                name,
                version,
                run.started_at + timedelta(minutes=5),
                source=f"models:/m-{number:032x}",
                run_id=run.run_id,
                aliases=("champion",) if number % PER_MODEL == PER_MODEL - 1 else (),
            )
        return RegistryView(NOW, versions, runs)

    def _run(self, number: int, chance: random.Random) -> TrainingRun:
        refs = training_refs(self, chance)
        tags = {
            "feast.project": PROJECT,
            "feast.feature_refs": ",".join(refs),
            "feast.feature_count": str(len(refs)),
        }
        return TrainingRun(f"{number:032x}", NOW - timedelta(days=1), tags=tags)


def training_refs(synthetic: SyntheticProject, chance: random.Random) -> list[str]:
    """References of one training run: some features of some views."""
    opened = chance.sample(range(synthetic.views), min(OPENED, synthetic.views))
    names = [f"{view_name(view)}:f{column}" for view in opened for column in range(PER_VIEW)]
    return chance.sample(names, min(synthetic.features, len(names)))


def view_name(number: int) -> str:
    return f"view_{number:03}"


def _columns(prefix: str, count: int) -> list[dict[str, str]]:
    return [{"name": f"{prefix}{column}", "value_type": "FLOAT"} for column in range(count)]


def _on_demand(number: int) -> tuple[str, dict[str, object]]:
    projection = {
        "feature_view_name": view_name(number),
        "feature_columns": _columns("f", 3),
        "view_type": "featureView",
    }
    name = f"computed_{number:03}"
    return name, {
        "name": name,
        "features": _columns("c", 2),
        "mode": "python",
        "sources": {view_name(number): {"feature_view_projection": projection}},
    }
