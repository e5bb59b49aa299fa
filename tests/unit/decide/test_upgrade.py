"""Statuses that the version with one lane wrote, with a job in flight: none starts a second job.

`recorded/one_lane.json` was written by commit 342f8f4: metadata, spec, status and the names of the
jobs that were started, with the digest of an apply's inputs.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.decide.build import PLAN, Play

from feature_lineage.api.enums import OperationKind
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.facts import JobFacts, Key
from feature_lineage.decide.project.job_request import inputs_digest
from feature_lineage.decide.values import OlderOwner
from feature_lineage.operations.kinds import KINDS, Lane

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "recorded" / "one_lane.json").read_text()
)
IN_FLIGHT = sorted(name for name, each in RECORDED.items() if "operation" in each["status"])
OWNER = OlderOwner(Key("FeatureStoreProject", "ml", "old"), "registry-9", True)


def upgraded(name: str) -> Play:
    """The project as this version finds it; the job in flight runs."""
    recorded = RECORDED[name]
    play = Play()
    play.metadata, play.spec = recorded["metadata"], recorded["spec"]
    play.status = FeatureStoreProjectStatus.model_validate(recorded["status"])
    play.now = datetime.fromisoformat(recorded["now"])
    if name == "an older owner":
        play.older_owners = (OWNER,)
    for operation in play.status.in_flight:
        play.jobs[operation.job] = JobFacts(running=True)
    return play


def test_what_was_recorded_is_what_it_is_called() -> None:
    assert (
        PLAN
        in RECORDED["an older owner"]["metadata"]["annotations"]["featurelineage.io/allow-breaking"]
    )
    assert {RECORDED[name]["status"]["operation"]["kind"] for name in IN_FLIGHT} == {
        "Apply",
        "Backfill",
        "Materialize",
        "Observe",
    }


@pytest.mark.parametrize("name", IN_FLIGHT)
def test_a_job_in_flight_is_taken_over(name: str) -> None:
    play = upgraded(name)
    (before,) = play.status.in_flight
    for _ in range(3):
        play.look()

    assert play.started == [], "no second job"
    assert [each.id for each in play.status.in_flight] == [before.id]
    reads = KINDS[before.kind].lane is Lane.READING
    assert (play.status.reading_operation is not None) == reads
    assert play.forgotten == []

    play.requests.clear()
    play.end("Succeeded")
    play.rest()
    assert [each.id for each in play.status.operations].count(before.id) == 1
    assert list(play.runs).count(before.id) == 1, "one ops run"
    assert before.job in play.forgotten


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_inputs_of_an_apply_are_the_same(name: str) -> None:
    play = upgraded(name)

    assert inputs_digest(play.observed()) == RECORDED[name]["inputsDigest"]


@pytest.mark.parametrize("name", ["an older owner", "at rest"])
def test_an_upgrade_applies_nothing_anew(name: str) -> None:
    play = upgraded(name)
    for _ in range(3):
        play.look()

    assert play.started == []


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_operations_have_the_ids_they_had(name: str) -> None:
    """Played again from the start, so that a status lost or restored finds its jobs by name."""
    recorded = RECORDED[name]
    play = Play()
    play.metadata, play.spec = recorded["metadata"], recorded["spec"]
    if name == "an older owner":
        play.older_owners = (OWNER,)
    play.look()

    first = play.status.in_flight[0]
    assert first.job == recorded["started"][0]
    if len(recorded["started"]) > 1:
        play.end("Succeeded")
        play.rest()
        play.now = datetime.fromisoformat(recorded["now"])
        play.look()
        assert recorded["started"][1] in play.started


def test_of_two_reading_operations_the_newer_stays() -> None:
    """A downgrade and an upgrade leave one in each field."""
    play = upgraded("an Observe")
    old = play.status.operation
    assert old is not None
    newer = old.model_copy(update={"id": "observe-9-0123456789abcdef", "sequence": 9})
    play.status = play.status.model_copy(update={"reading_operation": newer, "sequence": 9})
    play.jobs[newer.job] = JobFacts(running=True)
    play.look()

    assert [each.id for each in play.status.in_flight] == [newer.id]
    assert old.job in play.forgotten
    assert play.started == []
    assert newer.kind is OperationKind.OBSERVE
