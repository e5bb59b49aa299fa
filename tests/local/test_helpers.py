"""An on-demand function imports a helper inside its body, and only the helper changes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state
from tests.local.test_serving import train

COMPUTED = """
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64

@on_demand_feature_view(
    sources=[driver_hourly_stats], schema=[Field(name="scaled", dtype=Float64)]
)
def computed(frame):
    from rates import scale
    frame["scaled"] = scale(frame["conv_rate"]).astype("float64")
    return frame[["scaled"]]

with_computed = FeatureService(name="with_computed", features=[computed])
"""
HELPER = "def scale(rate):\n    return rate * {factor}\n"


@pytest.mark.slow
async def test_a_helper_within_a_function_is_seen(
    tmp_path: Path,
    mlflow: MLflow,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = unique("helper")
    repo = write_repo(tmp_path / "repo", project, FEATURES + COMPUTED)
    (repo / "rates.py").write_text(HELPER.format(factor=2))
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(project))
    await run_once(tmp_path)
    with monkeypatch.context() as environment:
        environment.setenv("PYTHONPATH", str(repo))  # who trains runs the helper, too
        train(repo, mlflow, project, "with_computed")
    assert await run_once(tmp_path)
    assert read_state(tmp_path, "ranker", "ftm").status["lineage"]["verdict"] == "Verified"

    (repo / "rates.py").write_text(HELPER.format(factor=3))
    planned = json.loads(command("plan", str(tmp_path), "-o", "json").stdout)[0]
    assert [change["name"] for change in planned["changes"]] == ["computed"]
    kinds = {problem["kind"] for problem in planned["impacts"][0]["problems"]}
    assert kinds == {"TransformationChanged"}

    assert await run_once(tmp_path)
    lineage = read_state(tmp_path, "ranker", "ftm").status["lineage"]
    assert lineage["verdict"] == "Changed"
    assert {problem["kind"] for problem in lineage["problems"]} == {"TransformationChanged"}
