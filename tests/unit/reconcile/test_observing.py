"""What a reconcile reads from other systems, and how it continues without an answer."""

import asyncio
import gc
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal
from weakref import ref

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    NOW,
    OUTAGE,
    STATS,
    ProjectScenario,
    linked,
    model,
    version,
)
from tests.unit.reconcile.ports import FakePorts

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import Verdict
from feature_lineage.api.meta import Condition
from feature_lineage.decide.facts import Key
from feature_lineage.decide.model.link import guarded_model
from feature_lineage.decide.observed import LinkedVersion, ObservedProject
from feature_lineage.errors import InvalidReport, NotFound, ServerUnavailable
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.reconcile import link_versions, snapshot_cache
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.observe_model import observe_model
from feature_lineage.reconcile.observe_project import observe_project
from feature_lineage.reconcile.snapshot_cache import RETRY_MISSING
from feature_lineage.reconcile.unchanged import model_inputs

KEY = Key("FeatureStoreProject", "ml", "ranking")
OUT = ServerUnavailable("http://mlflow.example:5000 does not answer")
OLD = "e" * 64
TAGS = {
    "feast.project": "driver_ranking",
    "feast.feature_refs": "stats:conv_rate",
    "feast.feature_count": "1",
}
PLATFORMS = {"trackingUri": None, "serverRef": "free"}
"""The same server, as the platform names it."""


class ObserverSetup:
    """An applied project, its environment, and one cache over all reconciles."""

    def __init__(self, **spec: Any) -> None:
        scenario = ProjectScenario(**{"mlflow": MLFLOW, **spec}).apply()
        self.project = scenario.project
        self.fakes, self.cache = FakePorts(), ReconcileCache()
        self.ports = self.fakes.ports()
        self.fakes.kept[STATS.digest] = STATS
        self.fakes.timeline = [SnapshotRecord(NOW, STATS.digest, "a")]
        self.fakes.add(self.project)

    def version(self, **tags: str) -> ModelVersion:
        """A version that was trained a day before the host stored any snapshot."""
        made = replace(version("1", "champion"), tags={**TAGS, **tags})
        self.fakes.versions["1"] = made
        return made

    async def observe(self, *, requested: bool = False) -> ObservedProject:
        return await observe_project(self.ports, self.cache, self.project, requested=requested)

    def later(self, **duration: float) -> None:
        self.fakes.instant += timedelta(**duration)

    def respecified(self, **spec: Any) -> None:
        changed = ProjectScenario(**{"mlflow": MLFLOW, **spec}).project
        self.project = self.project.model_copy(update={"spec": changed.spec})


async def test_a_model_s_reconcile_builds_no_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, guarded = ObserverSetup(), []
    scene.version()

    def spied(item: LinkedVersion, *more: Any) -> GuardedModel | None:
        guarded.append(item.version.version)
        return guarded_model(item, *more)

    monkeypatch.setattr(link_versions, "guarded_model", spied)
    champion = model()
    scene.fakes.add(champion)
    inputs = await model_inputs(scene.ports, champion)
    seen = await observe_model(scene.ports, scene.cache, champion, inputs)

    assert seen.linked is not None
    assert guarded == []
    observed = await scene.observe()
    assert observed.models is not None
    assert [each.version for each in observed.models.guard.models] == ["1"] == guarded


async def test_an_unreadable_snapshot_costs_one_verdict_only() -> None:
    scene = ObserverSetup()
    recorded = {"featurelineage.io/registry-digest": OLD}
    scene.version(**recorded)
    scene.fakes.fail["snapshot"] = InvalidReport("snapshot.json was changed")

    observed = await scene.observe()

    assert observed.models is not None
    (item,) = observed.models.linked
    assert item.judgement is not None
    assert (item.judgement.verdict, item.judgement.reason) == (Verdict.UNKNOWN, "BaselineLost")


