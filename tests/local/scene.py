"""A small real setup: a Feast repo with data, manifests, and a model version with its run."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import yaml

FEATURE_STORE = """\
project: {project}
registry: data/registry.db
provider: local
online_store: {{type: sqlite, path: data/online.db}}
entity_key_serialization_version: 3
"""

FEATURES = """\
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(
    name="driver_stats", path="data/stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
driver_hourly_stats = FeatureView(
    name="driver_hourly_stats", entities=[driver], ttl=timedelta(days=365), source=source,
    schema=[
        Field(name="conv_rate", dtype=Float32),
        Field(name="acc_rate", dtype=Float32),
        Field(name="trips", dtype=Int64),
    ],
)
driver_activity_v1 = FeatureService(
    name="driver_activity_v1", features=[driver_hourly_stats[["conv_rate", "trips"]]]
)
"""

GUARD_SECONDS = 10
"""maxGuardAge of tests with a slow import: a host answers within a fraction of it."""

MONTH = timedelta(days=30)


def write_repo(folder: Path, project: str, features: str = FEATURES) -> Path:
    """A Feast repo with two days of data for five drivers."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "feature_store.yaml").write_text(FEATURE_STORE.format(project=project))
    (folder / "features.py").write_text(features)
    hours = pd.date_range(end=pd.Timestamp.now("UTC").floor("h"), periods=48, freq="h")
    frame = pd.DataFrame(
        [
            {
                "driver_id": 1001 + driver,
                "event_timestamp": hour,
                "created": hour,
                "conv_rate": driver / 10,
                "acc_rate": driver / 20,
                "trips": driver * 7,
            }
            for hour in hours
            for driver in range(5)
        ]
    ).astype({"conv_rate": "float32", "acc_rate": "float32"})
    frame.to_parquet(folder / "data" / "stats.parquet")
    return folder


def slow_import(features: str, seconds: float = GUARD_SECONDS + 1) -> str:
    """Features whose import takes so long; by default longer than `GUARD_SECONDS`."""
    return f"import time\n\ntime.sleep({seconds})\n{features}"


def guard_age(seconds: float = GUARD_SECONDS) -> dict[str, Any]:
    """`spec.apply` with this maxGuardAge."""
    return {"protection": {"maxGuardAge": f"{seconds}s"}}


def write_yaml(path: Path, *documents: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))


def project_manifest(
    project: str, mlflow: str | None = None, *, name: str = "driver", **spec: Any
) -> dict[str, Any]:
    """A FeatureStoreProject on ``./repo``."""
    body: dict[str, Any] = {"project": project, "source": {"local": {"path": "repo"}}}
    if mlflow is not None:
        body["mlflow"] = {"trackingUri": mlflow, "pollInterval": "1s"}
    return {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "FeatureStoreProject",
        "metadata": {"name": name},
        "spec": {**body, **spec},
    }


def model_manifest(model: str, *, name: str = "ranker", **spec: Any) -> dict[str, Any]:
    """A TrainedModel that follows the alias champion."""
    body = {"projectRef": {"name": "driver"}, "model": {"name": model, "alias": "champion"}}
    return {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "TrainedModel",
        "metadata": {"name": name},
        "spec": {**body, **spec},
    }


def backfill(name: str = "initial") -> dict[str, Any]:
    """The last month, in one chunk."""
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = (end - MONTH).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"name": name, "start": start, "end": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "chunk": "60d"}


@dataclass(frozen=True)
class MLflow:
    """MLflow's REST API as a user's training script calls it."""

    url: str
    auth: tuple[str, str] | None = None

    @cached_property
    def _api(self) -> httpx.Client:
        """Cached: a new client reads the machine's certificates, which is slower than a request."""
        return httpx.Client(base_url=f"{self.url}/api/2.0/mlflow", auth=self.auth, timeout=60)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._api.post(path, json=body)
        assert answer.is_success, answer.text
        return dict(answer.json() or {})

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self._api.get(path, params=query)
        assert answer.is_success, answer.text
        return dict(answer.json() or {})

    def delete(self, path: str, **body: Any) -> None:
        answer = self._api.request("DELETE", path, json=body)
        assert answer.is_success, answer.text

    def create_experiment(self, name: str) -> str:
        return str(self.post("experiments/create", name=name)["experiment_id"])

    def train(
        self,
        model: str,
        project: str,
        refs: list[str],
        *,
        alias: str | None = None,
        experiment: str | None = None,
        **tags: str,
    ) -> str:
        """Create a run with Feast's tags, register a version from it, and return its number."""
        place = "0"
        if experiment is not None:
            found = self.get("experiments/get-by-name", experiment_name=experiment)
            place = found["experiment"]["experiment_id"]
        recorded = {
            "feast.project": project,
            "feast.feature_refs": ",".join(refs),
            "feast.feature_count": str(len(refs)),
            **tags,
        }
        now = int(datetime.now(UTC).timestamp() * 1000)
        run = self.post(
            "runs/create",
            experiment_id=place,
            start_time=now,
            tags=[{"key": key, "value": value} for key, value in recorded.items()],
        )["run"]["info"]["run_id"]
        self.post("runs/update", run_id=run, status="FINISHED", end_time=now + 1)
        if not self._has_model(model):
            self.post("registered-models/create", name=model)
        version = str(
            self.post("model-versions/create", name=model, source=f"runs:/{run}/model", run_id=run)[
                "model_version"
            ]["version"]
        )
        if alias is not None:
            self.set_alias(model, alias, version)
        return version

    def set_alias(self, model: str, alias: str, version: str) -> None:
        self.post("registered-models/alias", name=model, alias=alias, version=version)

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        found = self.get("model-versions/get", name=model, version=version)["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}

    def ops_runs(self, project: str, suffix: str = "-feast-ops") -> list[dict[str, Any]]:
        """Return a project's ops runs, oldest first, with tags, params and metrics as dicts."""
        answer = self._api.get(
            "experiments/get-by-name", params={"experiment_name": f"{project}{suffix}"}
        )
        if answer.status_code == 404:
            return []
        experiment = answer.json()["experiment"]["experiment_id"]
        found = self.post(
            "runs/search",
            experiment_ids=[experiment],
            max_results=1000,
            order_by=["attributes.start_time ASC"],
        )
        return [
            {
                "run_id": run["info"]["run_id"],
                "status": run["info"]["status"],
                **{
                    part: {item["key"]: item["value"] for item in run["data"].get(part, [])}
                    for part in ("tags", "params", "metrics")
                },
            }
            for run in found.get("runs", [])
        ]

    def artifacts(self, run_id: str) -> list[str]:
        """Return the sorted paths of a run's artifacts."""
        found = self.get("artifacts/list", run_id=run_id).get("files", [])
        return sorted(item["path"] for item in found)

    def _has_model(self, model: str) -> bool:
        return self._api.get("registered-models/get", params={"name": model}).is_success
