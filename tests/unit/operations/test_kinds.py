"""The table of operation kinds: complete, and compatible with earlier versions."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from feature_lineage.api.enums import OperationKind
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import KINDS, Lane, RequestPart, kind_of_command
from feature_lineage.operations.protocol import JobRequest, encode
from feature_lineage.runner import dispatch

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ON_THE_WIRE = {
    OperationKind.APPLY: "apply",
    OperationKind.PLAN: "plan",
    OperationKind.MATERIALIZE: "materialize",
    OperationKind.BACKFILL: "materialize",
    OperationKind.OBSERVE: "observe",
    OperationKind.PROBE: "probe",
    OperationKind.DELETE: "delete",
}


def test_every_kind_has_a_row() -> None:
    assert set(KINDS) == set(OperationKind)


def test_every_command_has_a_function_in_the_runner() -> None:
    assert set(dispatch.COMMANDS) == {traits.command for traits in KINDS.values()}


def test_every_request_part_is_a_field_of_the_request() -> None:
    parts = {str(part) for part in RequestPart if part}

    assert parts <= set(JobRequest.model_fields)


def test_what_writes_is_in_the_writing_lane() -> None:
    for kind, traits in KINDS.items():
        writes = traits.writes_registry or traits.writes_online_store
        assert not writes or traits.lane is Lane.WRITING, kind
        assert traits.verified == traits.writes_registry, kind


def test_kinds_of_one_command_have_the_same_job() -> None:
    """A job knows only its command, so kinds with the same command must not differ for a job."""
    for kind, traits in KINDS.items():
        of_command = KINDS[kind_of_command(traits.command)]
        for name in (
            "request",
            "imports_repo_code",
            "writes_registry",
            "writes_online_store",
            "verified",
            "feast_name",
            "success",
        ):
            assert getattr(of_command, name) == getattr(traits, name), (kind, name)


@pytest.mark.parametrize(("kind", "command"), ON_THE_WIRE.items())
def test_messages_spell_a_kind_as_its_command(kind: OperationKind, command: str) -> None:
    request = JobRequest(operation_id="x", kind=kind, project="p", repo="")
    report = JobReport(
        operation_id="x",
        kind=kind,
        project="p",
        outcome=Outcome.SUCCEEDED,
        started_at=NOW,
        finished_at=NOW,
    )

    for message in (request, report):
        text = encode(message)
        assert f'"kind":"{command}"' in text
        assert type(message).model_validate_json(text) == message


@pytest.mark.parametrize("kind", ["Apply", "backfill", "measure", 1])
def test_other_spellings_are_refused(kind: object) -> None:
    with pytest.raises(ValidationError):
        JobRequest.model_validate({"operation_id": "x", "kind": kind, "project": "p", "repo": ""})
