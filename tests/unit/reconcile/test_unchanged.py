"""A model without work is not reconciled until something that it depends on has changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.build import MLFLOW, NOW, STATS, ProjectScenario, model, version
from tests.unit.reconcile.test_observing import OUT, TAGS, ObserverSetup

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.conditions import find_condition
from feature_lineage.api.meta import Condition
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.model.no_op import RECHECK_INTERVAL
from feature_lineage.reconcile import reconciler as controller_module
from feature_lineage.reconcile.reconciler import Reconciler


class Followed(ObserverSetup):
    """An environment with a model that was reconciled until nothing was left to do.

    Attributes:
        worked_out: number of reconciles that did more than compare the inputs.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> None:
        super().__init__(**spec)
        self.version()
        self.resource = model()
        self.fakes.add(self.resource)
        self.controller = Reconciler(self.ports)
        self.worked_out = 0
        observe = controller_module.observe_model

        async def counted(*arguments: Any) -> Any:
            self.worked_out += 1
            return await observe(*arguments)

        monkeypatch.setattr(controller_module, "observe_model", counted)

    async def passes(self, times: int = 1) -> TrainedModel:
        for _ in range(times):
            resource = self.ports.resources.model("ml", self.resource.metadata.name)
            assert resource is not None
            await self.controller.reconcile_model(resource)
        found = self.ports.resources.model("ml", self.resource.metadata.name)
        assert found is not None
        return found

    async def reconcile_until_quiet(self) -> None:
        await self.passes(4)
        self.worked_out = 0
        self.fakes.log.clear()

    async def verdict(self) -> str:
        status = (await self.passes()).status
        return str(status.lineage.verdict) if status.lineage else ""


@pytest.fixture
async def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    scene = Followed(monkeypatch)
    await scene.reconcile_until_quiet()
    return scene


async def test_unchanged_inputs_cause_no_observation_and_no_write(
    followed: Followed,
) -> None:
    await followed.passes(10)

    assert followed.worked_out == 0
    assert followed.fakes.log == []


async def test_a_no_op_reconcile_is_requeued_after_ten_minutes(
    followed: Followed,
) -> None:
    result = await followed.controller.reconcile_model(await followed.passes())
    assert result.requeue_at == followed.ports.clock.now() + RECHECK_INTERVAL


