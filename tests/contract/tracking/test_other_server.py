"""A server with another setup: workspaces, and artifacts that the server does not proxy."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.contract.tracking.conftest import Rest, unique
from tests.servers.mlflow import Server, start_mlflow

from feature_lineage.errors import FeatureLineageError, NotFound
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.records import REGISTRY_DIGEST_TAG, SNAPSHOT_ARTIFACT, OpsRun
from feature_lineage.tracking import MLflowRegistry, MLflowServer
from feature_lineage.tracking.ops import RECORDED_TAG, UNSTORED_TAG
from feature_lineage.tracking.parsing import pairs

NOW = timedelta(0)
HELD = RegistrySnapshot("p", {})


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("mlflow")
    roots = ("--no-serve-artifacts", "--default-artifact-root", f"file://{folder}/artifacts")
    with start_mlflow(folder, args=("--enable-workspaces", *roots)) as server:
        yield server


@pytest_asyncio.fixture
async def registry(other_server: Server) -> AsyncIterator[MLflowRegistry]:
    registry = MLflowRegistry(MLflowServer(other_server.url))
    yield registry
    await registry.close()


def ops(**tags: str) -> OpsRun:
    start = datetime(2026, 11, 21, tzinfo=UTC)
    held = {SNAPSHOT_ARTIFACT: HELD.to_json()}
    end = start + timedelta(seconds=1)
    return OpsRun(unique("op"), unique("ops"), "apply", start, end, "FINISHED", tags, {}, {}, held)


async def test_artifacts_outside_the_proxy_go_through_the_server(
    registry: MLflowRegistry,
) -> None:
    run = ops(**{REGISTRY_DIGEST_TAG: HELD.digest})

    await registry.record(run)

    assert await registry.snapshot(run.experiment, HELD.digest) == HELD


async def test_no_artifact_goes_to_another_server_than_its_uri_names(
    mlflow_server: Server, tmp_path: Path
) -> None:
    """The artifact root is a server for artifacts, of which only the runs know."""
    root = f"mlflow-artifacts://{mlflow_server.url.partition('://')[2]}/elsewhere"
    args = ("--no-serve-artifacts", "--default-artifact-root", root)
    run = ops(**{REGISTRY_DIGEST_TAG: HELD.digest})
    with start_mlflow(tmp_path, args=args) as tracking, closing(Rest(tracking.url)) as rest:
        registry = MLflowRegistry(MLflowServer(tracking.url))
        run_id = await registry.record(run)

        found = rest.call("GET", "runs/get", run_id=run_id)["run"]
        assert found["info"]["artifact_uri"].startswith(root)
        assert found["info"]["status"] == "FINISHED"
        tags = pairs(found["data"]["tags"])
        assert (tags[UNSTORED_TAG], tags[RECORDED_TAG]) == (SNAPSHOT_ARTIFACT, "true")
        assert await registry.history(run.experiment)
        await registry.close()


async def test_an_unwritable_storage_does_not_stop_the_record(
    mlflow_server: Server,
) -> None:
    run = ops(**{REGISTRY_DIGEST_TAG: HELD.digest})
    registry = MLflowRegistry(MLflowServer(mlflow_server.url))
    rest = Rest(mlflow_server.url)
    # A bucket without its client library or credentials, as the server sees it.
    body = {"name": run.experiment, "artifact_location": "gs://no-such-bucket/x"}
    experiment = rest.post("experiments/create", **body)["experiment_id"]

    await registry.record(run)

    (raw,) = rest.runs(experiment)
    rest.close()
    tags = pairs(raw["data"]["tags"])
    assert (tags[UNSTORED_TAG], tags[RECORDED_TAG]) == (SNAPSHOT_ARTIFACT, "true")
    assert [record.digest for record in await registry.history(run.experiment)] == [HELD.digest]
    await registry.close()


async def test_features_in_an_unreadable_storage_stay_unknown(
    mlflow_server: Server,
) -> None:
    registry = MLflowRegistry(MLflowServer(mlflow_server.url))
    rest = Rest(mlflow_server.url)
    body = {"name": unique("exp"), "artifact_location": "gs://no-such-bucket/x"}
    experiment = rest.post("experiments/create", **body)["experiment_id"]
    run_id = rest.run(experiment, feature_refs="v:a...", feature_count="2")
    rest.version(rest.model(), run_id=run_id)
    assert rest.get_artifact(run_id, "feast_features.json") >= 500
    rest.close()

    view = await registry.view(max_age=NOW, full=True)

    assert view.runs[run_id].features_artifact is None
    await registry.close()


async def test_the_same_model_in_two_workspaces(other_server: Server) -> None:
    name, one, two = unique("model"), unique("one"), unique("two")
    root = Rest(other_server.url)
    for workspace in (one, two):
        root.post("/api/3.0/mlflow/workspaces", name=workspace)
        rest = Rest(other_server.url, **{"X-MLFLOW-WORKSPACE": workspace})
        rest.model(name)
        rest.version(name, f"s3://{workspace}/model")
        rest.close()
    root.close()

    for workspace in (one, two):
        registry = MLflowRegistry(MLflowServer(other_server.url, workspace=workspace))
        view = await registry.view(max_age=NOW)
        assert [v.source for v in view.versions[name].values()] == [f"s3://{workspace}/model"]
        assert await registry.record(ops())
        await registry.close()


async def test_a_workspace_that_does_not_exist(other_server: Server) -> None:
    registry = MLflowRegistry(MLflowServer(other_server.url, workspace="no-such-workspace"))
    with pytest.raises(FeatureLineageError) as error:
        await registry.view(max_age=NOW)
    await registry.close()

    assert isinstance(error.value, NotFound), error.value
    assert "no-such-workspace" in error.value.message
