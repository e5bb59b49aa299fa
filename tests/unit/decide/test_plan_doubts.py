"""What the facts about models leave open is a warning of the plan, with a stable reason."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.decide.build import MLFLOW, NOW, OUTAGE, STATS, ProjectScenario, plan

from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.decide.project.plan_doubts import plan_doubts
from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.links import Link
from feature_lineage.operations.doubts import Doubt, PlanWarning
from feature_lineage.operations.protection import Guard, GuardedModel
from feature_lineage.reasons import Reason

REFS = (FeatureRef("stats", "trips"),)
KNOWN = GuardedModel("ranker", "1", ("champion",), "", define_all(STATS, REFS), REFS)
WITHOUT_BASELINE = replace(KNOWN, version="2", features=())
AMBIGUOUS = LinkedVersion(
    ModelVersion("rider", "7", NOW),
    Link(reason=Reason.AMBIGUOUS, problems=("the run has two lists",)),
    None,
    None,
)


def doubts(guard: Guard | None = None, **spec: Any) -> list[str]:
    scenario = ProjectScenario(**{"mlflow": MLFLOW, **spec})
    scenario.guard = guard or Guard(NOW)
    scenario.linked = (AMBIGUOUS,)
    return [str(doubt) for doubt in plan_doubts(scenario.observed())]


def test_facts_that_are_whole_leave_no_doubt() -> None:
    assert doubts(Guard(NOW, (KNOWN,))) == []


@pytest.mark.parametrize(
    ("guard", "spec", "text"),
    [
        (None, {"mlflow": None}, "NoMLflow: no model is protected and none is looked at; set "),
        (None, {"apply": {"protection": {"mode": "Off"}}}, "ProtectionOff: apply.protection.mode"),
        (
            None,
            {"mlflow": None, "apply": {"protection": {"mode": "Off"}}},
            "ProtectionOff: apply.protection.mode is Off: models and feature services are not",
        ),
        (None, {"mlflow": {"serverRef": "prod"}}, "AccessLimited: only the models are looked at"),
        (
            Guard(NOW, (), ("rider/7", "lost/1")),
            {},
            "FeaturesUnknown: what these protected versions use is not known",
        ),
        (Guard(NOW, (KNOWN, WITHOUT_BASELINE)), {}, "BaselineUnknown: the registry of training"),
    ],
)
def test_each_gap_has_its_warning(guard: Guard | None, spec: dict[str, Any], text: str) -> None:
    (doubt,) = doubts(guard, **spec)

    assert doubt.startswith(text)


def test_a_version_is_named_with_why_it_is_not_known() -> None:
    (doubt,) = doubts(Guard(NOW, (), ("rider/7", "lost/1")))

    assert doubt.endswith("break them: rider/7 (Ambiguous: the run has two lists); lost/1")


def test_the_version_without_baseline_is_named_and_no_other() -> None:
    assert doubts(Guard(NOW, (KNOWN, WITHOUT_BASELINE)))[0].endswith(": ranker/2")


def test_a_long_list_says_how_many_are_left() -> None:
    names = tuple(f"m/{number}" for number in range(15))

    assert doubts(Guard(NOW, (), names))[0].endswith("; m/9 and 5 more")


@pytest.mark.parametrize(
    ("read", "reason"), [(True, Doubt.FACTS_OLD), (False, Doubt.FACTS_UNAVAILABLE)]
)
def test_an_outage_is_said_in_mode_warn(read: bool, reason: Doubt) -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"protection": {"mode": "Warn"}})
    scenario.outage, scenario.read_at = OUTAGE, NOW if read else None

    (doubt,) = plan_doubts(scenario.observed())

    assert (doubt.reason, OUTAGE.message in doubt.message) == (reason, True)


@pytest.mark.parametrize(("mode", "said"), [("PlanOnly", True), ("Auto", False)])
def test_a_plan_job_reports_them_and_an_apply_does_not(mode: str, said: bool) -> None:
    scenario = ProjectScenario(apply={"mode": mode})
    scenario.reconcile()

    scenario.end("Planned" if said else "Succeeded", plan=plan())

    assert ("Warning" in scenario.events) is said


def test_a_warning_of_a_report_keeps_its_reason() -> None:
    known = PlanWarning(Doubt.CODE_UNKNOWN, "of view a: not known")

    assert PlanWarning.parse(str(known)) == known
    assert PlanWarning.parse("view a: odd") == PlanWarning(Doubt.OTHER, "view a: odd")
    assert PlanWarning.parse("CodeUnknown") == PlanWarning(Doubt.OTHER, "CodeUnknown")


def test_every_reason_is_documented() -> None:
    page = Path("docs/quickstart.md").read_text()

    assert [reason for reason in Doubt if f"| `{reason}` |" not in page] == []
