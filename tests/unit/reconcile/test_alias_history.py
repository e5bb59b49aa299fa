"""Each move of an alias is recorded once, whatever happens before it is recorded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.decide.build import MLFLOW, ProjectScenario, version
from tests.unit.reconcile.test_reconciler import OUT, ReconcilerSetup

from feature_lineage.errors import AccessRefused, InvalidReport
from feature_lineage.models.facts import ModelVersion
from feature_lineage.operations.alias_history import (
    HISTORY_TAG,
    AliasFold,
    AliasMove,
    AliasRecord,
    read_record,
)
from feature_lineage.operations.records import OPERATION_ID_TAG
from feature_lineage.reconcile import alias_log


def champion(number: str, *others: str) -> dict[str, ModelVersion]:
    """Versions 1 to 3 of the project; the alias champion names one of them."""
    return {
        n: version(n, *(["champion"] if n == number else []), **{"feast.project": "driver_ranking"})
        for n in ("1", "2", "3", *others)
    }


class Scene(ReconcilerSetup):
    """An applied project with a model; each reconcile is half a minute after the last one."""

    async def reconcile_now(self, number: str = "") -> None:
        """Move the alias, and reconcile until nothing is left to do."""
        if number:
            self.fakes.versions = champion(number)
        self.fakes.instant += timedelta(seconds=30)
        await self.reconcile_until_quiet()

    @property
    def records(self) -> list[AliasRecord]:
        """The records in MLflow, oldest first."""
        return [
            read_record("run", run.started_at, {OPERATION_ID_TAG: run.operation_id, **run.tags})
            for run in self.fakes.runs
            if HISTORY_TAG in run.tags
        ]

    @property
    def moves(self) -> list[tuple[str, str]]:
        return [(move.before, move.after) for each in self.records for move in each.moves]


async def applied(number: str = "1") -> Scene:
    scene = Scene()
    scene.fakes.versions = champion(number)
    await scene.reconcile()
    scene.job_ends()
    await scene.reconcile_until_quiet()
    return scene


async def test_the_first_record_has_the_state() -> None:
    scene = await applied()

    (first,) = scene.records
    assert (first.aliases, first.moves, first.previous) == (
        {"driver_model": {"champion": "1"}},
        (),
        "",
    )
    mark = scene.project.status.alias_history
    assert mark is not None
    assert mark.record == first.record


async def test_a_quiet_pass_asks_for_nothing() -> None:
    scene = await applied()

    await scene.restart()
    for _ in range(2):
        await scene.reconcile_now()
        assert scene.fakes.log == []
    assert len(scene.records) == 1


async def test_a_move_is_recorded_when_it_was_seen() -> None:
    scene = await applied()

    await scene.reconcile_now("2")

    assert scene.moves == [("1", "2")]
    assert scene.records[-1].at == scene.fakes.instant
    assert "read aliases" not in scene.fakes.verbs()


async def test_a_move_while_no_process_ran_is_found() -> None:
    scene = await applied()

    await scene.restart()
    await scene.reconcile_now("3")

    assert scene.moves == [("1", "3")]


async def test_a_record_without_its_status_is_not_repeated() -> None:
    scene = await applied()
    known = scene.project.status
    await scene.reconcile_now("2")

    for outdated in (known, known.model_copy(update={"alias_history": None})):
        mark = {"alias_history": outdated.alias_history}
        status = scene.project.status.model_copy(update=mark)
        scene.fakes.add(scene.project.model_copy(update={"status": status}))
        await scene.restart()
        await scene.reconcile_now()

        assert len(scene.records) == 2
        assert scene.moves == [("1", "2")]
        mark_now = scene.project.status.alias_history
        assert mark_now is not None
        assert mark_now.record == scene.records[-1].record


async def test_moves_that_mlflow_refuses_wait_in_order() -> None:
    scene = await applied()
    scene.fakes.fail["record"] = OUT
    seen = []
    for number in ("2", "3", "1"):
        scene.fakes.versions = champion(number)
        scene.fakes.instant += timedelta(seconds=30)
        seen.append(scene.fakes.instant)
        await scene.reconcile()
    assert scene.says("Recorded") == ("False", "MLflowUnavailable")
    assert scene.says("Ready") == ("True", "Succeeded")
    recorded = next(c for c in scene.project.status.conditions if c.type == "Recorded")
    assert recorded.message.startswith("3 changes of aliases wait for MLflow")

    del scene.fakes.fail["record"]
    await scene.reconcile_now()

    assert scene.moves == [("1", "2"), ("2", "3"), ("3", "1")]
    assert [each.at for each in scene.records[1:]] == seen
    assert scene.says("Recorded") == ("True", "Succeeded")


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alias_log, "MAX_PENDING", 2)
    scene = await applied()
    scene.fakes.fail["record"] = OUT
    for number in ("2", "3", "1", "2"):
        scene.fakes.versions = champion(number)
        scene.fakes.instant += timedelta(seconds=30)
        await scene.reconcile()

    del scene.fakes.fail["record"]
    await scene.reconcile_now()

    assert scene.moves == [("1", "2")]


async def test_a_lost_record_begins_the_history_again() -> None:
    scene = await applied()
    scene.fakes.fail["read aliases"] = InvalidReport("a record is missing")

    await scene.restart()
    await scene.reconcile_now("2")

    assert [each.aliases for each in scene.records[1:]] == [{"driver_model": {"champion": "2"}}]
    assert scene.says("Recorded") == ("True", "Succeeded")


async def test_a_history_that_is_not_readable_now_is_tried_again() -> None:
    scene = await applied()
    scene.fakes.fail["read aliases"] = OUT
    await scene.restart()

    await scene.reconcile_now("2")
    assert scene.moves == []
    assert scene.says("Ready") == ("True", "Succeeded")

    del scene.fakes.fail["read aliases"]
    await scene.reconcile_now()
    assert scene.moves == [("1", "2")]


async def test_a_history_that_may_not_be_read_is_said() -> None:
    """The registry is readable and the experiment of the aliases is not: nothing is lost silently.

    MLflow is asked again after minutes, not at each pass.
    """
    scene = await applied()
    scene.fakes.fail["read aliases"] = AccessRefused("experiments/get-by-name: 403")
    await scene.restart()
    await scene.reconcile_now("2")
    recorded = next(c for c in scene.project.status.conditions if c.type == "Recorded")
    assert (recorded.status, recorded.reason) == ("False", "AuthFailed")
    assert recorded.message == "moves of aliases are not recorded: experiments/get-by-name: 403"

    del scene.fakes.fail["read aliases"]
    await scene.reconcile_now("3")
    assert (scene.moves, scene.says("Recorded")) == ([], ("False", "AuthFailed"))

    scene.fakes.instant += alias_log.RETRY_READ
    await scene.reconcile_now()
    assert (scene.moves, scene.says("Recorded")) == ([("1", "3")], ("True", "Succeeded"))


@pytest.mark.parametrize("year", [2100, 9999])
async def test_a_record_of_the_future_does_not_count(year: int) -> None:
    """Its author is not the operator, and later records would get its time."""
    scene = await applied()
    other = next(run for run in (await applied("3")).fakes.runs if HISTORY_TAG in run.tags)
    late = datetime(year, 12, 31, 23, tzinfo=UTC)
    scene.fakes.runs.append(replace(other, operation_id="forged", started_at=late))
    await scene.restart()

    await scene.reconcile_now("2")
    seen = scene.fakes.instant
    await scene.reconcile_now("3")

    scene.fakes.runs = [run for run in scene.fakes.runs if run.operation_id != "forged"]
    assert scene.moves == [("1", "2"), ("2", "3")]
    assert [each.at for each in scene.records[1:]] == [seen, scene.fakes.instant]


async def test_a_mark_of_the_future_does_not_count() -> None:
    """As a version wrote it that took over the time of a forged record."""
    scene = await applied()
    mark = scene.project.status.alias_history
    assert mark is not None
    late = mark.model_copy(update={"at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)})
    status = scene.project.status.model_copy(update={"alias_history": late})
    scene.fakes.add(scene.project.model_copy(update={"status": status}))
    await scene.restart()

    await scene.reconcile_now()
    assert scene.project.status.alias_history == mark

    await scene.reconcile_now("2")
    assert scene.records[-1].at == scene.fakes.instant


async def test_an_outage_of_mlflow_ends_no_alias() -> None:
    scene = await applied()
    scene.fakes.versions = {}
    scene.fakes.fail["view"] = OUT
    await scene.reconcile_now()
    assert scene.moves == []

    del scene.fakes.fail["view"]
    await scene.reconcile_now("3")
    assert scene.moves == [("1", "3")]


async def test_a_model_that_is_gone_ends_its_aliases() -> None:
    scene = await applied()
    scene.fakes.versions = {}
    await scene.reconcile_now()

    (move,) = scene.records[-1].moves
    assert move == AliasMove("driver_model", "champion", "1", "", "ModelGone")
    assert AliasFold(*scene.records).state is not None


async def test_another_server_gets_its_own_history() -> None:
    scene = await applied()
    spec = ProjectScenario(mlflow={**MLFLOW, "opsExperimentSuffix": "-other"}).project.spec
    scene.fakes.runs.clear()
    scene.fakes.add(scene.project.model_copy(update={"spec": spec}))

    await scene.reconcile_now()

    assert [each.previous for each in scene.records] == [""]


@pytest.mark.parametrize(
    "spec", [{"suspend": True}, {"mlflow": {**MLFLOW, "logOperations": False}}]
)
async def test_without_records_nothing_is_asked(spec: dict[str, object]) -> None:
    scene = await applied()
    scene.fakes.add(
        scene.project.model_copy(
            update={"spec": ProjectScenario(**{"mlflow": MLFLOW, **spec}).project.spec}
        )
    )

    await scene.reconcile_now("2")

    assert scene.moves == []


async def test_too_many_aliases_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alias_log, "MAX_ALIASES", 0)
    scene = Scene()
    scene.fakes.versions = champion("1")
    await scene.reconcile()
    scene.job_ends()
    await scene.reconcile_until_quiet()

    assert scene.says("Recorded") == ("False", "RequestRejected")
    assert scene.records == []


async def test_too_many_aliases_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change that waits would have a copy of all of them."""
    scene = await applied()
    monkeypatch.setattr(alias_log, "MAX_ALIASES", 0)
    scene.fakes.fail["record"] = OUT
    for number in ("2", "3", "1"):
        await scene.reconcile_now(number)
    (log,) = scene.controller._memory.aliases.values()
    assert log.facts.pending == ()

    monkeypatch.undo()
    del scene.fakes.fail["record"]
    await scene.reconcile_now("2")
    assert scene.moves == [("1", "2")]
    assert scene.says("Recorded") == ("True", "Succeeded")


