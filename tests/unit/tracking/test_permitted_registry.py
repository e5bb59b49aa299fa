"""What a project with ``serverRef`` sees, writes and is told of a shared server."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.access import entry
from tests.strategies import real_snapshot

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.model.link import versions_of
from feature_lineage.errors import AccessNotGranted, HostNotAllowed, NotFound
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.config import NamedServer
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.recorded import PROJECT_TAG
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.past import Place
from feature_lineage.operations.records import OpsRun
from feature_lineage.reasons import Reason
from feature_lineage.tracking import MLflowRegistry
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.tracking.permitted_registry import PermittedRegistry

NOW = datetime(2026, 11, 30, tzinfo=UTC)
MINE = ModelVersion("churn_model", "1", NOW, aliases=("champion",))
READ = ModelVersion("shared_model", "3", NOW)
THEIRS = ModelVersion("solo_model", "7", NOW, aliases=("secret",))
ACCESS = (
    entry("Tags", "OpsRuns", namespaces="ml", feastProjects="churn", models="churn_*"),
    entry(namespaces=["ml", "lab"], feastProjects="churn", models="shared_*"),
    entry("Tags", "OpsRuns", namespaces="fraud", feastProjects="solo", models="solo_*"),
)


class Server:
    """A server that does everything it is asked for, in place of `MLflowRegistry`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.last_view = RegistryView(
            NOW, {each.name: {each.version: each} for each in (MINE, READ, THEIRS)}, {}
        )

    async def view(self, **_: Any) -> RegistryView:
        return self.last_view

    async def record(self, run: OpsRun) -> str:
        self.done.append(f"record {run.experiment}")
        return "run"

    async def history(
        self, experiment: str, *, namespace: str | None = None
    ) -> tuple[SnapshotRecord, ...]:
        self.done.append(f"history {experiment} of {namespace}")
        return (SnapshotRecord(NOW, "d"),)

    async def snapshot(
        self, experiment: str, digest: str, *, namespace: str | None = None
    ) -> RegistrySnapshot | None:
        self.done.append(f"snapshot {experiment} of {namespace}")
        return real_snapshot()

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        self.done.append(f"aliases of {place.resource}")
        return AliasState("r", NOW, {}, "")

    async def registry_at(self, place: Place, at: datetime) -> None:
        self.done.append(f"registry of {place.resource}")

    async def operations_at(self, place: Place, at: datetime) -> tuple[()]:
        self.done.append(f"operations of {place.resource}")
        return ()

    def entries(self, place: Place, **_: Any) -> None:
        self.done.append(f"entries of {place.resource}")

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        self.done.append(f"tag {version.name}")

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        self.done.append(f"untag {version.name}")

    async def close(self) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    past = ("aliases_at", "registry_at", "operations_at", "entries")
    for name in ("view", "record", "history", "snapshot", *past):
        monkeypatch.setattr(
            MLflowRegistry, name, lambda _, *a, n=name, **k: getattr(made, n)(*a, **k)
        )
    for name in ("set_version_tags", "delete_version_tags"):
        monkeypatch.setattr(MLflowRegistry, name, lambda _, *a, n=name: getattr(made, n)(*a))
    monkeypatch.setattr(MLflowRegistry, "last_view", property(lambda _: made.last_view))
    return made


@pytest.fixture
def pool(server: Server) -> ModelRegistryPool:
    named = {"prod": NamedServer(name="prod", tracking_uri="http://mlflow:5000", access=ACCESS)}
    return ModelRegistryPool(FolderObjects(), lambda: NOW, platform_servers=named)


def project(namespace: str = "ml", name: str = "churn", **mlflow: Any) -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "p", "namespace": namespace},
            "spec": {
                "project": name,
                "source": {"local": {"path": "."}},
                "mlflow": {"serverRef": "prod", **mlflow},
            },
        }
    )


async def registry(
    pool: ModelRegistryPool, project: FeatureStoreProject, namespace: str | None = None
) -> PermittedRegistry:
    found = await pool.of(project, namespace)
    assert isinstance(found, PermittedRegistry)
    return found


def run(experiment: str) -> OpsRun:
    return OpsRun("id", experiment, "apply", NOW, NOW, "FINISHED")


async def test_only_models_of_the_access_are_in_the_view(pool: ModelRegistryPool) -> None:
    mine = await registry(pool, project())

    view = await mine.view(max_age=timedelta())
    assert set(view.versions) == {"churn_model", "shared_model"}
    assert view.by_alias("solo_model", "secret") is None
    assert mine.last_view is view


async def test_a_foreign_model_with_the_tag_of_a_project_is_none_of_its_versions(
    pool: ModelRegistryPool, server: Server
) -> None:
    mine, foreign = (replace(each, tags={PROJECT_TAG: "churn"}) for each in (MINE, THEIRS))
    versions = {each.name: {each.version: each} for each in (mine, foreign)}
    server.last_view = RegistryView(NOW, versions, {})

    view = await (await registry(pool, project())).view(max_age=timedelta())

    assert versions_of(server.last_view, "churn") == (mine, foreign)
    assert versions_of(view, "churn") == (mine,)


async def test_the_view_is_the_same_object_while_mlflow_is_unchanged(
    pool: ModelRegistryPool, server: Server
) -> None:
    one = await (await registry(pool, project())).view(max_age=timedelta())
    assert await (await registry(pool, project())).view(max_age=timedelta()) is one

    added = ModelVersion("churn_second", "1", NOW)
    server.last_view = RegistryView(
        NOW, {**server.last_view.versions, added.name: {"1": added}}, {}
    )
    two = await (await registry(pool, project())).view(max_age=timedelta())
    assert set(two.versions) == {"churn_model", "churn_second", "shared_model"}
    assert two.versions["churn_model"] is one.versions["churn_model"]


