"""When the objects of a project may not be deleted; contract tests delete them."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.protection import Guard, GuardedModel
from feature_lineage.operations.protocol import DeleteRequest, JobRequest, encode
from feature_lineage.runner import delete as module
from feature_lineage.runner.job import Job

CHAMPION = GuardedModel(
    "driver_model", "3", ("champion",), "", (), (FeatureRef("stats", "conv_rate"),)
)


class Empty(Job):
    """A job on a registry that does not exist: there is nothing to delete."""

    def read(self) -> Any:
        return SimpleNamespace(exists=False, proto=SimpleNamespace(projects=()))

    def snapshot(self, *_: Any) -> RegistrySnapshot:
        return RegistrySnapshot("p", {})


def run(
    monkeypatch: pytest.MonkeyPatch, newer: Callable[[], Guard] | None = None, **fields: Any
) -> JobReport:
    if "guard" in fields:
        fields["guard"] = fields["guard"]()
    answer = encode(GuardAnswer(token="t", guard=newer())) if newer else ""
    monkeypatch.setattr(module, "view_reports", lambda *_: ())
    settings = SimpleNamespace(
        registry_id="registry-1",
        registry_type="file",
        online_store_type="sqlite",
        online_store_id="online-1",
    )
    progress = SimpleNamespace(
        phase=lambda _: nullcontext(), seconds={}, ask_for_guard=answer.encode
    )
    request = JobRequest(
        operation_id="d-1",
        kind=OperationKind.DELETE,
        project="p",
        repo="",
        delete=DeleteRequest(**fields),
    )
    job: Any = Empty
    report: JobReport = module.delete(
        job(request, progress, datetime.now(UTC), Path(), settings, reader=None)
    )
    return report


def guard(
    *models: GuardedModel, unknown: tuple[str, ...] = (), minutes: float = 0
) -> Callable[[], Guard]:
    """A guard of this age when the test runs, which may be long after the import."""
    return lambda: Guard(datetime.now(UTC) - timedelta(minutes=minutes), models, unknown)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        pytest.param({}, "", id="no guard"),
        pytest.param({"guard": guard()}, "", id="no model uses it"),
        pytest.param({"guard": guard(CHAMPION)}, "driver_model/3", id="a champion"),
        pytest.param(
            {"guard": guard(unknown=("rider_model/7",))},
            "rider_model/7",
            id="whatever an unknown one uses of it, goes",
        ),
        pytest.param(
            {"guard": guard(CHAMPION, unknown=("a_model/1",))},
            "a_model/1, driver_model/3",
            id="both",
        ),
        pytest.param({"guard": guard(CHAMPION), "allow": "retired"}, "", id="permitted"),
        pytest.param({"guard": guard(CHAMPION), "protection": "Warn"}, "", id="Warn"),
    ],
)
def test_who_stands_in_the_way(
    fields: dict[str, Any], names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = run(monkeypatch, **fields)

    assert report.outcome is (Outcome.BLOCKED if names else Outcome.SUCCEEDED)
    assert f"use this project: {names};" in report.message if names else report.message == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"guard": guard(minutes=11)}, "GuardUnavailable", id="too old a guard"),
        pytest.param(
            {"guard": guard(minutes=11), "allow": "retired"},
            "GuardUnavailable",
            id="no permission covers unknown changes",
        ),
        pytest.param(
            {"guard": guard(minutes=2), "max_guard_age_seconds": 60},
            "GuardUnavailable",
            id="older than the policy trusts",
        ),
        pytest.param({"adopted": "registry-2"}, "ProjectOwnedByOther", id="another registry"),
    ],
)
def test_nothing_goes_on(
    fields: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeatureLineageError) as caught:
        run(monkeypatch, **fields)

    assert caught.value.reason == reason
    if reason == "GuardUnavailable":
        age = fields.get("max_guard_age_seconds", 600)
        assert f"maxGuardAge is {age} s" in caught.value.message
        assert "no host answers this job" in caught.value.message


@pytest.mark.parametrize(
    ("newer", "outcome"),
    [
        pytest.param(guard(), Outcome.SUCCEEDED, id="no model uses it any more"),
        pytest.param(guard(CHAMPION), Outcome.BLOCKED, id="a model uses it now"),
    ],
)
def test_a_newer_guard_of_the_host_decides(
    newer: Callable[[], Guard], outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = guard(minutes=11) if outcome is Outcome.BLOCKED else guard(CHAMPION, minutes=11)

    assert run(monkeypatch, newer, guard=old).outcome is outcome


def test_a_guard_that_is_too_old_soon_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan takes time, too."""
    soon = guard(minutes=9.75)

    assert run(monkeypatch, guard(CHAMPION), guard=soon).outcome is Outcome.BLOCKED
    assert run(monkeypatch, guard=soon).outcome is Outcome.SUCCEEDED


def test_a_newer_guard_that_is_too_old_permits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FeatureLineageError, match=r"newer facts were 720 s old .* raise maxGuard"):
        run(monkeypatch, guard(minutes=12), guard=guard(minutes=20))


def test_under_warn_an_old_guard_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    report = run(monkeypatch, guard=guard(CHAMPION, minutes=11), protection="Warn")

    assert report.outcome is Outcome.SUCCEEDED
