"""Views that nothing materializes: their freshness is the truth, and no alarm without a cause."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import read_state

MORE = """
from feast import LabelView, PushSource
from feast.on_demand_feature_view import on_demand_feature_view

schema = [Field(name="trips", dtype=Int64)]
offline = FeatureView(
    name="offline", entities=[driver], source=source, schema=schema, online=False
)
disabled = FeatureView(
    name="disabled", entities=[driver], source=source, schema=schema, enabled=False
)
labels = LabelView(
    name="labels", entities=[driver], source=PushSource(name="labels"), schema=schema
)

@on_demand_feature_view(sources=[driver_hourly_stats], schema=schema, write_to_online_store=True)
def keyless(df):
    return df[["trips"]]
"""
"""`keyless` names no entities: Feast has no key for its rows, so no job can write them."""
FRESH = {
    "driver_hourly_stats": ("True", "Succeeded"),
    "offline": ("Unknown", "NotServedOnline"),
    "labels": ("Unknown", "NoObjective"),
    "keyless": ("False", "NeverMaterialized"),
}


@pytest.mark.slow
async def test_what_nothing_materializes_is_not_called_fresh(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("never")
    write_repo(tmp_path / "repo", project, FEATURES + MORE)
    models = {name: unique("model") for name in FRESH}
    spec = {"freshness": {"maxAge": "7d"}, "runtime": {"retries": 0}, "backfills": [backfill()]}
    write_yaml(
        tmp_path / "m.yaml",
        project_manifest(project, mlflow.url, **spec),
        *(model_manifest(model, name=name.replace("_", "-")) for name, model in models.items()),
    )
    await run_once(tmp_path)
    for name, model in models.items():
        mlflow.train(model, project, [f"{name}:trips"], alias="champion")
    await run_once(tmp_path)

    seen = {name: read_state(tmp_path, name.replace("_", "-"), "ftm") for name in FRESH}
    assert {name: model.state("FeaturesFresh") for name, model in seen.items()} == FRESH
    assert "offline is not online: Feast serves it offline" in seen["offline"].message(
        "FeaturesFresh"
    )
    status = read_state(tmp_path)
    assert status.state("Fresh") == ("False", "NeverMaterialized")
    assert status.message("Fresh") == "never materialized: keyless", "disabled is no alarm"
    assert "write entities=[…] in the view" in status.view("keyless")["lastError"]