@pytest.mark.parametrize(
    ("namespace", "name"), [("evil", "churn"), ("lab", "solo"), ("ml", "solo"), ("m", "churn")]
)
async def test_a_namespace_without_an_entry_is_refused_like_an_unknown_server(
    pool: ModelRegistryPool, namespace: str, name: str
) -> None:
    with pytest.raises(HostNotAllowed) as refused:
        await pool.of(project(namespace, name))
    with pytest.raises(HostNotAllowed) as unknown:
        await pool.of(project(namespace, name, serverRef="elsewhere"))

    assert refused.value.message.replace("prod", "elsewhere") == unknown.value.message
    assert "mlflowServers[].access" in refused.value.message


async def test_tags_need_an_entry_that_allows_them(pool: ModelRegistryPool, server: Server) -> None:
    mine = await registry(pool, project())

    await mine.set_version_tags(MINE, {"k": "v"})
    await mine.delete_version_tags(MINE, ("k",))
    for refused in (
        mine.set_version_tags(READ, {"k": "v"}),
        mine.delete_version_tags(READ, ("k",)),
    ):
        with pytest.raises(AccessNotGranted, match=r"Tags on the registered model shared_model"):
            await refused

    assert server.done == ["tag churn_model", "untag churn_model"]


async def test_tags_of_a_model_outside_the_access_are_refused_like_a_missing_one(
    pool: ModelRegistryPool, server: Server
) -> None:
    mine = await registry(pool, project())

    for refused in (
        mine.set_version_tags(THEIRS, {"k": "v"}),
        mine.delete_version_tags(THEIRS, ("k",)),
    ):
        with pytest.raises(NotFound, match="has no registered model solo_model") as error:
            await refused
        assert error.value.reason == Reason.MODEL_NOT_FOUND
    assert server.done == []


async def test_operations_are_recorded_for_projects_of_the_access_only(
    pool: ModelRegistryPool, server: Server
) -> None:
    mine = await registry(pool, project("ml"))
    reading = await registry(pool, project("lab"))

    assert await mine.record(run("churn-feast-ops")) == "run"
    # A suffix of the project may continue its name to that of another project.
    for name in ("churn_ranking-feast-ops", "solo-feast-ops", "churn2"):
        with pytest.raises(AccessNotGranted, match="OpsRuns"):
            await mine.record(run(name))
    with pytest.raises(AccessNotGranted, match="logOperations: false"):
        await reading.record(run("churn-feast-ops"))

    assert server.done == ["record churn-feast-ops"]


async def test_a_timeline_has_the_records_of_its_own_namespace(
    pool: ModelRegistryPool, server: Server
) -> None:
    mine = await registry(pool, project())

    assert await mine.history("churn-feast-ops") != ()
    assert await mine.snapshot("churn-feast-ops", "d") is not None
    assert await mine.history("solo-feast-ops") == ()
    assert await mine.snapshot("solo-feast-ops", "d") is None

    assert server.done == ["history churn-feast-ops of ml", "snapshot churn-feast-ops of ml"]


async def test_the_history_of_another_namespace_is_not_read(
    pool: ModelRegistryPool, server: Server
) -> None:
    mine, own = await registry(pool, project()), Place.of("churn", "-feast-ops", "ml", "p")
    assert await mine.aliases_at(own) is not None
    await mine.registry_at(own, NOW)
    await mine.operations_at(own, NOW)
    mine.entries(own)
    assert server.done == [
        f"{what} of ml/p" for what in ("aliases", "registry", "operations", "entries")
    ]
    server.done.clear()

    for foreign in (
        Place.of("churn", "-feast-ops", "lab", "p"),
        Place.of("solo", "-feast-ops", "ml", "p"),
    ):
        assert await mine.aliases_at(foreign) is None
        with pytest.raises(AccessNotGranted, match=r"mlflowServers\[\].access"):
            await mine.registry_at(foreign, NOW)
        with pytest.raises(AccessNotGranted):
            await mine.operations_at(foreign, NOW)
        with pytest.raises(AccessNotGranted):
            mine.entries(foreign)
    assert server.done == []


async def test_a_model_in_another_namespace_may_do_what_both_may(
    pool: ModelRegistryPool, server: Server
) -> None:
    shared = await registry(pool, project(), "lab")

    assert set((await shared.view(max_age=timedelta())).versions) == {"shared_model"}
    with pytest.raises(NotFound):
        await shared.set_version_tags(MINE, {"k": "v"})
    with pytest.raises(HostNotAllowed, match="namespace evil"):
        await pool.of(project(), "evil")
    assert server.done == []


async def test_each_namespace_has_its_own_view_of_a_server(pool: ModelRegistryPool) -> None:
    views = [
        await (await registry(pool, project(namespace))).view(max_age=timedelta())
        for namespace in ("ml", "lab", "ml")
    ]

    assert [set(view.versions) for view in views] == [
        {"churn_model", "shared_model"},
        {"shared_model"},
        {"churn_model", "shared_model"},
    ]


def test_a_resource_that_may_not_tag_a_model_has_no_address(pool: ModelRegistryPool) -> None:
    assert pool.address_of(project(), "churn_model", "ml") is not None
    for model, namespace in (
        *(("shared_model", "ml"), ("solo_model", "ml"), ("churn_model", "lab")),
        ("churn_model", "evil"),
    ):
        assert pool.address_of(project(), model, namespace) is None


async def test_a_server_of_the_projects_own_credential_is_not_restricted(
    pool: ModelRegistryPool,
) -> None:
    own = await pool.of(project("evil", serverRef=None, trackingUri="http://own:5000"))

    assert isinstance(own, MLflowRegistry)
