"""The results of views in the tags of an ops run are the same after they were read again."""

from datetime import UTC, datetime, timedelta

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import InvalidReport
from feature_lineage.operations import past_operations
from feature_lineage.operations.job_report import ViewReport
from feature_lineage.operations.ops_run_builder import ops_run
from feature_lineage.operations.past_operations import (
    VIEWS_OMITTED_TAG,
    VIEWS_TAG,
    PastOperation,
    PastView,
    read_operation,
    views_tags,
)
from feature_lineage.operations.records import PIECE, Operation

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def view(name: str, result: str = "Succeeded", **more: object) -> ViewReport:
    return ViewReport.model_validate({"name": name, "kind": "", "result": result, **more})


def read(tags: dict[str, str]) -> PastOperation:
    return read_operation("run-1", NOW, NOW, tags)


def test_results_are_read_as_they_were_written() -> None:
    good = view(
        "ünïcode", rows=5, newest_event_time=NOW, seconds=1.5, nulls={"trips": 2}, batch_rows=1
    )
    failed = view("z", "Failed", rows=0, nulls={}, error="two\nlines")
    skipped = view("y", "Skipped", error="it ended two jobs")

    found = read(views_tags([good, failed, skipped])).views

    assert found == (
        PastView("y", "Skipped", error="it ended two jobs"),
        PastView("z", "Failed", rows=0, nulls={}, error="two lines"),
        PastView("ünïcode", "Succeeded", 5, NOW, 1.5, {"trips": 2}),
    )


def test_an_operation_without_views_has_none() -> None:
    assert views_tags([]) == {}
    assert read({}).views is None


def test_results_that_do_not_fit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [view(f"view_{n:04}", rows=n) for n in range(3000)] + [view("bad", "Failed")]

    tags = views_tags(many)
    found = read(tags)

    assert found.views is not None
    assert found.views[0].name == "bad"
    assert len(found.views) + found.views_omitted == 3001
    assert found.views_omitted > 1000
    assert max(map(len, tags.values())) <= PIECE
    monkeypatch.setattr(past_operations, "MAX_TEXT", 10**9)
    assert len(read(views_tags(many)).views or ()) == 3001


def test_an_operation_without_a_report_keeps_its_views() -> None:
    """The job and its report are gone; the status had the results."""
    operation = Operation(
        "materialize-1",
        OperationKind.MATERIALIZE,
        "p",
        "ns/p",
        NOW,
        NOW + timedelta(seconds=1),
        views=(view("stats", "Failed", error="no file"),),
    )

    run = ops_run(operation, None, experiment_suffix="-feast-ops")

    assert read(dict(run.tags)).views == (PastView("stats", "Failed", error="no file"),)


@pytest.mark.parametrize(
    "tags",
    [
        {f"{VIEWS_TAG}-0000": "["},
        {f"{VIEWS_TAG}-0000": '[{"name":"v"}]'},
        {f"{VIEWS_TAG}-0000": '[{"name":"v","result":"Failed","rows":"many"}]'},
        {f"{VIEWS_TAG}-0000": "[" + ",".join(["{}"] * 100_000) + "]"},
        {VIEWS_OMITTED_TAG: "many"},
    ],
)
def test_another_form_is_one_error(tags: dict[str, str]) -> None:
    with pytest.raises(InvalidReport, match="MLflow run run-1 is no ops run") as error:
        read(tags)
    assert len(error.value.message) < 400
