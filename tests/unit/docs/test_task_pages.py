"""The task pages quote what is really said, and promise what is really done."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.docs.pages import ROOT, blocks, names_in, read, rows, section
from tests.unit.docs.story import (
    AFTER,
    BEFORE,
    BREAKING,
    IN_EFFECT,
    WHY,
    blocked,
    in_effect,
    message,
    plan_of,
)
from tests.unit.reconcile.build import Play, guard

from feature_lineage.api.annotations import ALLOW_BREAKING, FINALIZER, override
from feature_lineage.api.enums import OverrideKind
from feature_lineage.api.manifests import load_manifests
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.resources import FeatureStoreProject
from feature_lineage.cli.grant import grant_manifests
from feature_lineage.errors import AccessRefused, InvalidManifest, NotFound
from feature_lineage.kube import client
from feature_lineage.kube.kinds import MANAGED_BY, MANAGER
from feature_lineage.kube.objects import KubeObjects
from feature_lineage.metrics import State, StateCollector
from feature_lineage.metrics.families import exposition
from feature_lineage.operations.plan import PlanVerdict, short
from feature_lineage.operations.protocol import JobReport
from feature_lineage.ports import JobFacts
from feature_lineage.reconcile.recording import ops_run_of
from feature_lineage.sources import git
from feature_lineage.tracking.registries import CREDENTIAL_AGE

FIRST = ROOT / "docs/first-project.md"
PROTECT = ROOT / "docs/protect.md"
BLOCKED = ROOT / "docs/blocked-change.md"
ROTATE = ROOT / "docs/rotate-secrets.md"
UNINSTALL = ROOT / "docs/uninstall.md"
PERMISSION = "allow-breaking"


def permitted(why: str = WHY) -> str:
    return f"{short(plan_of().digest)}: {why}"


def allowed() -> Play:
    """The breaking commit is let through by the annotation of the page, and applied."""
    play = blocked()
    play.annotate(PERMISSION, permitted())
    play.look()
    plan = plan_of(allowed=short(plan_of().digest))
    play.end("Succeeded", plan=plan, snapshot=AFTER)
    play.rest()
    return play


def quoted(page: Path) -> str:
    """Every block that is no command."""
    return "\n".join(block.text for block in blocks(page) if block.info in ("", "console"))


# Read a blocked change


@pytest.mark.parametrize("condition", ["Applied", "Ready", "Stalled"])
def test_conditions_say_what_the_page_quotes(condition: str) -> None:
    play = blocked()

    assert play.condition(condition).reason == "Blocked"
    assert f"{play.condition(condition).message}\n" in quoted(BLOCKED)


def test_the_event_says_the_same() -> None:
    play = in_effect()
    play.push(BREAKING)
    play.look()
    plan = plan_of()
    decision = play.end("Blocked", reason=plan.reason, message=message(plan), plan=plan)
    (event,) = (event for event in decision.events if event.reason == "Blocked")

    assert event.kind == "Warning"
    assert f"{event.message}\n" in quoted(BLOCKED)


def test_the_parts_of_the_message_are_explained_in_their_order() -> None:
    text = message(plan_of())
    told = [part for cells in rows(section(BLOCKED, "## What it says")) for part in [cells[0]]]
    parts = [part.strip("`") for part in told if part.strip("`") in text]

    assert len(parts) == 5
    assert sorted(parts, key=text.index) == parts


def test_the_metrics_are_those_of_a_scrape() -> None:
    play = blocked()
    project = FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "driver-ranking", "namespace": "ml"},
            "spec": play.spec,
            "status": play.status,
        }
    )
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: State(projects=(project,)), lambda: play.now))
    scraped = b"".join(exposition(registry)).decode().splitlines()
    shown = [line for line in quoted(BLOCKED).splitlines() if line.startswith("feature_lineage_")]

    assert len(shown) == 2
    assert set(shown) <= set(scraped)


@pytest.mark.parametrize(
    "said",
    [
        message(plan_of(unknown=("old_model/7",), on_unknown="Block")),
        "commit x is not applied: as its first apply to this registry it would delete objects that",
    ],
)
def test_other_blocks_are_told_apart_by_their_words(said: str) -> None:
    told = [
        names_in(cells[0]) for cells in rows(section(BLOCKED, "## What it says")) if len(cells) == 2
    ]

    assert any(part and part[0] in said for part in told)


def test_a_permission_for_another_plan_is_pointed_out_in_the_words_of_the_page() -> None:
    worse = plan_of(BEFORE, AFTER, protection="Enforce")
    text = message(worse, permitted="0123456789ab")

    assert "The permission given for plan 0123456789ab is not for this plan." in text
    assert f"The permission given for plan {short(worse.digest)} is not for this plan." in (
        quoted(BLOCKED)
    )


def test_a_permission_without_a_reason_is_refused_in_the_words_of_the_page() -> None:
    with pytest.raises(InvalidManifest) as caught:
        override({ALLOW_BREAKING: permitted("<why>")}, OverrideKind.ALLOW_BREAKING)

    assert f"{caught.value.message}\n" in quoted(BLOCKED)


def test_the_annotation_of_the_page_permits_the_plan_of_the_page() -> None:
    assert f'{ALLOW_BREAKING}="{permitted()}"' in read(BLOCKED)
    assert plan_of(allowed=short(plan_of().digest)).verdict is PlanVerdict.ALLOWED


def test_the_permission_is_on_record_in_the_status_as_the_page_shows_it() -> None:
    record = allowed().status.operations[0].override
    assert record is not None
    as_json = json.dumps(record.as_dict(), separators=(",", ":"))

    assert f"{as_json}\n" in quoted(BLOCKED)


def test_the_permission_is_on_record_in_mlflow_as_the_page_shows_it() -> None:
    play = allowed()
    operation = play.status.operations[0]
    report = JobReport(
        operation_id=operation.job or "",
        kind="apply",
        project="driver_ranking",
        outcome="Succeeded",
        started_at=play.now,
        finished_at=play.now,
        plan=plan_of(allowed=short(plan_of().digest)),
    )
    run = ops_run_of(play.project, operation, JobFacts(running=False, report=report))
    shown = dict(
        line.split(": ", 1)
        for line in quoted(BLOCKED).splitlines()
        if line.startswith("featurelineage.io/")
    )

    assert run.experiment == "driver_ranking-feast-ops"
    assert len(shown) == 3
    assert shown.items() <= run.tags.items()


def test_taking_the_annotation_off_applies_once_more() -> None:
    play = allowed()
    play.annotate(PERMISSION, None)
    play.look()

    assert play.operation.kind == "Apply"
    assert play.operation.revision == BREAKING


def test_a_revert_makes_the_same_change_the_same_plan_again() -> None:
    """Why the page asks to take a permission off that was used."""
    reverted = plan_of(AFTER, BEFORE)

    assert reverted.verdict is PlanVerdict.CLEAN
    assert plan_of(BEFORE, AFTER).digest == plan_of().digest


# Protect a model


def test_unknown_models_are_told_in_the_words_of_the_page() -> None:
    text = message(plan_of(unknown=("old_model/7",), on_unknown="Block"))
    fact = text.partition(": ")[2].partition(". Change")[0]

    assert fact in read(PROTECT)


@pytest.mark.parametrize(
    ("mode", "verdict", "impacts"),
    [("Enforce", "Blocked", 1), ("Warn", "Allowed", 1), ("Off", "Clean", 0)],
)
def test_modes_do_what_the_page_says(mode: str, verdict: str, impacts: int) -> None:
    plan = plan_of(protection=mode)

    assert (plan.verdict, len(plan.impacts)) == (verdict, impacts)
    assert mode in {
        name
        for cells in rows(section(PROTECT, "## What happens to a commit that would break one"))
        for name in names_in(cells[0])
    }


def test_a_commit_that_is_let_through_by_warn_has_no_warning_of_its_own() -> None:
    play = in_effect(apply={"protection": {"mode": "Warn"}})
    play.push(BREAKING)
    play.look()
    decision = play.end("Succeeded", plan=plan_of(protection="Warn"), snapshot=AFTER)

    assert [event.kind for event in decision.events] == ["Normal"]


def test_a_plan_only_project_is_ready_and_a_changed_policy_is_judged_at_once() -> None:
    play = in_effect()
    play.change(apply={"mode": "PlanOnly"})
    play.look()
    assert play.operation.kind == "Plan"
    play.end("Planned", plan=plan_of(BEFORE, BEFORE))

    assert play.says("Ready") == ("True", "Planned")


# The first project


class Refusing:
    """An API server that has no Secret, or keeps it to itself."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, *_: Any) -> Mapping[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    ("reason", "error"),
    [("SecretForbidden", client.Forbidden("no")), ("SecretNotFound", NotFound("no"))],
)
async def test_secrets_are_asked_for_in_the_words_of_the_page(
    reason: str, error: Exception
) -> None:
    api: Any = Refusing(error)
    objects = KubeObjects(api, "feature-lineage/feature-lineage-operator")
    told = {names_in(cells[0])[0]: cells[1] for cells in first_days()}

    with pytest.raises((AccessRefused, NotFound)) as caught:
        await objects.contents("Secret", "ml", "features-git")

    assert caught.value.reason == reason
    assert told[reason].replace("\\|", "|") == caught.value.message