async def test_one_reconcile_without_work_is_enough_for_a_no_op(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed = Followed(monkeypatch)
    followed.fakes.add(model(tags={"mode": "Off"}))
    await followed.passes()
    assert followed.worked_out == 1

    await followed.passes(3)
    assert followed.worked_out == 1


async def test_a_model_with_work_is_requeued_at_the_poll_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed = Followed(monkeypatch)
    del followed.fakes.kept[STATS.digest]
    result = await followed.controller.reconcile_model(followed.resource)

    assert result.requeue_at is not None
    assert NOW < result.requeue_at <= NOW + timedelta(minutes=5)


async def test_an_alias_that_moved_is_seen(followed: Followed) -> None:
    followed.fakes.versions["2"] = replace(version("2", "champion"), tags=TAGS)
    followed.fakes.versions["1"] = replace(followed.fakes.versions["1"], aliases=())

    found = await followed.passes()

    assert found.status.resolved is not None
    assert found.status.resolved.version == "2"


async def test_tags_that_a_user_changed_are_detected(followed: Followed) -> None:
    tags = {**TAGS, "feast.feature_refs": "stats:gone"}
    followed.fakes.versions["1"] = replace(followed.fakes.versions["1"], tags=tags)

    assert await followed.verdict() == "Broken"


async def test_a_version_that_is_gone_is_seen(followed: Followed) -> None:
    followed.fakes.versions.clear()

    resolved = find_condition((await followed.passes()).status.conditions, "Resolved")
    assert resolved is not None
    assert resolved.reason == "ModelNotFound"


async def test_a_project_with_another_status_is_seen(followed: Followed) -> None:
    project = followed.project
    followed.fakes.add(project.model_copy(update={"status": project.status.model_copy()}))

    await followed.passes()
    assert followed.worked_out == 1


async def test_an_outage_and_its_end_are_seen(followed: Followed) -> None:
    followed.fakes.fail["view"] = OUT
    await followed.passes()
    assert followed.worked_out == 1

    await followed.reconcile_until_quiet()
    await followed.passes(3)
    assert followed.worked_out == 0

    del followed.fakes.fail["view"]
    await followed.passes()
    assert followed.worked_out == 1


async def _requeue_delay(followed: Followed) -> timedelta:
    result = await followed.controller.reconcile_model(await followed.passes())
    assert result.requeue_at is not None
    return result.requeue_at - followed.ports.clock.now()


async def test_a_model_is_requeued_at_the_poll_interval_in_an_outage(
    followed: Followed,
) -> None:
    followed.fakes.fail["view"] = OUT
    await followed.reconcile_until_quiet()

    assert await _requeue_delay(followed) == followed.project.spec.mlflow.poll_interval


async def test_models_are_requeued_soon_if_the_project_has_old_facts(
    followed: Followed,
) -> None:
    old = Condition(
        type="FactsCurrent",
        status="False",
        reason="MLflowViewOld",
        message="",
        last_transition_time=NOW,
    )
    status = followed.project.status.model_copy(update={"conditions": (old,)})
    followed.fakes.add(followed.project.model_copy(update={"status": status}))
    await followed.reconcile_until_quiet()

    assert await _requeue_delay(followed) == followed.project.spec.mlflow.poll_interval


async def test_another_resource_on_the_same_model_is_seen(followed: Followed) -> None:
    older_owner = model()
    metadata = older_owner.metadata.model_copy(
        update={"name": "elder", "creation_timestamp": NOW - timedelta(days=30)}
    )
    followed.fakes.add(older_owner.model_copy(update={"metadata": metadata}))

    tagged = find_condition((await followed.passes()).status.conditions, "Tagged")
    assert tagged is not None
    assert tagged.reason == "OwnedByOther"


async def test_model_inputs_create_no_resource_and_read_no_registry(
    followed: Followed,
) -> None:
    for number in range(5):
        metadata = followed.resource.metadata.model_copy(update={"name": f"other-{number}"})
        followed.fakes.add(followed.resource.model_copy(update={"metadata": metadata}))
    await followed.reconcile_until_quiet()
    followed.fakes.made = followed.fakes.fetched = 0

    await followed.passes(10)

    assert (followed.worked_out, followed.fakes.made, followed.fakes.fetched) == (0, 0, 0)


async def test_a_registry_that_fell_out_of_memory_is_no_change(followed: Followed) -> None:
    followed.controller._memory.snapshots._snapshots.clear()

    await followed.passes(3)

    assert followed.worked_out == 0


async def test_a_missing_snapshot_is_found_once_it_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed = Followed(monkeypatch)
    del followed.fakes.kept[STATS.digest]
    await followed.reconcile_until_quiet()
    assert await followed.verdict() == "Unknown"

    followed.fakes.kept[STATS.digest] = STATS
    assert await followed.verdict() == "Unchanged"


async def test_without_a_server_a_model_settles_too(monkeypatch: pytest.MonkeyPatch) -> None:
    followed = Followed(monkeypatch, mlflow=None)
    await followed.reconcile_until_quiet()

    await followed.passes(3)

    assert followed.worked_out == 0


def _of_another_project(**spec: Any) -> FeatureStoreProject:
    """The project of an older resource on the same registered model."""
    project = ProjectScenario(mlflow={**MLFLOW, **spec}, project="other").project
    metadata = project.metadata.model_copy(update={"name": "other"})
    return project.model_copy(update={"metadata": metadata})


async def test_a_competing_models_project_on_a_new_server_is_noticed(
    followed: Followed,
) -> None:
    followed.fakes.add(_of_another_project())
    older_owner = model(projectRef={"name": "other"})
    created = {"name": "elder", "creation_timestamp": NOW - timedelta(days=30)}
    followed.fakes.add(
        older_owner.model_copy(update={"metadata": older_owner.metadata.model_copy(update=created)})
    )
    await followed.reconcile_until_quiet()
    tagged = find_condition((await followed.passes()).status.conditions, "Tagged")
    assert tagged is not None
    assert tagged.reason == "OwnedByOther"

    for the_same in ({}, {"workspace": "default"}, {"trackingUri": None, "serverRef": "bound"}):
        followed.fakes.add(_of_another_project(**the_same))
        await followed.passes()
        assert followed.worked_out == 0

    followed.fakes.add(_of_another_project(trackingUri="http://other.example"))
    tagged = find_condition((await followed.passes(3)).status.conditions, "Tagged")
    assert tagged is not None
    assert tagged.status == "True"


async def test_a_changed_spec_is_seen(followed: Followed) -> None:
    spec = followed.resource.spec.model_copy(update={"suspend": True})
    known = await followed.passes()
    followed.fakes.add(known.model_copy(update={"spec": spec}))

    tagged = find_condition((await followed.passes()).status.conditions, "Tagged")
    assert tagged is not None
    assert tagged.reason == "Disabled"


async def test_a_no_op_ends_after_the_recheck_interval(followed: Followed) -> None:
    followed.later(seconds=RECHECK_INTERVAL.total_seconds() - 1)
    await followed.passes()
    assert followed.worked_out == 0

    followed.later(seconds=1)
    await followed.passes()
    assert followed.worked_out == 1


async def test_a_forgotten_model_is_observed_again(followed: Followed) -> None:
    followed.controller.forget(key_of(followed.resource))
    await followed.passes()
    assert followed.worked_out == 1
