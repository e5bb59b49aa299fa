"""Trains on a feature service through Feast's own MLflow integration, and makes it the champion.

Run in a process of its own: REPO URL MODEL SERVICE [full|short|none], the names of columns in the
signature.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import yaml
from feast import FeatureStore, RepoConfig
from sklearn.linear_model import LinearRegression


def main(repo: Path, url: str, model: str, service: str, names: str = "full") -> None:
    os.chdir(repo)
    raw = yaml.safe_load(Path("feature_store.yaml").read_text())
    store = FeatureStore(config=RepoConfig(**raw, mlflow={"enabled": True, "tracking_uri": url}))
    now = datetime.now(UTC)
    keys = ("driver_id", "origin_id", "dest_id", "hour")
    entities = pd.DataFrame({key: [1001, 1002] for key in keys} | {"event_timestamp": [now, now]})
    with store.mlflow.start_run() as run:
        frame = store.get_historical_features(
            entities, store.get_feature_service(service), full_feature_names=names != "short"
        ).to_df()
        columns = frame.drop(columns=[*keys, "event_timestamp"]).select_dtypes("number")
        fitted = LinearRegression().fit(columns, [0.0, 1.0])
        example = None if names == "none" else columns
        packages = ["scikit-learn"]  # named, because MLflow looks for them in a slow process
        store.mlflow.log_model(fitted, "model", input_example=example, pip_requirements=packages)
        outputs = mlflow.MlflowClient(url).get_run(run.info.run_id).outputs.model_outputs
    store.mlflow.register_model(f"models:/{outputs[0].model_id}", model)
    client = mlflow.MlflowClient(url)
    newest = max(int(v.version) for v in client.search_model_versions(f"name='{model}'"))
    client.set_registered_model_alias(model, "champion", str(newest))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
