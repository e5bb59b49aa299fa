"""Ways of training and recording, each with Feast's own integration for MLflow.

`test_lineage` runs this file in a process of its own, because Feast changes the process that
imports it. `train` runs every scene; `serve` asks Feast what it serves for each model.
"""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FEATURES: Final = """\
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(name="rows", path="data/rows.parquet", timestamp_field="event_timestamp")


def view(name, features):
    return FeatureView(
        name=name, entities=[driver], ttl=timedelta(days=30), source=source,
        schema=[Field(name=feature, dtype=Float64) for feature in features],
    )


stats = view("stats", ["conv_rate", "acc_rate", "trips"])
odd = view("odd", ["max,rate", "low"])
wide = view("wide", [f"feature_number_{i:03}" for i in range(300)])
svc_a = FeatureService(name="svc_a", features=[stats[["conv_rate", "trips"]]])
svc_b = FeatureService(name="svc_b", features=[stats[["acc_rate"]]])
svc_odd = FeatureService(name="svc_odd", features=[odd])
svc_wide = FeatureService(name="svc_wide", features=[wide])
"""
COLUMNS: Final = ("conv_rate", "acc_rate", "trips", "max,rate", "low")
WIDE: Final = tuple(f"feature_number_{i:03}" for i in range(300))
A: Final = ("stats:conv_rate", "stats:trips")

Scene = Callable[["Trainer", str], None]
SCENES: dict[str, Scene] = {}


def scene(train: Scene) -> Scene:
    SCENES[train.__name__.replace("_", "-")] = train
    return train


class Trainer:
    """A store with MLflow, and the calls of a training script."""

    def __init__(self, repo: Path, url: str, project: str) -> None:
        import mlflow
        import pandas as pd
        import yaml
        from feast import FeatureStore, RepoConfig

        self.mlflow, self.url, self.repo, self.pandas = mlflow, url, repo, pd
        settings = yaml.safe_load((repo / "feature_store.yaml").read_text(encoding="utf-8"))
        self.store = FeatureStore(
            config=RepoConfig(
                **settings | {"project": project},
                repo_path=repo,
                mlflow={"enabled": True, "tracking_uri": url},
            )
        )
        self.client = mlflow.MlflowClient(url)
        self.project = project
        now = datetime.now(UTC)
        self.entities = pd.DataFrame({"driver_id": [1, 2], "event_timestamp": [now, now]})

    def service(self, name: str) -> Any:
        return self.store.get_feature_service(name)

    def hist(self, features: str | Sequence[str]) -> Any:
        asked = self.service(features) if isinstance(features, str) else list(features)
        return self.store.get_historical_features(self.entities, asked).to_df()

    def online(self, features: str | Sequence[str]) -> dict[str, Any]:
        asked = self.service(features) if isinstance(features, str) else list(features)
        answer = self.store.get_online_features(asked, [{"driver_id": 1}])
        return dict(answer.to_dict())

    @contextmanager
    def run(self, *, nested: bool = False) -> Any:
        with self.store.mlflow.start_run(nested=nested) as active:
            yield active.info.run_id

    def log(self, *, by_feast: bool = True, example: Any = None) -> str:
        """Log a model in the active run; returns its URI."""
        from sklearn.linear_model import LinearRegression

        columns = [[1.0], [2.0]] if example is None else example
        model = LinearRegression().fit(columns, [0.0, 1.0])
        more = {"pip_requirements": ["scikit-learn"], "input_example": example}
        if by_feast:
            self.store.mlflow.log_model(model, "model", **more)
        else:
            self.mlflow.sklearn.log_model(model, name="model", **more)
        run = self.client.get_run(self.mlflow.active_run().info.run_id)
        return f"models:/{run.outputs.model_outputs[-1].model_id}"

    def register(self, uri: str, name: str) -> None:
        """Register with Feast, which copies the name of the service to the version."""
        version = self.store.mlflow.register_model(uri, name)
        self.champion(name, version.version)

    def champion(self, name: str, version: Any) -> None:
        self.client.set_registered_model_alias(name, "champion", str(version))


