"""The report so far: kept before each view, whatever the worker sends."""

import time
from typing import Any

import pytest

from feature_lineage.operations import job_report
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.kinds import kind_of_command
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.runner import view_results
from feature_lineage.runner.progress import WorkerResult
from feature_lineage.runner.redaction import Redaction
from feature_lineage.runner.report_builder import build_report
from feature_lineage.runner.view_results import ViewResults

REQUEST = JobRequest(operation_id="op", kind=kind_of_command("materialize"), project="p", repo="/r")
END = "2026-11-21T00:00:00Z"


class Kept:
    """The reports that were kept, and the results that are collected."""

    def __init__(self) -> None:
        self.reports: list[JobReport] = []
        self.redaction = Redaction()
        self.results = ViewResults(REQUEST, time.time(), self.reports.append, self.redaction)

    def planned(self, name: str, **fields: Any) -> bool:
        view = {"name": name, "kind": "feature_view", "end": END, **fields}
        return self.results.handle({"event": "view_planned", "view": view})

    def ended(self, name: str, **fields: Any) -> bool:
        view = {"name": name, "kind": "feature_view", "end": END, **fields}
        return self.results.handle({"event": "view_ended", "view": view})

    def runs(self, name: str) -> bool:
        return self.results.handle({"event": "view_running", "name": name})


def test_the_worker_waits_until_the_view_is_kept() -> None:
    kept = Kept()
    assert kept.results.unfinished is None

    waits = [kept.planned("a"), kept.planned("b"), kept.runs("a")]
    waits += [kept.ended("a", result="Succeeded", rows=3), kept.runs("b"), kept.runs("")]

    assert waits == [False, False, True, False, True, True]
    assert [report.running for report in kept.reports] == ["a", "b", ""]
    assert [view.result for view in kept.reports[1].views] == ["Succeeded", ""]


def test_a_state_that_feast_did_not_change_is_left_in_none() -> None:
    kept = Kept()
    kept.planned("a", state="AVAILABLE_ONLINE")
    kept.runs("a")

    kept.results.handle({"event": "view_keeps_state", "name": "a"})
    kept.runs("a")

    assert [report.views[0].state for report in kept.reports] == ["AVAILABLE_ONLINE", ""]


def test_passwords_are_not_kept() -> None:
    kept = Kept()
    kept.planned("a")
    kept.redaction.secrets.append("hush-hush")
    kept.ended("a", result="Failed", error="no access with hush-hush")

    kept.runs("")

    assert kept.reports[0].views[0].error == "no access with ***"


@pytest.mark.parametrize(
    "message",
    [
        {"event": "view_planned"},
        {"event": "view_planned", "view": {"name": "x" * 5000, "kind": "feature_view"}},
        {"event": "view_ended", "view": {"name": 1, "kind": []}},
        {"event": "view_running", "name": ["a"]},
        {"event": "another"},
    ],
)
def test_an_event_that_does_not_parse_is_ignored(message: dict[str, Any]) -> None:
    kept = Kept()

    assert not kept.results.handle(message)

    assert kept.results.unfinished is None


def test_a_view_that_was_not_named_before_cannot_be_at_fault() -> None:
    kept = Kept()
    kept.planned("a")

    assert kept.runs("nobody"), "the worker gets its answer all the same"

    assert kept.reports[0].running == ""


def test_there_are_no_more_views_than_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_results, "MAX_VIEWS", 3)
    assert job_report.MAX_VIEWS == 5000
    kept = Kept()
    for number in range(10):
        kept.planned(f"v{number}")

    kept.runs("v9")

    assert [view.name for view in kept.reports[0].views] == ["v0", "v1", "v2"]


@pytest.mark.parametrize(
    ("stopped_by", "killed", "result"),
    [("", True, "Failed"), ("deadline", False, "Failed"), ("SIGTERM", False, "")],
)
def test_the_report_of_a_dead_worker_has_its_views(
    stopped_by: str, killed: bool, result: str
) -> None:
    kept = Kept()
    kept.planned("a")
    kept.planned("b")
    kept.runs("a")
    dead = WorkerResult(returncode=-9, phase="materialize", stopped_by=stopped_by)
    dead.unfinished = kept.results.unfinished

    report = build_report(REQUEST, dead, time.time())

    assert [view.result for view in report.views] == [result, ""]
    assert report.views[0].killed is killed
    assert "while it materialized view 'a', and 0 of 2 views had succeeded" in report.message