async def test_a_model_that_leaves_the_project_keeps_its_alias() -> None:
    scene = await applied()
    scene.fakes.versions = {n: replace(v, tags={}) for n, v in champion("1").items()}
    await scene.reconcile_now()

    (move,) = scene.records[-1].moves
    assert move == AliasMove("driver_model", "champion", "1", "", "NotOfProject")


async def test_the_first_record_of_a_process_is_whole() -> None:
    """A process before it may still write a record that follows the same one as this."""
    scene = await applied()
    await scene.reconcile_now("2")
    await scene.restart()
    await scene.reconcile_now("3")
    await scene.reconcile_now("1")

    assert [each.aliases is not None for each in scene.records] == [True, False, True, False]


async def test_after_a_refusal_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request to a server that does not answer takes its whole time-out."""
    scene = Scene()
    scene.fakes.versions = champion("1")
    await scene.reconcile()
    scene.job_ends()
    scene.fakes.versions = champion("2")
    scene.fakes.instant += timedelta(seconds=30)
    tried: list[str] = []

    def refuses(verb: str, what: str) -> None:
        if verb == "record":
            tried.append(what)
            raise OUT

    monkeypatch.setattr(scene.fakes, "does", refuses)
    await scene.reconcile()

    assert tried == [scene.project.status.operations[0].id]
    recorded = next(c for c in scene.project.status.conditions if c.type == "Recorded")
    assert recorded.message.startswith("1 operations and 1 changes of aliases wait for MLflow")
