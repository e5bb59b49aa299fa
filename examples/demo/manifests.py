"""The manifests that the demo writes; a user would keep them in Git."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

API_VERSION = "featurelineage.io/v1alpha1"
PROJECT = "driver-ranking"
CHAMPION = "driver-model"
PLAIN = "activity-model"
OBSERVED = "driver-ranking-airflow"
OBSERVED_MODEL = "night-model"


def project(folder: Path, mlflow: str, now: datetime, annotations: dict[str, str]) -> Path:
    """The project whose repo the operator applies."""
    spec = {
        "project": "driver_ranking",
        "source": {"local": {"path": "feature_repo"}},
        "backfills": [
            {
                "name": "first-load",
                "start": _text(now - timedelta(days=10)),
                "end": _text(now),
                "chunk": "30d",
            }
        ],
        "freshness": {"maxAge": "1d"},
        "mlflow": {"trackingUri": mlflow, "pollInterval": "2s"},
    }
    metadata: dict[str, Any] = {"name": PROJECT}
    if annotations:
        metadata["annotations"] = annotations
    return _write(folder / "project.yaml", _resource("FeatureStoreProject", metadata, spec))


def models(folder: Path) -> Path:
    """Both models: MLflow has the features of one, and the manifest declares those of the other."""
    recorded = {
        "projectRef": {"name": PROJECT},
        "model": {"name": "driver_model", "alias": "champion"},
    }
    declared = {
        "projectRef": {"name": PROJECT},
        "model": {"name": "activity_model", "alias": "champion"},
        "featureService": "driver_activity_v1",
    }
    return _write(
        folder / "models.yaml",
        _resource("TrainedModel", {"name": CHAMPION}, recorded),
        _resource("TrainedModel", {"name": PLAIN}, declared),
    )


def observed(folder: Path, mlflow: str, feature_store_yaml: str) -> Path:
    """A project that another tool applies: only the registry is needed, no repo."""
    name = "airflow-feature-store"
    store = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"feature_store.yaml": feature_store_yaml},
    }
    spec = {
        "project": "driver_ranking_airflow",
        "apply": {"mode": "Observe"},
        "featureStoreYaml": {"configMapKeyRef": {"name": name, "key": "feature_store.yaml"}},
        "freshness": {"maxAge": "1d"},
        "mlflow": {"trackingUri": mlflow, "pollInterval": "2s"},
    }
    model = {
        "projectRef": {"name": OBSERVED},
        "model": {"name": "night_model", "alias": "champion"},
        "featureService": "driver_activity_v1",
    }
    return _write(
        folder / "project.yaml",
        store,
        _resource("FeatureStoreProject", {"name": OBSERVED}, spec),
        _resource("TrainedModel", {"name": OBSERVED_MODEL}, model),
    )


def _resource(kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _write(path: Path, *documents: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    return path


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
