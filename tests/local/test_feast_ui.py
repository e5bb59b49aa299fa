"""The answers for Feast's UI beside those of Feast's own UI server, on the same MLflow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.forks.client import output_of
from tests.local.conftest import run_once
from tests.local.scene import MLflow, model_manifest, project_manifest, write_repo, write_yaml
from tests.local.test_api import served

CONV, TRIPS = "driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"
OURS = "/feast/default/driver/api"
RETRIEVAL = {"feast.retrieval_type": "historical", "feast.entity_count": "5"}


def shape(value: Any) -> Any:
    """The types of a JSON value; of a list those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value)


def without_aliases(value: Any) -> Any:
    """Without the field that Feast does not have."""
    if isinstance(value, dict):
        return {k: without_aliases(v) for k, v in value.items() if k != "aliases"}
    return [without_aliases(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
async def test_feasts_ui_gets_what_feast_tells_and_the_rest(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("feastui")
    model = f"{project}_model"
    repo = write_repo(tmp_path / "repo", project)
    settings = f"mlflow: {{enabled: true, tracking_uri: '{mlflow.url}'}}\n"
    with (repo / "feature_store.yaml").open("a") as file:
        file.write(settings)
    write_yaml(tmp_path / "m.yaml", project_manifest(project, mlflow.url), model_manifest(model))
    await run_once(tmp_path)
    mlflow.create_experiment(project)
    service = {"feast.feature_service": "driver_activity_v1"}
    for refs, alias in (([CONV, TRIPS], "champion"), ([CONV], None)):
        tags = {**RETRIEVAL, **service, "feast.feature_views": "driver_hourly_stats"}
        mlflow.train(model, project, refs, alias=alias, experiment=project, **tags)
        service = {}
    theirs = json.loads(output_of("tests/local/ask_feast_ui.py", str(repo), training=True))
    async with served(tmp_path) as (host, client):
        assert await host.run_once()
        ours = {path: (await client.get(f"{OURS}/{path}")).json() for path in theirs}
        few = (await client.get(f"{OURS}/mlflow-runs", params={"max_results": 1})).json()
        many = await client.get(f"{OURS}/mlflow-runs", params={"max_results": 10_000})

    # The same shape, to the types.
    assert shape(without_aliases(ours["mlflow-runs"])) == shape(theirs["mlflow-runs"])
    assert shape(ours["mlflow-feature-usage"]) == shape(theirs["mlflow-feature-usage"])
    mine, peer = ours["mlflow-feature-models"], theirs["mlflow-feature-models"]
    assert (
        shape(without_aliases(mine))["feature_models"][CONV]
        == (shape(peer)["feature_models"][CONV])
    )

    # What Feast tells is told alike: the newest version, its run, its address.
    newest = peer["feature_models"][CONV][0]
    ((found,),) = [[m for m in mine["feature_models"][CONV] if m["version"] == "2"]]
    assert without_aliases(found) == newest
    by_run = {run["run_id"]: run for run in ours["mlflow-runs"]["runs"]}
    for run in theirs["mlflow-runs"]["runs"]:
        same = without_aliases(by_run[run["run_id"]])
        if run["feature_service"] is None:
            assert same == run
        else:
            registered = same.pop("registered_models")
            assert run.pop("registered_models") == [], "the champion is not the newest version"
            assert same == run
            assert [each["version"] for each in registered] == ["1"]
    usage = ours["mlflow-feature-usage"]["feature_usage"]
    assert usage == theirs["mlflow-feature-usage"]["feature_usage"]
    assert ours["mlflow-runs"]["mlflow_uri"] == theirs["mlflow-runs"]["mlflow_uri"]

    # The champion, which Feast does not tell, with its alias.
    assert TRIPS not in peer["feature_models"]
    (champion,) = mine["feature_models"][TRIPS]
    assert (champion["version"], champion["stage"]) == ("1", "@champion")
    assert champion["aliases"] == ["champion"]

    assert [run["run_id"] for run in few["runs"]] == [theirs["mlflow-runs"]["runs"][0]["run_id"]], (
        "the newest"
    )
    assert (many.status_code, len(many.json()["runs"])) == (200, 2)
