"""Which running jobs may ask for a newer guard: others cost no request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.kube.test_job_manifest import job, project

from feature_lineage.kube.jobs.names import GUARD_READ_AT
from feature_lineage.kube.jobs.newer_guard import read_question
from feature_lineage.operations.newer_guard import ANSWERED_KEY, QUESTION_KEY
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import ApplyRequest, DeleteRequest

TOKEN = "a" * 32


def guard(minutes: float) -> Guard:
    return Guard(datetime.now(UTC) - timedelta(minutes=minutes))


class Reads:
    """An API server with one ConfigMap."""

    def __init__(self, **data: Any) -> None:
        self.data = data
        self.requests = 0

    async def find(self, _kind: Any, namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == ("feast", "apply-12-9f86d081884c7d65-1-report-0")
        self.requests += 1
        return {"data": {key.replace("_", "-"): value for key, value in self.data.items()}}


@pytest.mark.parametrize(
    ("part", "minutes", "protection", "asked"),
    [
        pytest.param("apply", 11, "Enforce", TOKEN, id="old"),
        pytest.param("delete", 11, "Enforce", TOKEN, id="old, a deletion"),
        pytest.param("apply", 9.5, "Enforce", TOKEN, id="old by another clock"),
        pytest.param("apply", 5, "Enforce", "", id="young"),
        pytest.param("apply", 11, "Warn", "", id="Warn"),
        pytest.param("apply", None, "Enforce", "", id="no guard"),
        pytest.param("", None, "Enforce", "", id="another kind"),
    ],
)
async def test_only_a_job_with_an_old_guard_costs_a_request(
    part: str, minutes: float | None, protection: str, asked: str
) -> None:
    api: Any = Reads(guard_question=TOKEN)
    held = None if minutes is None else guard(minutes)
    request = {"apply": ApplyRequest, "delete": DeleteRequest}.get(part)
    parts = {part: request(guard=held, protection=protection)} if request else {}

    assert await read_question(api, job(project(), **parts), project()) == asked
    assert api.requests == (1 if asked else 0)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-30T10:00:00", "9" * 1000])
async def test_a_changed_annotation_costs_the_answer_only(text: str) -> None:
    made = job(project(), apply=ApplyRequest(guard=guard(11)))
    made["metadata"]["annotations"][GUARD_READ_AT] = text

    assert await read_question(Reads(guard_question=TOKEN), made, project()) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        pytest.param({}, "", id="no question"),
        pytest.param({QUESTION_KEY: TOKEN}, TOKEN, id="a question"),
        pytest.param({QUESTION_KEY: TOKEN, ANSWERED_KEY: TOKEN}, "", id="answered"),
        pytest.param({QUESTION_KEY: TOKEN, ANSWERED_KEY: "b" * 32}, TOKEN, id="another answer"),
        pytest.param({QUESTION_KEY: "x" * 900_000}, "", id="not a token"),
    ],
)
async def test_a_question_without_its_answer_is_open(data: dict[str, str], asked: str) -> None:
    made = job(project(), apply=ApplyRequest(guard=guard(11)))

    assert await read_question(Reads(**data), made, project()) == asked  # type: ignore[arg-type]
