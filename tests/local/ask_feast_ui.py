"""Asks the UI server of Feast for what it knows of MLflow: the folder of a repo → JSON."""

import json
import sys

from fastapi.testclient import TestClient
from feast import FeatureStore
from feast.ui_server import get_app

store = FeatureStore(repo_path=sys.argv[1])
client = TestClient(get_app(store, store.project))
paths = ("mlflow-runs", "mlflow-feature-usage", "mlflow-feature-models")
print(json.dumps({path: client.get(f"/api/{path}").json() for path in paths}))
