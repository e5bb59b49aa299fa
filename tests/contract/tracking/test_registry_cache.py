"""The registry view on a real server: each special case of MLflow's registry."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from tests.contract.tracking.conftest import Rest, unique
from tests.servers.mlflow import Server

from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.tracking import MLflowRegistry, MLflowServer, training

NOW = timedelta(0)


@pytest_asyncio.fixture
async def polled(mlflow_server: Server) -> AsyncIterator[MLflowRegistry]:
    """A registry that was read once, so the next read is incremental."""
    registry = MLflowRegistry(MLflowServer(mlflow_server.url))
    await registry.view(max_age=NOW, full=True)
    yield registry
    await registry.close()


async def full(registry: MLflowRegistry) -> RegistryView:
    return await registry.view(max_age=NOW, full=True)


async def news(registry: MLflowRegistry) -> RegistryView:
    before = registry.last_view
    view = await registry.view(max_age=NOW)
    assert before is not None
    assert view.read_at == before.read_at, "this was to be a reading of the news"
    return view


def the(view: RegistryView, name: str, version: str) -> ModelVersion:
    found = view.version(name, version)
    assert found is not None
    return found


async def test_a_version_with_its_run_tags_and_alias(registry: MLflowRegistry, rest: Rest) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    run_id = rest.run(rest.experiment(), project="p", feature_refs="v:a,v:b", feature_count="2")
    name = rest.model()
    tags = [{"key": "feast.feature_service", "value": "svc"}, {"key": "team", "value": "x"}]
    number = rest.version(name, f"s3://b/{run_id}", run_id=run_id, tags=tags)
    rest.alias(name, "champion", number)
    rest.alias(name, "Best_1", number)

    view = await full(registry)

    version = the(view, name, number)
    assert (version.run_id, version.aliases) == (run_id, ("Best_1", "champion"))
    assert version.tags == {"feast.feature_service": "svc"}
    assert before <= version.created_at <= datetime.now(UTC)
    assert view.by_alias(name, "champion") is version
    run = view.run_of(version)
    assert run is not None
    assert run.tags == {
        "feast.project": "p",
        "feast.feature_refs": "v:a,v:b",
        "feast.feature_count": "2",
    }
    assert before <= run.started_at <= datetime.now(UTC)
    assert run.features_artifact is None


async def test_an_alias_that_moves_between_two_polls(polled: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.version(name), rest.version(name)
    rest.alias(name, "champion", "1")
    assert (await news(polled)).by_alias(name, "champion") is not None

    rest.alias(name, "champion", "2")
    view = await news(polled)

    assert the(view, name, "1").aliases == ()
    assert the(view, name, "2").aliases == ("champion",)


async def test_an_alias_that_is_removed(polled: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.alias(name, "champion", rest.version(name))
    await news(polled)
    rest.call("DELETE", "registered-models/alias", name=name, alias="champion")

    assert the(await news(polled), name, "1").aliases == ()


async def test_new_versions_are_news(polled: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    assert (await news(polled)).versions.get(name, {}) == {}
    rest.version(name)
    assert set((await news(polled)).versions[name]) == {"1"}
    rest.version(name)
    assert set((await news(polled)).versions[name]) == {"1", "2"}


async def test_a_tag_set_by_others_shows_at_a_whole_reading(
    polled: MLflowRegistry, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name)
    await news(polled)
    rest.set_tag(name, "1", "feast.project", "p")

    assert the(await full(polled), name, "1").tags == {"feast.project": "p"}


async def test_a_deleted_version_leaves_at_a_whole_reading(
    polled: MLflowRegistry, rest: Rest
) -> None:
    name = rest.model()
    rest.version(name), rest.version(name)
    await news(polled)
    rest.call("DELETE", "model-versions/delete", name=name, version="1")

    assert set((await full(polled)).versions[name]) == {"2"}
    assert rest.version(name) == "3"
    assert set((await news(polled)).versions[name]) == {"2", "3"}


async def test_a_deleted_model_leaves_at_the_next_poll(polled: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.version(name)
    await news(polled)
    rest.call("DELETE", "registered-models/delete", name=name)

    assert name not in (await news(polled)).versions


async def test_a_recreated_model_has_another_identity(polled: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.version(name), rest.version(name)
    old = the(await news(polled), name, "1")
    rest.call("DELETE", "registered-models/delete", name=name)
    rest.model(name)
    rest.version(name)

    view = await news(polled)

    assert set(view.versions[name]) == {"1"}
    assert the(view, name, "1").created_at > old.created_at


async def test_a_renamed_model_keeps_its_versions(polled: MLflowRegistry, rest: Rest) -> None:
    name, renamed = rest.model(), unique("renamed")
    rest.version(name), rest.version(name)
    await news(polled)
    rest.post("registered-models/rename", name=name, new_name=renamed)

    view = await news(polled)

    assert set(view.versions[renamed]) == {"1", "2"}
    assert name not in view.versions


@pytest.mark.parametrize(
    "stem",
    ["modèle-風", "it's", 'say "hi"', "both'\"", "back`tick", "100%_sure", "a b.c", "emoji🚕"],
)
async def test_names_of_all_kinds(polled: MLflowRegistry, rest: Rest, stem: str) -> None:
    name = rest.model(unique(stem))
    rest.version(name)
    rest.alias(name, "champion", "1")
    assert (await news(polled)).by_alias(name, "champion") is not None
    renamed = unique(stem)
    rest.post("registered-models/rename", name=name, new_name=renamed)

    assert (await news(polled)).by_alias(renamed, "champion") is not None
    assert (await full(polled)).by_alias(renamed, "champion") is not None


async def test_a_tag_of_100_000_characters(registry: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.version(name)
    rest.set_tag(name, "1", "feast.feature_refs", "é" * 100_000)
    rest.set_tag(name, "1", "mlflow.note", "x" * 100_000)

    assert the(await full(registry), name, "1").tags == {"feast.feature_refs": "é" * 100_000}


async def test_a_deleted_run_still_counts(registry: MLflowRegistry, rest: Rest) -> None:
    run_id = rest.run(rest.experiment(), project="p")
    name = rest.model()
    rest.version(name, run_id=run_id)
    rest.post("runs/delete", run_id=run_id)

    view = await full(registry)

    run = view.run_of(the(view, name, "1"))
    assert run is not None
    assert (run.deleted, run.tags) == (True, {"feast.project": "p"})


async def test_a_run_of_a_deleted_experiment_still_counts(
    registry: MLflowRegistry, rest: Rest
) -> None:
    experiment = rest.experiment()
    run_id = rest.run(experiment, project="p")
    name = rest.model()
    rest.version(name, run_id=run_id)
    rest.post("experiments/delete", experiment_id=experiment)

    view = await full(registry)

    assert view.runs[run_id].tags == {"feast.project": "p"}


async def test_a_run_that_does_not_exist_is_no_run(registry: MLflowRegistry, rest: Rest) -> None:
    name = rest.model()
    rest.version(name, run_id="0" * 32)

    view = await full(registry)

    assert the(view, name, "1").run_id == "0" * 32
    assert view.run_of(the(view, name, "1")) is None


async def test_a_running_run_is_followed_until_it_ends(polled: MLflowRegistry, rest: Rest) -> None:
    run_id = rest.run(rest.experiment(), status="RUNNING")
    name = rest.model()
    rest.version(name, run_id=run_id)
    assert (await news(polled)).runs[run_id].tags == {}
    rest.post("runs/set-tag", run_id=run_id, key="feast.project", value="p")

    assert (await news(polled)).runs[run_id].tags == {"feast.project": "p"}


async def test_sources_lead_to_the_run(
    registry: MLflowRegistry, rest: Rest, mlflow_server: Server
) -> None:
    """This server sets the run itself; the test imitates an older server that stored no run."""
    experiment = rest.experiment()
    run_id = rest.run(experiment, project="p")
    model_id = rest.logged_model(experiment, run_id)
    orphan_id = rest.logged_model(experiment, None)
    name = rest.model()
    by_run = rest.version(name, f"runs:/{run_id}/model", run_id=run_id)
    by_model = rest.version(name, f"models:/{model_id}", model_id=model_id)
    by_number = rest.version(name, f"models:/{name}/{by_run}")
    by_copy_of_model = rest.version(name, f"models:/{name}/{by_model}")
    orphan = rest.version(name, f"models:/{orphan_id}", model_id=orphan_id)
    none = rest.version(name, "s3://bucket/model")
    with sqlite3.connect(mlflow_server.log.parent / "mlflow.db") as database:
        changed = "UPDATE model_versions SET run_id = '' WHERE name = ?"
        assert database.execute(changed, (name,)).rowcount == 6
    database.close()

    view = await full(registry)

    for number in (by_run, by_model, by_number, by_copy_of_model):
        assert the(view, name, number).run_id == run_id, number
    assert the(view, name, by_model).model_id == model_id
    assert the(view, name, orphan).run_id == ""
    assert the(view, name, none).run_id == ""
    assert run_id in view.runs


async def test_prompts_share_the_names_and_are_left_out(
    registry: MLflowRegistry, mlflow_server: Server
) -> None:
    import mlflow

    name = unique("prompt")
    client = mlflow.MlflowClient(tracking_uri=mlflow_server.url)
    client.register_prompt(name, "Say {{word}}")
    client.set_prompt_alias(name, "champion", 1)

    assert name not in (await full(registry)).versions


async def test_features_of_a_cut_tag_come_from_the_artifact(
    registry: MLflowRegistry, rest: Rest
) -> None:
    experiment = rest.experiment()
    cut = {"feature_refs": "v:a,v:b...", "feature_count": "3"}
    whole = b'["v:a", "v:b", "v:c"]'
    runs = {
        "cut": rest.run(experiment, **cut, artifacts={"feast_features.json": whole}),
        "none": rest.run(experiment, **cut),
        "odd": rest.run(experiment, **cut, artifacts={"feast_features.json": b"<html>"}),
        "large": rest.run(
            experiment, **cut, artifacts={"feast_features.json": whole + b" " * 2_000_000}
        ),
        "deleted": rest.run(experiment, **cut, artifacts={"feast_features.json": whole}),
    }
    rest.post("runs/delete", run_id=runs["deleted"])
    name = rest.model()
    for run_id in runs.values():
        rest.version(name, run_id=run_id)

    view = await full(registry)

    found = {kind: view.runs[run_id].features_artifact for kind, run_id in runs.items()}
    refs = ("v:a", "v:b", "v:c")
    assert found == {"cut": refs, "none": None, "odd": None, "large": None, "deleted": refs}


async def test_more_runs_than_one_call_takes(
    registry: MLflowRegistry, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "IDS_PER_CALL", 3)
    experiment = rest.experiment()
    name = rest.model()
    runs = [rest.run(experiment) for _ in range(7)]
    for run_id in runs:
        rest.version(name, run_id=run_id)

    assert set(runs) <= (await full(registry)).runs.keys()


async def test_models_logged_by_mlflow_itself(
    registry: MLflowRegistry, mlflow_server: Server
) -> None:
    """A LoggedModel registered by MLflow's own client, and its version copied to another model."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=mlflow_server.url)
    experiment = client.create_experiment(unique("exp"))
    run_id = client.create_run(experiment).info.run_id
    logged = client.create_logged_model(experiment, source_run_id=run_id)
    client.finalize_logged_model(logged.model_id, "READY")
    name, copied = unique("model"), unique("copied")
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{logged.model_id}", model_id=logged.model_id)
    client.copy_model_version(f"models:/{name}/1", copied)

    view = await full(registry)

    assert the(view, name, "1").run_id == run_id
    assert the(view, name, "1").model_id == logged.model_id
    assert the(view, copied, "1").run_id == run_id