async def test_baselines_are_not_kept_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version may name another snapshot of 64 MiB."""
    monkeypatch.setattr(snapshot_cache, "MAX_MEMORY", 0)
    scene, baselines = ObserverSetup(), {}
    for number in range(9):
        snapshot = replace(STATS, closures={"stats": f"{number:064}"})
        baselines[snapshot.digest] = number
        tags = {**TAGS, "featurelineage.io/registry-digest": snapshot.digest}
        made = replace(version(str(number), f"protected-{number}"), tags=tags)
        scene.fakes.versions[str(number)] = made
    made_of: list[ref[RegistrySnapshot]] = []
    most = 0

    async def get(_: Key, digest: str) -> RegistrySnapshot:
        nonlocal most
        gc.collect()
        most = max(most, sum(each() is not None for each in made_of))
        if digest == STATS.digest:
            return STATS
        found = replace(STATS, closures={"stats": f"{baselines[digest]:064}"})
        made_of.append(ref(found))
        return found

    monkeypatch.setattr(scene.ports.snapshots, "get", get)
    observed = await scene.observe()

    assert observed.models is not None
    assert [item.version.version for item in observed.models.linked] == list("012345678")
    assert all(item.baseline is not None for item in observed.models.linked)
    assert most <= 2


async def test_a_missing_snapshot_is_requested_every_ten_minutes() -> None:
    scene = ObserverSetup()
    for minutes, searches in ((0, 1), (9, 1), (1, 2)):
        scene.later(minutes=minutes)
        scene.version(**{"featurelineage.io/registry-digest": OLD, "at": str(minutes)})
        await scene.observe()
        assert scene.fakes.searched == [OLD] * searches


async def test_a_missing_snapshot_is_missing_for_one_project_only() -> None:
    scene = ObserverSetup()
    scene.version(**{"featurelineage.io/registry-digest": OLD})
    await scene.observe()

    metadata = scene.project.metadata.model_copy(update={"namespace": "other"})
    scene.project = scene.project.model_copy(update={"metadata": metadata})
    await scene.observe()

    assert scene.fakes.searched == [OLD, OLD]


async def test_missing_snapshots_leave_the_cache_when_they_expire() -> None:
    scene = ObserverSetup()
    for number in range(3):
        scene.version(**{"featurelineage.io/registry-digest": str(number) * 64})
        await scene.observe()
    assert len(scene.cache.snapshots._missing) == 3

    scene.later(seconds=RETRY_MISSING.total_seconds())
    scene.version(**{"featurelineage.io/registry-digest": OLD})
    await scene.observe()
    assert [digest for _, _, digest in scene.cache.snapshots._missing] == [OLD]

    scene.cache.forget(KEY)
    assert scene.cache.snapshots._missing == {}


async def test_a_failed_read_without_waiters_logs_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, going, complaints = ObserverSetup(), asyncio.Event(), list[dict[str, Any]]()
    may_fail = asyncio.Event()

    async def get(key: Key, digest: str) -> None:
        going.set()
        await may_fail.wait()
        raise OUT

    monkeypatch.setattr(scene.ports.snapshots, "get", get)
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    waits = asyncio.ensure_future(scene.observe())
    await going.wait()
    (pending,) = scene.cache.snapshots._pending.values()
    waits.cancel()
    await asyncio.wait([waits])
    may_fail.set()
    await asyncio.wait([pending])
    del pending, waits
    gc.collect()

    assert scene.cache.snapshots._pending == {}
    assert complaints == []


async def test_a_source_is_resolved_once_an_interval() -> None:
    scene = ObserverSetup()

    await scene.observe()
    await scene.observe()
    assert scene.fakes.resolved == 1

    scene.later(minutes=10)
    await scene.observe()
    assert scene.fakes.resolved == 2


async def test_a_source_is_resolved_on_request_and_on_a_new_spec() -> None:
    scene = ObserverSetup()
    await scene.observe()

    await scene.observe(requested=True)
    assert scene.fakes.resolved == 2

    scene.respecified(source={"git": {"url": "https://git.example/b", "ref": {"tag": "v2"}}})
    await scene.observe()
    assert scene.fakes.resolved == 3


@pytest.mark.parametrize(
    "source", [{"local": {"path": "repo"}}, {"configMapRef": {"name": "features"}}]
)
async def test_what_costs_nothing_is_looked_at_each_time(source: dict[str, Any]) -> None:
    scene = ObserverSetup(source=source)

    await scene.observe()
    await scene.observe()

    assert scene.fakes.resolved == 2


async def test_a_failure_is_not_remembered_and_needs_no_full_reading() -> None:
    scene = ObserverSetup()
    fresh = {"status": type(scene.project.status)()}
    scene.project = scene.project.model_copy(update=fresh)
    scene.fakes.fail["resolve"] = NotFound("branch main does not exist", reason="RefNotFound")

    await scene.observe()
    assert scene.fakes.asked == [False]

    del scene.fakes.fail["resolve"]
    await scene.observe()
    assert (scene.fakes.resolved, scene.fakes.asked) == (1, [False, True])


async def test_an_old_version_has_its_baseline_from_mlflow() -> None:
    scene = ObserverSetup()
    scene.version()
    scene.fakes.recorded = (
        SnapshotRecord(NOW - timedelta(days=2), OLD, "a"),
        SnapshotRecord(NOW + timedelta(days=1), "f" * 64, "b"),
    )

    observed = await scene.observe()

    assert observed.models is not None
    assert observed.models.linked[0].baseline is not None
    assert observed.models.linked[0].baseline.digest == OLD


async def test_mlflow_s_timeline_is_read_at_most_every_ten_minutes() -> None:
    scene = ObserverSetup()
    for minutes, reads in ((0, 1), (5, 1), (6, 2)):
        scene.later(minutes=minutes)
        scene.version(at=str(minutes))  # another view: the facts are computed again
        await scene.observe()
        assert scene.fakes.histories == reads


async def test_versions_with_a_baseline_need_no_timeline_of_mlflow() -> None:
    scene = ObserverSetup()
    scene.version(**{"featurelineage.io/registry-digest": STATS.digest})

    await scene.observe()

    assert scene.fakes.histories == 0


async def test_no_first_sight_is_chosen_without_mlflow_s_timeline() -> None:
    scene = ObserverSetup()
    scene.version()
    scene.fakes.fail["history"] = OUT

    observed = await scene.observe()

    assert observed.models is not None
    assert observed.models.linked[0].baseline is None


def _elsewhere(scene: ObserverSetup, **mlflow: Any) -> TrainedModel:
    """An older model of another project, on the same version, and the younger one of ours."""
    other = ProjectScenario(mlflow={**MLFLOW, **mlflow}, project="other").project
    metadata = other.metadata.model_copy(update={"name": "other"})
    scene.fakes.add(other.model_copy(update={"metadata": metadata}))
    for name, age, project in (("champion", 1, "ranking"), ("elder", 2, "other")):
        resource = model(projectRef={"name": project})
        created = {"name": name, "creation_timestamp": NOW - timedelta(days=age)}
        scene.fakes.add(
            resource.model_copy(update={"metadata": resource.metadata.model_copy(update=created)})
        )
    found = scene.fakes.resources["TrainedModel", "champion"]
    assert not isinstance(found, FeatureStoreProject)
    return found


async def _elders_of(scene: ObserverSetup, resource: TrainedModel) -> tuple[str, ...]:
    inputs = await model_inputs(scene.ports, resource)
    return (await observe_model(scene.ports, scene.cache, resource, inputs)).older_owners


@pytest.mark.parametrize(
    ("mlflow", "expected"),
    [
        pytest.param({"pollInterval": "5m"}, ("ml/elder",), id="the same server"),
        pytest.param(
            {"trackingUri": "http://MLflow.Example:5000/"}, ("ml/elder",), id="spelled differently"
        ),
        pytest.param(
            {"auth": {"bearer": {"secretRef": {"name": "theirs"}}}},
            ("ml/elder",),
            id="another credential",
        ),
        pytest.param({"workspace": "default"}, ("ml/elder",), id="the server's default workspace"),
        pytest.param(PLATFORMS, ("ml/elder",), id="named by the platform"),
        pytest.param(
            {**PLATFORMS, "serverRef": "bound", "workspace": "default"},
            ("ml/elder",),
            id="named by the platform, and the workspace that it gives",
        ),
        pytest.param({"trackingUri": "http://other.example"}, (), id="another server"),
        pytest.param(
            {"trackingUri": "https://mlflow.example:5000"},
            ("ml/elder",),
            id="another scheme at the address of a server of the platform",
        ),
        pytest.param({"trackingUri": "http://mlflow.example"}, (), id="another port"),
        pytest.param({"workspace": "b"}, (), id="another workspace"),
        pytest.param(
            {**PLATFORMS, "serverRef": "bound", "workspace": "b"}, (), id="a refused workspace"
        ),
        pytest.param({**PLATFORMS, "serverRef": "nobody"}, (), id="a server that is not there"),
        pytest.param({**PLATFORMS, "serverRef": "read"}, (), id="access without tags"),
        pytest.param({**PLATFORMS, "serverRef": "others"}, (), id="access to other models"),
    ],
)
async def test_one_resource_per_registry_writes_the_tags_of_a_version(
    mlflow: dict[str, Any], expected: tuple[str, ...]
) -> None:
    scene = ObserverSetup()
    scene.version()
    resource = _elsewhere(scene, **mlflow)

    assert await _elders_of(scene, resource) == expected


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param("Unknown", "MLflowUnavailable", id="it may not read"),
        pytest.param("False", "AuthFailed", id="it may not write"),
    ],
)
async def test_a_refused_older_owner_does_not_block_the_younger(
    status: Literal["Unknown", "False"], reason: str
) -> None:
    scene = ObserverSetup()
    scene.version()
    resource = _elsewhere(scene)
    older_owner = scene.fakes.resources["TrainedModel", "elder"]
    assert not isinstance(older_owner, FeatureStoreProject)
    refused = Condition(type="Tagged", status=status, reason=reason, last_transition_time=NOW)
    refused_status = older_owner.status.model_copy(update={"conditions": (refused,)})
    scene.fakes.add(older_owner.model_copy(update={"status": refused_status}))

    assert await _elders_of(scene, resource) == ()


@pytest.mark.parametrize("spec", [{"suspend": True}, {"tags": {"mode": "Off"}}], ids=str)
async def test_an_owner_without_tags_does_not_block_the_younger(spec: dict[str, Any]) -> None:
    scene = ObserverSetup()
    scene.version()
    resource = _elsewhere(scene)
    older_owner = scene.fakes.resources["TrainedModel", "elder"]
    scene.fakes.add(older_owner.model_copy(update={"spec": model(**spec).spec}))

    assert await _elders_of(scene, resource) == ()


def test_totals_are_kept_while_new_ones_are_unknown() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.linked = (linked(version("1")), linked(version("2"), Verdict.BROKEN))
    scenario.reconcile()
    before = scenario.status.counts
    assert before is not None
    assert (before.linked_models, before.broken_models, before.feature_views) == (2, 1, 2)

    scenario.outage, scenario.read_at, scenario.snapshot, scenario.linked = OUTAGE, None, None, ()
    scenario.reconcile()

    assert scenario.status.counts == before


def test_totals_of_models_go_with_the_server() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.linked = (linked(version("2"), Verdict.BROKEN),)
    scenario.reconcile()

    scenario.change(mlflow=None)
    scenario.reconcile()

    assert scenario.status.counts is not None
    assert (scenario.status.counts.linked_models, scenario.status.counts.broken_models) == (0, 0)


class TestDeclaredVersions:
    """A version that names no project belongs to the project of its TrainedModel."""

    @staticmethod
    def unnamed() -> ObserverSetup:
        scene = ObserverSetup()
        scene.fakes.versions["1"] = replace(version("1", "champion"), tags={})
        return scene

    async def test_a_declared_service_gives_its_features(self) -> None:
        scene = self.unnamed()
        scene.fakes.add(model(featureService="activity"))

        observed = await scene.observe()

        assert observed.models is not None
        (item,) = observed.models.linked
        assert item.link.origin is not None
        assert item.link.origin.value == "Declared"

    async def test_a_model_of_a_namespace_that_is_not_allowed_does_not_count(self) -> None:
        scene = self.unnamed()
        foreign = model(projectRef={"name": "ranking", "namespace": "ml"})
        metadata = foreign.metadata.model_copy(update={"namespace": "other"})
        scene.fakes.add(foreign.model_copy(update={"metadata": metadata}))

        observed = await scene.observe()

        assert observed.models is not None
        assert observed.models.linked == ()

    async def test_a_version_of_another_project_stays_there(self) -> None:
        scene = ObserverSetup()
        scene.version(**{"feast.project": "other"})
        scene.fakes.add(model())

        observed = await scene.observe()

        assert observed.models is not None
        assert observed.models.linked == ()


async def test_a_version_that_names_no_project_is_protected() -> None:
    scene = TestDeclaredVersions.unnamed()
    before = await scene.observe()
    scene.fakes.add(model())

    after = await scene.observe()

    assert before.models is not None
    assert after.models is not None
    assert before.models.guard is not None
    assert after.models.guard is not None
    assert before.models.guard.unknown == ()
    assert after.models.guard.unknown == ("driver_model/1",)
