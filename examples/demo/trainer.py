"""The training code: a process that trains on request, because importing Feast takes 6 s.

It reads one JSON object per line, ``{"do": <function>, …}``, and answers each with one. The
functions do the same as a training script, and do not use the operator.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from feast import FeatureStore
from sklearn.linear_model import LinearRegression

from examples.demo.data import rides

# Set explicitly: otherwise MLflow loads the model in another process to find them.
REQUIREMENTS = ["scikit-learn"]
LABEL = "satisfaction"


def through_feast(repo: str, service: str, model: str, now: str) -> dict[str, Any]:
    """Point-in-time retrieval, training and registration by Feast's own MLflow integration."""
    store = FeatureStore(repo_path=repo)
    with store.mlflow.start_run(run_name=model) as run:
        training = store.get_historical_features(
            entity_df=rides(datetime.fromisoformat(now)),
            features=store.get_feature_service(service),
        ).to_df()
        keys = ("driver_id", "event_timestamp", LABEL)
        columns = [column for column in training.columns if column not in keys]
        training = training.dropna()
        fitted = LinearRegression().fit(training[columns], training[LABEL])
        mlflow.log_metric("r2", fitted.score(training[columns], training[LABEL]))
        store.mlflow.log_model(fitted, "model", pip_requirements=REQUIREMENTS)
        store.mlflow.register_model(f"runs:/{run.info.run_id}/model", model)
    version = _champion(model)
    tags = mlflow.MlflowClient().get_run(run.info.run_id).data.tags
    feast_tags = {key: value for key, value in tags.items() if key.startswith("feast.")}
    return {"version": version, "rows": len(training), "features": columns, "run": feast_tags}


def through_mlflow(source: str, columns: list[str], model: str) -> dict[str, Any]:
    """Train without Feast, so that MLflow has no record of the features."""
    mlflow.set_experiment(model)
    with mlflow.start_run(run_name=model):
        training = pd.read_parquet(Path(source))
        fitted = LinearRegression().fit(training[columns[:-1]], training[columns[-1]])
        logged = mlflow.sklearn.log_model(
            fitted,
            name="model",
            pip_requirements=REQUIREMENTS,
            registered_model_name=model,
        )
    return {"version": _champion(model), "uri": logged.model_uri}


def also_as(uri: str, model: str) -> dict[str, Any]:
    """Register a logged model under another name as well."""
    mlflow.register_model(uri, model)
    return {"version": _champion(model)}


def _champion(model: str) -> str:
    """Promote the newest version."""
    client = mlflow.MlflowClient()
    versions = client.search_model_versions(f"name = '{model}'")
    newest = max(versions, key=lambda version: int(version.version))
    client.set_registered_model_alias(model, "champion", newest.version)
    return str(newest.version)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "through_feast": through_feast,
    "through_mlflow": through_mlflow,
    "also_as": also_as,
}


def main() -> None:
    # Libraries print to standard output, which must contain only the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(TASKS[request.pop("do")](**request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
