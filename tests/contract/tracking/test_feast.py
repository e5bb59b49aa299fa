"""The records that Feast writes to MLflow, as our view of the registry shows them."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.tracking.conftest import unique
from tests.forks.client import output_of
from tests.servers.mlflow import Server

from feature_lineage.tracking import MLflowRegistry


@pytest.mark.slow
async def test_models_trained_with_feast(
    registry: MLflowRegistry, mlflow_server: Server, tmp_path: Path
) -> None:
    model = unique("driver_model")
    script = Path(__file__).with_name("train_with_feast.py")
    arguments = [str(script), str(tmp_path), mlflow_server.url, model]
    env = {**os.environ, "MLFLOW_TRACKING_URI": mlflow_server.url}
    trained = output_of(*arguments, training=True, cwd=tmp_path, env=env)
    runs = json.loads(trained.splitlines()[-1])

    view = await registry.view(max_age=timedelta(0), full=True)

    few, many = view.versions[model].values()
    assert (few.run_id, many.run_id) == (runs["few"], runs["many"])
    assert few.source == f"models:/{few.model_id}"
    assert few.tags == {"feast.feature_service": "few"}
    tags = view.runs[few.run_id].tags
    assert tags["feast.project"] == "driver_ranking"
    assert tags["feast.feature_service"] == "few"
    assert tags["feast.feature_views"] == "driver_hourly_stats"
    assert tags["feast.feature_count"] == "2"
    refs = [f"driver_hourly_stats:feature_number_00{i}" for i in range(2)]
    assert tags["feast.feature_refs"].split(",") == refs
    assert view.runs[few.run_id].features_artifact is None

    # 300 references: Feast cuts the tag at 4,990 characters and derives its artifact from the tag.
    cut = view.runs[many.run_id]
    assert cut.tags["feast.feature_count"] == "300"
    assert cut.tags["feast.feature_refs"].endswith("...")
    assert cut.features_artifact is not None
    assert 100 < len(cut.features_artifact) < 150
