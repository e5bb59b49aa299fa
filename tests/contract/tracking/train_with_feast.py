"""Trains with Feast's own MLflow integration, in a separate process; prints the ids of the runs.

`test_feast` runs this file: the import of feast takes seconds and changes its process.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pandas as pd
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RepoConfig,
    ValueType,
)
from feast.types import Float64
from sklearn.linear_model import LinearRegression

PROJECT = "driver_ranking"


def main(folder: Path, url: str, model: str) -> None:
    store = FeatureStore(
        config=RepoConfig(
            project=PROJECT,
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
            mlflow={"enabled": True, "tracking_uri": url},
        )
    )
    names = [f"feature_number_{i:03}" for i in range(300)]
    now = datetime.now(UTC)
    rows = pd.DataFrame({name: [1.0, 2.0] for name in names})
    rows["driver_id"], rows["event_timestamp"] = [1, 2], now - timedelta(hours=1)
    rows.to_parquet(folder / "rows.parquet")
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="driver_hourly_stats",
        entities=[driver],
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_timestamp"),
    )
    few = FeatureService(name="few", features=[view[names[:2]]])
    many = FeatureService(name="many", features=[view])
    store.apply([driver, view, few, many])
    entities = pd.DataFrame({"driver_id": [1, 2], "event_timestamp": [now, now]})
    runs = {}
    for service in (few, many):
        with store.mlflow.start_run(run_name=service.name) as run:
            frame = store.get_historical_features(entities, service).to_df()
            fitted = LinearRegression().fit(frame[[names[0]]], [0.0, 1.0])
            store.mlflow.log_model(fitted, "model")
            runs[service.name] = run.info.run_id
            outputs = mlflow.MlflowClient(url).get_run(run.info.run_id).outputs.model_outputs
        store.mlflow.register_model(f"models:/{outputs[0].model_id}", model)
    print(json.dumps(runs))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
