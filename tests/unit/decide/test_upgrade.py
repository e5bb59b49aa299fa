"""Statuses of the version with one lane, with a job in flight: none starts a second job.

Commit 342f8f4 wrote `recorded/one_lane.json`: metadata, spec, status, the names of the started
jobs, and the digest of the inputs of an apply.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.decide.build import PLAN, STATS, ProjectScenario

from feature_lineage.api.enums import OperationKind, Result
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.job_request import inputs_digest
from feature_lineage.operations.kinds import KINDS, Lane

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "one_lane.json").read_text()
)
IN_FLIGHT = sorted(name for name, each in RECORDED.items() if "operation" in each["status"])
YOUNGER = "an older owner"
"""Its inputs contained the registry of an older resource, which no longer matters."""
OTHERS = sorted(set(RECORDED) - {YOUNGER})


def upgraded(name: str) -> ProjectScenario:
    """The project as this version finds it, with its running job."""
    recorded = RECORDED[name]
    scenario = ProjectScenario()
    scenario.snapshot = STATS
    scenario.metadata, scenario.spec = recorded["metadata"], recorded["spec"]
    scenario.status = FeatureStoreProjectStatus.model_validate(recorded["status"])
    scenario.now = datetime.fromisoformat(recorded["now"])
    for operation in scenario.status.in_flight:
        scenario.jobs[operation.job] = JobFacts(running=True)
    return scenario


def test_what_was_recorded_is_what_it_is_called() -> None:
    assert PLAN in RECORDED[YOUNGER]["metadata"]["annotations"]["featurelineage.io/allow-breaking"]
    assert {RECORDED[name]["status"]["operation"]["kind"] for name in IN_FLIGHT} == {
        "Apply",
        "Backfill",
        "Materialize",
        "Observe",
    }


@pytest.mark.parametrize("name", IN_FLIGHT)
def test_a_job_in_flight_is_taken_over(name: str) -> None:
    scenario = upgraded(name)
    (before,) = scenario.status.in_flight
    for _ in range(3):
        scenario.reconcile()

    assert scenario.started == [], "no second job"
    assert [each.id for each in scenario.status.in_flight] == [before.id]
    reads = KINDS[before.kind].lane is Lane.READING
    assert (scenario.status.reading_operation is not None) == reads
    assert scenario.forgotten == []

    scenario.requests.clear()
    scenario.end("Succeeded")
    scenario.rest()
    assert [each.id for each in scenario.status.operations].count(before.id) == 1
    assert list(scenario.runs).count(before.id) == 1, "one ops run"
    assert before.job in scenario.forgotten


@pytest.mark.parametrize("name", OTHERS)
def test_the_inputs_of_an_apply_are_the_same(name: str) -> None:
    scenario = upgraded(name)

    assert inputs_digest(scenario.observed()) == RECORDED[name]["inputsDigest"]


def test_an_upgrade_applies_nothing_again() -> None:
    scenario = upgraded("at rest")
    for _ in range(3):
        scenario.reconcile()

    assert scenario.started == []


@pytest.mark.parametrize("refused", [False, True])
def test_a_younger_resource_applies_once_and_is_still_refused(refused: bool) -> None:
    """Its registry was another one, or it was refused: then it does not become the owner."""
    scenario = upgraded(YOUNGER)
    assert scenario.status.last_apply is not None
    if refused:
        last = scenario.status.last_apply.model_copy(
            update={"result": Result.FAILED, "reason": "ProjectOwnedByOther"}
        )
        scenario.status = scenario.status.model_copy(update={"last_apply": last})
    for _ in range(3):
        scenario.reconcile()

    assert len(scenario.started) == 1
    assert scenario.request.refused is refused
    scenario.end("Succeeded")
    scenario.rest()
    assert len(scenario.started) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_operations_have_the_ids_they_had(name: str) -> None:
    """Run again from the start, so that a lost or restored status finds its jobs by name."""
    recorded = RECORDED[name]
    scenario = ProjectScenario()
    scenario.metadata, scenario.spec = recorded["metadata"], recorded["spec"]
    scenario.reconcile()

    first = scenario.status.in_flight[0]
    assert first.job == recorded["started"][0]
    if len(recorded["started"]) > 1:
        scenario.end("Succeeded")
        scenario.rest()
        scenario.now = datetime.fromisoformat(recorded["now"])
        scenario.reconcile()
        assert recorded["started"][1] in scenario.started


def test_of_two_reading_operations_the_newer_stays() -> None:
    """A downgrade and an upgrade leave an operation in each field."""
    scenario = upgraded("an Observe")
    old = scenario.status.operation
    assert old is not None
    newer = old.model_copy(update={"id": "observe-9-0123456789abcdef", "sequence": 9})
    scenario.status = scenario.status.model_copy(update={"reading_operation": newer, "sequence": 9})
    scenario.jobs[newer.job] = JobFacts(running=True)
    scenario.reconcile()

    assert [each.id for each in scenario.status.in_flight] == [newer.id]
    assert old.job in scenario.forgotten
    assert scenario.started == []
    assert newer.kind is OperationKind.OBSERVE
