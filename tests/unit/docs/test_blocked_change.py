"""The page about a blocked change quotes real messages and describes real behaviour."""

import json

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.decide.build import ProjectScenario, shown
from tests.unit.docs.pages import ROOT, names_in, quoted, read, rows, section
from tests.unit.docs.story import AFTER, BEFORE, BREAKING, WHY, blocked, in_effect, message, plan_of

from feature_lineage.api.annotations import ALLOW_BREAKING, override
from feature_lineage.api.enums import OverrideKind
from feature_lineage.api.resources import FeatureStoreProject
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.project.history import ops_run_of
from feature_lineage.errors import InvalidManifest
from feature_lineage.metrics import State, StateCollector
from feature_lineage.metrics.families import exposition
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.plan import PlanVerdict, short

BLOCKED = ROOT / "docs/blocked-change.md"
PERMISSION = "allow-breaking"


def permitted(why: str = WHY) -> str:
    return f"{short(plan_of().digest)}: {why}"


def allowed() -> ProjectScenario:
    """The annotation of the page permits the breaking commit, and the commit is applied."""
    scenario = blocked()
    scenario.annotate(PERMISSION, permitted())
    scenario.reconcile()
    plan = plan_of(allowed=short(plan_of().digest))
    scenario.end("Succeeded", plan=plan, snapshot=AFTER)
    scenario.rest()
    return scenario


def test_the_event_of_a_permitted_change_is_the_one_of_the_page() -> None:
    scenario = blocked()
    scenario.annotate(PERMISSION, permitted())
    scenario.reconcile()
    decision = scenario.end(
        "Succeeded", plan=plan_of(allowed=short(plan_of().digest)), snapshot=AFTER
    )
    (event,) = (event for event in shown(decision.events) if event.kind == "Warning")

    assert event.reason == "ModelsHurt"
    assert f"{event.message}\n" in quoted(BLOCKED)


@pytest.mark.parametrize("condition", ["Applied", "Ready", "Stalled"])
def test_conditions_say_what_the_page_quotes(condition: str) -> None:
    scenario = blocked()

    assert scenario.condition(condition).reason == "Blocked"
    assert f"{scenario.condition(condition).message}\n" in quoted(BLOCKED)


def test_the_event_says_the_same() -> None:
    scenario = in_effect()
    scenario.push(BREAKING)
    scenario.reconcile()
    plan = plan_of()
    decision = scenario.end("Blocked", reason=plan.reason, message=message(plan), plan=plan)
    (event,) = (event for event in shown(decision.events) if event.reason == "Blocked")

    assert event.kind == "Warning"
    assert f"{event.message}\n" in quoted(BLOCKED)


def test_the_parts_of_the_message_are_explained_in_their_order() -> None:
    text = message(plan_of())
    first_cells = [
        part for cells in rows(section(BLOCKED, "## What the message says")) for part in [cells[0]]
    ]
    parts = [part.strip("`") for part in first_cells if part.strip("`") in text]

    assert len(parts) == 5
    assert sorted(parts, key=text.index) == parts


def test_the_metrics_are_those_of_a_scrape() -> None:
    scenario = blocked()
    project = FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "driver-ranking", "namespace": "ml"},
            "spec": scenario.spec,
            "status": scenario.status,
        }
    )
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: State(projects=(project,)), lambda: scenario.now))
    scraped = b"".join(exposition(registry)).decode().splitlines()
    shown = [line for line in quoted(BLOCKED).splitlines() if line.startswith("feature_lineage_")]

    assert len(shown) == 2
    assert set(shown) <= set(scraped)


@pytest.mark.parametrize(
    "said",
    [
        message(plan_of(unknown=("old_model/7",), on_unknown="Block")),
        "commit x is not applied: its first apply to this registry would delete objects that",
    ],
)
def test_other_blocked_plans_are_in_the_table(said: str) -> None:
    first_cells = [
        names_in(cells[0])
        for cells in rows(section(BLOCKED, "## What the message says"))
        if len(cells) == 2
    ]

    assert any(part and part[0] in said for part in first_cells)


def test_permission_for_another_plan_has_the_page_text() -> None:
    worse = plan_of(BEFORE, AFTER, protection="Enforce")
    text = message(worse, permitted="0123456789ab")

    assert "The permission given for plan 0123456789ab is not for this plan." in text
    assert f"The permission given for plan {short(worse.digest)} is not for this plan." in (
        quoted(BLOCKED)
    )


def test_permission_without_reason_has_the_page_text() -> None:
    with pytest.raises(InvalidManifest) as caught:
        override({ALLOW_BREAKING: permitted("<why>")}, OverrideKind.ALLOW_BREAKING)

    assert f"{caught.value.message}\n" in quoted(BLOCKED)


def test_annotation_in_the_docs_permits_the_plan_in_the_docs() -> None:
    assert f'{ALLOW_BREAKING}="{permitted()}"' in read(BLOCKED)
    assert plan_of(allowed=short(plan_of().digest)).verdict is PlanVerdict.ALLOWED


def test_permission_in_the_status_is_that_of_the_page() -> None:
    record = allowed().status.operations[0].override
    assert record is not None
    as_json = json.dumps(record.as_dict(), separators=(",", ":"))

    assert f"{as_json}\n" in quoted(BLOCKED)


def test_permission_in_mlflow_is_that_of_the_page() -> None:
    scenario = allowed()
    operation = scenario.status.operations[0]
    report = JobReport(
        operation_id=operation.job or "",
        kind="apply",
        project="driver_ranking",
        outcome="Succeeded",
        started_at=scenario.now,
        finished_at=scenario.now,
        plan=plan_of(allowed=short(plan_of().digest)),
    )
    run = ops_run_of(scenario.project, operation, JobFacts(running=False, report=report))
    shown = dict(
        line.split(": ", 1)
        for line in quoted(BLOCKED).splitlines()
        if line.startswith("featurelineage.io/")
    )

    assert run.experiment == "driver_ranking-feast-ops"
    assert len(shown) == 3
    assert shown.items() <= run.tags.items()


def test_taking_the_annotation_off_applies_once_more() -> None:
    scenario = allowed()
    scenario.annotate(PERMISSION, None)
    scenario.reconcile()

    assert scenario.operation.kind == "Apply"
    assert scenario.operation.revision == BREAKING


def test_old_permission_allows_the_same_plan_again() -> None:
    """Why the page says to remove a permission that was used."""
    left_behind = short(plan_of().digest)

    assert plan_of(AFTER, BEFORE, allowed=left_behind).verdict is PlanVerdict.CLEAN
    assert plan_of(BEFORE, AFTER, allowed=left_behind).verdict is PlanVerdict.ALLOWED
