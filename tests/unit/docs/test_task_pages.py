"""The task pages quote real messages and describe real behaviour."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.decide.build import guard, shown
from tests.unit.docs.pages import ROOT, blocks, names_in, quoted, read, rows, section
from tests.unit.docs.story import (
    AFTER,
    BEFORE,
    BREAKING,
    IN_EFFECT,
    in_effect,
    message,
    plan_of,
)

from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.manifests import load_manifests
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.resources import FeatureStoreProject
from feature_lineage.api.sources import GitRef
from feature_lineage.cli.grant import grant_manifests
from feature_lineage.errors import AccessRefused, HostNotAllowed, NotFound
from feature_lineage.kube import api_errors
from feature_lineage.kube.kinds import MANAGED_BY, MANAGER
from feature_lineage.kube.kube_objects import KubeObjects
from feature_lineage.kube.url_allowlist import HostGlob
from feature_lineage.sources import git
from feature_lineage.sources.project_sources import cluster_sources
from feature_lineage.tracking.client_pool import CREDENTIAL_AGE

FIRST = ROOT / "docs/first-project.md"
INSTALL = ROOT / "docs/install.md"
PROTECT = ROOT / "docs/protect.md"
COMMIT_HEADING = "## What happens to a commit that would break a protected version"
ROTATE = ROOT / "docs/rotate-secrets.md"
UNINSTALL = ROOT / "docs/uninstall.md"
REPOSITORY = "https://git.example.org/features.git"


# Protect a model


def test_unknown_models_have_the_message_of_the_page() -> None:
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
        name for cells in rows(section(PROTECT, COMMIT_HEADING)) for name in names_in(cells[0])
    }


def test_commit_allowed_by_warn_has_the_message_of_the_page() -> None:
    scenario = in_effect(apply={"protection": {"mode": "Warn"}})
    scenario.push(BREAKING)
    scenario.reconcile()
    decision = scenario.end("Succeeded", plan=plan_of(protection="Warn"), snapshot=AFTER)

    done, harm = shown(decision.events)
    assert (done.kind, done.reason) == ("Normal", "ApplySucceeded")
    assert (harm.kind, harm.reason) == ("Warning", "ModelsHurt")
    assert f"{harm.message}\n" in quoted(PROTECT)


def test_an_apply_without_impacts_has_no_warning() -> None:
    scenario = in_effect(apply={"protection": {"mode": "Warn"}})
    scenario.push(BREAKING)
    scenario.reconcile()
    decision = scenario.end("Succeeded", plan=plan_of(BEFORE, BEFORE, protection="Warn"))

    assert [event.kind for event in shown(decision.events)] == ["Normal"]


def test_plan_only_project_plans_a_changed_policy() -> None:
    scenario = in_effect()
    scenario.change(apply={"mode": "PlanOnly"})
    scenario.reconcile()
    assert scenario.operation.kind == "Plan"
    scenario.end("Planned", plan=plan_of(BEFORE, BEFORE))

    assert scenario.says("Ready") == ("True", "Planned")


@pytest.mark.parametrize("outcome", ["Planned", "Succeeded"])
def test_harmful_plan_in_plan_only_mode_emits_no_warning(outcome: str) -> None:
    """Whatever its report says."""
    scenario = in_effect(apply={"mode": "PlanOnly", "protection": {"mode": "Warn"}})
    scenario.push(BREAKING)
    scenario.reconcile()
    decision = scenario.end(outcome, plan=plan_of(protection="Warn"), snapshot=BEFORE)

    assert [event.kind for event in shown(decision.events)] == ["Normal"]


# The first project


class Refusing:
    """An API server without the Secret, or without permission to read it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, *_: Any) -> Mapping[str, Any]:
        raise self._error


@pytest.mark.parametrize(
    ("reason", "error"),
    [("SecretForbidden", api_errors.Forbidden("no")), ("SecretNotFound", NotFound("no"))],
)
async def test_secrets_are_asked_for_in_the_words_of_the_page(
    reason: str, error: Exception
) -> None:
    api: Any = Refusing(error)
    objects = KubeObjects(api, "feature-lineage/feature-lineage-operator")
    messages = {names_in(cells[0])[0]: cells[1] for cells in first_days()}

    with pytest.raises((AccessRefused, NotFound)) as caught:
        await objects.contents("Secret", "ml", "features-git")

    assert caught.value.reason == reason
    assert messages[reason].replace("\\|", "|") == caught.value.message


def first_days() -> list[list[str]]:
    return rows(section(FIRST, "## If the project does not become Ready"))


async def test_missing_branch_has_the_message_of_the_page(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path], check=True)
    messages = {names_in(cells[0])[0]: cells[1] for cells in first_days()}

    with pytest.raises(NotFound) as caught:
        await git.resolve_ref(f"file://{tmp_path}", GitRef(branch="main"))

    assert caught.value.message.replace(f"file://{tmp_path}", REPOSITORY) == messages["RefNotFound"]


async def test_host_not_allowed_has_the_message_of_the_page() -> None:
    (block,) = (block for block in blocks(FIRST) if block.info == "yaml")
    project, _ = (each.resource for each in load_manifests(block.text, FIRST.name))
    assert isinstance(project, FeatureStoreProject)
    messages = {names_in(cells[0])[0]: cells[1] for cells in first_days()}
    spec = project.spec.model_copy(update={"feature_store_yaml": None})
    no_secrets: Any = None
    source = cluster_sources(no_secrets, "", lambda url: url != REPOSITORY)

    with pytest.raises(HostNotAllowed) as caught:
        await source.resolve(project.model_copy(update={"spec": spec}))

    assert messages["HostNotAllowed"] == caught.value.message


def test_page_repositories_are_on_an_allowed_host() -> None:
    (text,) = (block.text for block in blocks(INSTALL) if "allowedGitHosts" in block.text)
    allowed = [HostGlob.parse(glob) for glob in yaml.safe_load(text)["allowedGitHosts"]]
    files = [FIRST, PROTECT, *(ROOT / "examples/gitops").rglob("*.yaml")]
    named = {url for file in files for url in re.findall(r"(?:url|repoURL): (\S+)", read(file))}

    assert REPOSITORY in named
    assert [url for url in named if not any(glob.allows(url) for glob in allowed)] == []


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


def test_new_feature_store_yaml_starts_an_apply() -> None:
    scenario = in_effect()
    source = scenario.source
    assert source is not None
    scenario.source = type(source)(IN_EFFECT, "password: new")  # type: ignore[call-arg,arg-type]
    scenario.reconcile()

    assert scenario.operation.kind == "Apply"
    assert scenario.operation.revision == IN_EFFECT


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


def test_retain_releases_a_blocked_deletion() -> None:
    scenario = in_effect(deletionPolicy="Delete")
    scenario.guard = guard("driver_model")
    scenario.delete()
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", message="protected model versions use this project")
    scenario.rest()
    assert scenario.says("Ready") == ("False", "DeletionBlocked")
    scenario.change(deletionPolicy="Retain")

    assert scenario.reconcile().finished
