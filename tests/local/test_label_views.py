"""A champion that reads labels, which clients push and Feast refuses to materialize."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.forks.client import output_of
from tests.local.conftest import assert_quiet, run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state

TRAIN = Path(__file__).with_name("train_with_service.py")
LABELS = """
from feast import PushSource
from feast.labeling import LabelView

labels_file = FileSource(
    name="labels_file", path="data/labels.parquet", timestamp_field="event_timestamp"
)
labels = LabelView(
    name="labels", source=PushSource(name="labels_push", batch_source=labels_file),
    entities=[driver], labeler_field="labeler",
    schema=[
        Field(name="quality", dtype=Float32), Field(name="labeler", dtype=Int64),
    ],
)
rated = FeatureService(name="rated", features=[driver_hourly_stats[["trips"]], labels[["quality"]]])
"""
PUSH = """
import pandas as pd
from feast import FeatureStore
FeatureStore(".").push("labels_push", pd.read_parquet("data/labels.parquet"))
"""
SERVE = """
import json
from feast import FeatureStore
store = FeatureStore(".")
service = store.get_feature_service("rated")
found = store.get_online_features(service, [{"driver_id": 1002}], full_feature_names=True)
print(json.dumps(found.to_dict()))
"""
QUALITY = {"labels__quality": [0.25]}
CHANGES = {
    ('"quality", dtype=Float32', '"quality", dtype=Int64'): (
        "labels:quality changes type from FLOAT to INT64"
    ),
    ("labeler_field=", "online=False, labeler_field="): "labels is online=False",
}


@pytest.mark.slow
async def test_a_champion_that_reads_labels(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("labels")
    repo = write_repo(tmp_path / "repo", project, FEATURES + LABELS)
    rows = pd.DataFrame({"driver_id": [1001, 1002], "quality": [0.5, 0.25], "labeler": 7})
    rows["event_timestamp"] = pd.Timestamp.now("UTC") - pd.Timedelta(hours=1)
    rows.astype({"quality": "float32"}).to_parquet(repo / "data" / "labels.parquet")
    manifest = project_manifest(
        project, mlflow.url, freshness={"maxAge": "7d"}, runtime={"retries": 0},
        backfills=[backfill()],
    )  # fmt: skip
    write_yaml(tmp_path / "m.yaml", manifest)
    assert await run_once(tmp_path)
    output_of("-c", PUSH, cwd=repo)
    train = [sys.executable, str(TRAIN), str(repo), mlflow.url, project, "rated"]
    subprocess.run(train, check=True, timeout=300)
    model = model_manifest(project, readyRequires=["Lineage", "Freshness"])
    write_yaml(tmp_path / "m.yaml", manifest, model)

    assert await run_once(tmp_path)

    ranker = read_state(tmp_path, "ranker", "ftm")
    assert ranker.state("LineageVerified") == ("True", "Verified")
    assert ranker.status["lineage"]["features"] == ["driver_hourly_stats:trips", "labels:quality"]
    assert ranker.state("FeaturesFresh") == ("True", "Succeeded")
    assert ranker.state("Ready") == ("True", "Verified")
    assert read_state(tmp_path).state("Fresh") == ("True", "Succeeded")
    served = json.loads(output_of("-c", SERVE, cwd=repo).splitlines()[-1])
    assert served == {"driver_id": [1002], "driver_hourly_stats__trips": [7], **QUALITY}
    await assert_quiet(tmp_path)

    features = repo / "features.py"
    text = features.read_text()
    for (old, new), said in CHANGES.items():
        assert old in text
        features.write_text(text.replace(old, new))
        planned = command("plan", str(tmp_path), "--detailed-exitcode")
        assert planned.returncode == 3, planned.stdout
        assert f"Broken: {said}" in planned.stdout
    features.write_text(text)

    manifest["spec"]["backfills"].append({**backfill("labels"), "views": ["labels"]})
    write_yaml(tmp_path / "m.yaml", manifest, model)
    await run_once(tmp_path)

    refused = read_state(tmp_path)
    assert refused.state("Materialized") == ("False", "ViewsFailing")
    assert "Use FeatureStore.push() to write labels" in refused.message("Materialized")
    assert refused.state("Fresh") == ("True", "Succeeded")
