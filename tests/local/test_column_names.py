"""A model reads its columns by full or by short names: only changes of these names count."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.forks.client import output_of
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

TRAIN = Path(__file__).with_name("train_with_service.py")
FORMS = ("full", "short", "none")
MEMBER = 'driver_hourly_stats[["conv_rate", "trips"]]'
SERVICE = FEATURES.replace(MEMBER, f'{MEMBER}.with_name("stats")')
RENAMED = FEATURES.replace(MEMBER, f'{MEMBER}.with_name("activity")')
"""Another alias: the full names of the columns are others, the short ones are not."""
AGAIN = SERVICE.replace(
    "driver_activity_v1 =",
    'again = FeatureView(name="again", entities=[driver], source=source, ttl=timedelta(days=365),'
    '\n    schema=[Field(name="trips", dtype=Int64)])\ndriver_activity_v1 =',
).replace('.with_name("stats")', '.with_name("stats"), again')
"""A second column with the short name trips."""


@pytest.mark.slow
async def test_only_names_that_the_model_reads_count(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("names")
    repo = write_repo(tmp_path / "repo", project, SERVICE)
    models = {form: f"{project}_{form}" for form in FORMS}
    manifests = [model_manifest(model, name=form) for form, model in models.items()]
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), *manifests)
    await run_once(tmp_path)
    for form, model in models.items():
        arguments = [str(repo), mlflow.url, model, "driver_activity_v1", form]
        output_of(str(TRAIN), *arguments, training=True)
    assert await run_once(tmp_path)
    lineage = {form: read_state(tmp_path, form, "ftm").status["lineage"] for form in FORMS}
    assert {form: each["verdict"] for form, each in lineage.items()} == dict.fromkeys(
        FORMS, "Verified"
    )
    assert {form: each["columnNames"] for form, each in lineage.items()} == {
        "full": "Full",
        "short": "Short",
        "none": "Unknown",
    }

    def kinds(text: str) -> dict[str, set[str]]:
        (repo / "features.py").write_text(text)
        plan = json.loads(command("plan", str(tmp_path), "-o", "json").stdout)[0]
        found: dict[str, set[str]] = {form: set() for form in FORMS}
        for impact in plan["impacts"]:
            form = impact["model"].removeprefix(f"{project}_")
            found[form] = {problem["kind"] for problem in impact["problems"]}
        return found

    renamed, again = kinds(RENAMED), kinds(AGAIN)
    assert renamed == {"full": {"ColumnRenamed"}, "short": set(), "none": {"ColumnRenamed"}}
    grew, collide = {"ServiceGrew"}, {"NamesCollide"}
    short = collide | {"ServingFails"}  # Feast refuses the short names, and says so
    assert again == {"full": grew, "short": short, "none": grew | collide}