def first_days() -> list[list[str]]:
    return rows(section(FIRST, "## If it does not become Ready"))


async def test_a_branch_that_is_not_there_is_told_in_the_words_of_the_page(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    told = {names_in(cells[0])[0]: cells[1] for cells in first_days()}

    with pytest.raises(NotFound) as caught:
        await git.resolve_ref(f"file://{tmp_path}", git.GitRef(branch="main"))

    assert (
        caught.value.message.replace(f"file://{tmp_path}", "https://git.example/features.git")
        == (told["RefNotFound"])
    )


def test_the_first_projects_secrets_are_those_that_are_granted() -> None:
    page = read(FIRST)
    (block,) = (block for block in blocks(FIRST) if block.info == "yaml")
    project, model = (each.resource for each in load_manifests(block.text, FIRST.name))
    assert isinstance(project, FeatureStoreProject)
    spec: FeatureStoreProjectSpec = project.spec

    assert spec.source is not None
    assert spec.source.git is not None
    assert spec.source.git.secret_ref is not None
    assert spec.feature_store_yaml is not None
    assert spec.feature_store_yaml.secret_key_ref is not None
    names = [spec.feature_store_yaml.secret_key_ref.name, spec.source.git.secret_ref.name]
    assert f"feature-lineage grant {' '.join(names)} --namespace ml" in page
    assert {each.metadata.namespace for each in (project, model)} == {"ml"}


def test_the_commit_in_the_table_is_the_one_in_effect() -> None:
    assert IN_EFFECT in quoted(FIRST)
    applied = in_effect().status.applied
    assert applied is not None
    assert applied.revision == IN_EFFECT


# Rotate secrets


def test_a_new_text_of_feature_store_yaml_is_an_apply_and_a_variables_value_is_not_seen() -> None:
    play = in_effect()
    source = play.source
    assert source is not None
    play.source = type(source)(IN_EFFECT, "password: new")  # type: ignore[call-arg,arg-type]
    play.look()

    assert play.operation.kind == "Apply"
    assert play.operation.revision == IN_EFFECT


def test_times_and_labels_of_the_page_are_the_codes() -> None:
    page = " ".join(read(ROTATE).split())

    assert f"and {CREDENTIAL_AGE.seconds} s later at the latest" in page
    assert f"within {CREDENTIAL_AGE.seconds} s and `mlflow.pollInterval`" in page
    assert f"--selector {MANAGED_BY}={MANAGER}" in page


# Uninstall


def test_the_finalizer_and_the_grants_of_the_page_are_the_codes() -> None:
    made = grant_manifests(
        ("feature-store", "features-git"), "ml", "feature-lineage", "feature-lineage-operator"
    )
    names = sorted({str(each["metadata"]["name"]) for each in made})  # type: ignore[index]

    assert f"`{FINALIZER}`" in read(UNINSTALL)
    assert f"delete role,rolebinding {' '.join(names)}\n" in read(UNINSTALL)


def test_a_policy_that_is_changed_on_its_way_out_lets_a_blocked_project_go() -> None:
    play = in_effect(deletionPolicy="Delete")
    play.guard = guard("driver_model")
    play.delete()
    play.look()
    play.end("Blocked", reason="Blocked", message="protected model versions use this project")
    play.rest()
    assert play.says("Ready") == ("False", "DeletionBlocked")
    play.change(deletionPolicy="Retain")

    assert play.look().finished
