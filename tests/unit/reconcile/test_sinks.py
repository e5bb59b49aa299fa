"""Domain events reach every sink; a failed sink delays neither a reconcile nor the others."""

import logging
from dataclasses import dataclass, fields
from typing import Any

import pytest
from tests.unit.decide.build import MLFLOW, PLAN, STATS, B, ProjectScenario, plan

from feature_lineage.api.enums import OperationKind, OverrideKind, PlanVerdict, Result, Verdict
from feature_lineage.decide import events
from feature_lineage.decide.events import DomainEvent
from feature_lineage.decide.facts import Key
from feature_lineage.errors import ServerUnavailable, StateUnusable
from feature_lineage.reconcile.sinks.kubernetes_events import event_of
from feature_lineage.reconcile.sinks.log import LogLines, line_of
from feature_lineage.reconcile.sinks.registered import emit

PROJECT = Key("FeatureStoreProject", "ml", "ranking")
MODEL = Key("TrainedModel", "ml", "champion")
SECRET = "hush"
OPERATION = (PROJECT, "apply-1-x", OperationKind.APPLY)
OF = f"resource={PROJECT} operation=apply-1-x kind=Apply"
ALL: tuple[tuple[DomainEvent, str | None, str | None], ...] = (
    (
        events.OperationStarted(*OPERATION, "abc"),
        None,
        f"operation started {OF} revision=abc",
    ),
    (events.AttemptFailed(*OPERATION, 1, "JobFailed", SECRET), "JobFailed", None),
    (
        events.OperationEnded(*OPERATION, Result.SUCCEEDED, 2, "", SECRET),
        "ApplySucceeded",
        f"operation ended {OF} result=Succeeded reason=- attempts=2",
    ),
    (
        events.OperationEnded(*OPERATION, Result.FAILED, 1, "JobFailed", SECRET, superseded=True),
        None,
        f"operation ended {OF} result=Failed reason=JobFailed attempts=1",
    ),
    (
        events.OperationWithdrawn(*OPERATION, "it is not needed"),
        None,
        f"operation withdrawn {OF} (it is not needed)",
    ),
    (events.PlanBlocked(*OPERATION, "abc", PLAN, 1, "Blocked"), None, None),
    (
        events.PermissionUsed(*OPERATION, OverrideKind.ALLOW_BREAKING, SECRET),
        None,
        f"permission used {OF} permission=allow-breaking",
    ),
    (events.ModelsHurt(*OPERATION, SECRET), "ModelsHurt", None),
    (events.JobWarned(*OPERATION, SECRET), "Warning", None),
    (events.SpecRefused(PROJECT, "InvalidManifest", SECRET), "InvalidManifest", None),
    (
        events.AccessLost(PROJECT, "SecretForbidden", SECRET),
        "SecretForbidden",
        f"access lost resource={PROJECT} reason=SecretForbidden",
    ),
    (events.VersionLinked(MODEL, "driver_model", "1", "activity"), None, None),
    (
        events.VerdictChanged(MODEL, Verdict.VERIFIED, Verdict.BROKEN, SECRET),
        "Broken",
        f"verdict changed resource={MODEL} before=Verified after=Broken",
    ),
)


def test_every_domain_event_is_in_the_table() -> None:
    made = {
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, DomainEvent)
    }
    bases = {DomainEvent, events.OperationEvent}

    assert {type(event) for event, _, _ in ALL} == made - bases


@pytest.mark.parametrize(("event", "reason", "line"), ALL)
def test_what_becomes_of_a_domain_event(
    event: DomainEvent, reason: str | None, line: str | None
) -> None:
    shown = event_of(event)

    assert (shown.reason if shown else None) == reason
    assert line_of(event) == line
    assert SECRET not in (line or "")
    if shown is not None and any(field.name == "message" for field in fields(event)):
        assert SECRET in shown.message


@dataclass
class FailingSink:
    error: Exception

    async def emit(self, event: DomainEvent) -> None:
        raise self.error


class RecordingSink:
    def __init__(self) -> None:
        self.events: list[DomainEvent] = []

    async def emit(self, event: DomainEvent) -> None:
        self.events.append(event)


@pytest.mark.parametrize(
    ("error", "level", "why", "traceback"),
    [
        (ServerUnavailable("it is away"), "WARNING", ": it is away", False),
        (RuntimeError("a defect"), "ERROR", " because of a bug; please report it", True),
    ],
)
async def test_a_sink_that_fails_costs_no_other_sink_an_event(
    caplog: pytest.LogCaptureFixture, error: Exception, level: str, why: str, *, traceback: bool
) -> None:
    recorder = RecordingSink()
    event = events.ModelsHurt(*OPERATION, "it hurts")

    errors = await emit((FailingSink(error), recorder), (event, event))

    assert recorder.events == [event, event]
    assert errors == 2
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [(level, f"ModelsHurt of {PROJECT} did not reach FailingSink{why}")] * 2
    assert [record.exc_info is not None for record in caplog.records] == [traceback] * 2


async def test_a_state_folder_that_is_full_is_no_matter_of_a_sink() -> None:
    event = events.ModelsHurt(*OPERATION, "it hurts")

    with pytest.raises(StateUnusable):
        await emit((FailingSink(StateUnusable("the disk is full")),), (event,))


async def test_an_operation_has_one_line_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scenario = ProjectScenario(mlflow=MLFLOW, runtime={"retries": 1}).apply()
    scenario.rest()
    scenario.push(B)
    scenario.happened.clear()
    scenario.annotate("allow-breaking", f"{PLAN}: it goes tomorrow")
    scenario.reconcile()
    scenario.crash()
    scenario.wait_for_retry()
    scenario.reconcile()
    allowed: Any = plan(PlanVerdict.ALLOWED)
    scenario.end("Succeeded", plan=allowed, snapshot=STATS)
    scenario.rest()

    await emit((LogLines(),), scenario.happened)

    words = [record.getMessage().split(" resource=")[0] for record in caplog.records]
    assert words == ["operation started", "operation ended", "permission used"]
    assert all(record.levelno == logging.INFO for record in caplog.records)
