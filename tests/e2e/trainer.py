"""Trains and registers models in a pod, as the script of a data scientist does.

It runs in the folder of feature_store.yaml, on the runner's image:
``trainer.py SERVICE MODEL [SERVICE MODEL …]``.
"""

import sys
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from feast import FeatureStore


class Linear(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """A sum of features with weights."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def predict(self, context: Any, model_input: pd.DataFrame) -> Any:
        return model_input.to_numpy() @ self.weights


def main() -> None:
    store, arguments = FeatureStore(repo_path="."), iter(sys.argv[1:])
    for service, model in zip(arguments, arguments, strict=True):
        train(store, service, model)


def train(store: FeatureStore, service: str, model: str) -> None:
    rides = pd.read_parquet("data/stats.parquet")[["driver_id", "event_timestamp"]]
    with store.mlflow.start_run(run_name=model) as run:
        training = store.get_historical_features(
            entity_df=rides, features=store.get_feature_service(service)
        ).to_df()
        features = training.drop(columns=["driver_id", "event_timestamp"]).to_numpy(
            dtype=float, na_value=0
        )
        weights, *_ = np.linalg.lstsq(features, features.sum(axis=1), rcond=None)
        mlflow.log_metric("rows", len(training))
        mlflow.pyfunc.log_model(
            name="model", python_model=Linear(weights), pip_requirements=["numpy", "pandas"]
        )
        store.mlflow.register_model(f"runs:/{run.info.run_id}/model", model)
    client = mlflow.MlflowClient()
    versions = client.search_model_versions(f"name = '{model}'")
    newest = max(versions, key=lambda version: int(version.version))
    client.set_registered_model_alias(model, "champion", newest.version)
    print(f"{model} v{newest.version} is champion; {len(training)} rows")


if __name__ == "__main__":
    main()