@scene
def service(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
    t.register(uri, name)


@scene
def logged_by_mlflow(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log(by_feast=False)
    t.register(uri, name)


@scene
def plain_list(t: Trainer, name: str) -> None:
    with t.run():
        t.hist(["stats:trips"])
        uri = t.log()
    t.register(uri, name)


@scene
def online_after(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        t.register(t.log(), name)
        t.online("svc_b")


@scene
def online_after_registered_later(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
        t.online("svc_b")
    t.register(uri, name)


@scene
def online_before(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        t.online("svc_b")
        uri = t.log()
    t.register(uri, name)


@scene
def online_only(t: Trainer, name: str) -> None:
    with t.run():
        t.online("svc_a")
        uri = t.log()
    t.register(uri, name)


@scene
def two_before(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_b")
        t.hist("svc_a")
        uri = t.log()
    t.register(uri, name)


@scene
def two_before_with_signature(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_b")
        frame = t.hist("svc_a")
        uri = t.log(example=frame[["conv_rate", "trips"]])
    t.register(uri, name)


@scene
def two_around(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
        t.hist("svc_b")
    t.register(uri, name)


@scene
def three(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
        t.online("svc_a")
        t.online("svc_b")
    t.register(uri, name)


@scene
def same_list_reordered(t: Trainer, name: str) -> None:
    with t.run():
        t.hist(A)
        uri = t.log()
        t.hist(tuple(reversed(A)))
    t.register(uri, name)


@scene
def retrieved_after_the_model(t: Trainer, name: str) -> None:
    with t.run():
        uri = t.log()
        t.hist("svc_a")
    t.register(uri, name)


@scene
def nested(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        with t.mlflow.start_run(nested=True):
            uri = t.log(by_feast=False)
    t.register(uri, name)


@scene
def nested_with_its_own(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        with t.run(nested=True):
            t.hist("svc_b")
            uri = t.log()
    t.register(uri, name)


@scene
def nested_with_online(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        with t.run(nested=True):
            uri = t.log()
            t.online("svc_b")
    t.register(uri, name)


@scene
def copied(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
        t.online("svc_b")
    t.register(uri, f"{name}-staging")
    version = t.client.copy_model_version(f"models:/{name}-staging/1", name)
    t.champion(name, version.version)


@scene
def run_of_another_model(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_a")
        uri = t.log()
    with t.run() as other:
        t.hist("svc_b")
        t.log()
    t.client.create_registered_model(name)
    version = t.client.create_model_version(
        name, uri, run_id=other, model_id=uri.removeprefix("models:/")
    )
    t.champion(name, version.version)


@scene
def deleted_run(t: Trainer, name: str) -> None:
    with t.run() as run_id:
        t.hist("svc_a")
        uri = t.log()
    t.register(uri, name)
    t.client.delete_run(run_id)


@scene
def tag_overwritten(t: Trainer, name: str) -> None:
    with t.run() as run_id:
        t.hist("svc_a")
        uri = t.log()
    t.register(uri, name)
    t.client.set_tag(run_id, "feast.feature_refs", "stats:acc_rate")


@scene
def comma(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_odd")
        uri = t.log()
    t.register(uri, name)


@scene
def tag_cut(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_wide")
        uri = t.log()
    t.register(uri, name)


@scene
def tag_cut_then_online(t: Trainer, name: str) -> None:
    with t.run():
        t.hist("svc_wide")
        t.register(t.log(), name)
        t.online("svc_b")


@scene
def other_project(t: Trainer, name: str) -> None:
    other = Trainer(t.repo, t.url, f"{t.project}_other")
    objects = [t.store.get_entity("driver"), t.store.get_feature_view("stats"), t.service("svc_a")]
    other.store.apply(objects)
    with other.run():
        other.hist("svc_a")
        uri = other.log()
    other.register(uri, name)


def train(t: Trainer, folder: Path) -> dict[str, str]:
    """Run all scenes; returns their failures."""
    t.store.materialize_incremental(datetime.now(UTC))
    failed = {}
    for name, run in SCENES.items():
        try:
            run(t, f"{t.project}-{name}")
        except Exception as error:  # noqa: BLE001
            failed[name] = f"{type(error).__name__}: {error}"
    return failed


def serve(t: Trainer, features: dict[str, list[str]]) -> dict[str, list[str]]:
    """For each scene what `resolve_features` answers, and whether its features are served."""
    found = {}
    for name, refs in features.items():
        try:
            resolved = t.store.mlflow.resolve_features(f"models:/{t.project}-{name}/champion")
        except Exception as error:  # noqa: BLE001
            resolved = type(error).__name__
        try:
            values = t.online(refs) if refs else {}
            served = "answers" if all(v[0] is not None for v in values.values()) else "None"
        except Exception as error:  # noqa: BLE001
            served = type(error).__name__
        found[name] = [resolved, served if refs else ""]
    return found


if __name__ == "__main__":
    command, where, address, project_name, request = sys.argv[1:]
    trainer = Trainer(Path(where), address, project_name)
    answer: Any
    if command == "train":
        answer = train(trainer, Path(where))
    else:
        answer = serve(trainer, json.loads(request))
    print(json.dumps(answer))
