"""The manifests below `examples/gitops` can be used without changes."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.binaries import binary
from tests.cluster.gitops.judging import ARGOCD, EXAMPLES, FLUX, ROOT
from tests.cluster.kubectl import Kubectl

from feature_lineage.api.manifests import load_manifests
from feature_lineage.api.resources import FeatureStoreProject
from feature_lineage.cli.grant import grant_manifests

Object = dict[str, Any]

RANKING = EXAMPLES / "ranking"
APPLICATIONS = EXAMPLES / "argocd/application.yaml"
NAMESPACE = "ranking"
ENVIRONMENTS = ("staging", "production")
OURS = {"FeatureStoreProject", "TrainedModel"}

each_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


def read(path: Path) -> list[Object]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def overlay(environment: str) -> Path:
    return RANKING / "overlays" / environment


def listed(folder: Path) -> set[Path]:
    """Return every file that a kustomization and its bases name."""
    (kustomization,) = read(folder / "kustomization.yaml")
    files = {folder / "kustomization.yaml"}
    patches = [patch["path"] for patch in kustomization.get("patches", ()) if "path" in patch]
    for name in (*kustomization["resources"], *patches):
        path = (folder / name).resolve()
        files |= listed(path) if path.is_dir() else {path}
    return files


@cache
def rendered(folder: Path) -> list[Object]:
    """Render a folder as both tools do."""
    command = [binary("kubectl"), "kustomize", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def of_kind(environment: str, kind: str) -> Object:
    (found,) = (each for each in rendered(overlay(environment)) if each["kind"] == kind)
    return found


def flux(environment: str) -> dict[str, Object]:
    """The objects that Flux syncs in the cluster of an environment, by name."""
    return {
        each["metadata"]["name"]: each for each in rendered(EXAMPLES / "clusters" / environment)
    }


def test_nothing_in_the_layout_is_left_out() -> None:
    folders = [overlay(each) for each in ENVIRONMENTS]
    folders += [EXAMPLES / "clusters" / each for each in ENVIRONMENTS]
    shown = {EXAMPLES / name for name in ("ranking", "clusters", "flux")}

    files = {path for folder in shown for path in folder.rglob("*.yaml")}
    assert set().union(*map(listed, folders)) == files


@each_environment
def test_an_overlay_renders_and_its_resources_validate(environment: str) -> None:
    objects = rendered(overlay(environment))
    ours = [each for each in objects if each["kind"] in OURS]

    assert {each["kind"] for each in objects} == {"Namespace", "Role", "RoleBinding", *OURS}
    assert len(load_manifests(yaml.safe_dump_all(ours), environment)) == 2
    placed = {each["metadata"]["namespace"] for each in objects if "namespace" in each["metadata"]}
    assert placed == {of_kind(environment, "Namespace")["metadata"]["name"]} == {NAMESPACE}
    project = of_kind(environment, "FeatureStoreProject")["metadata"]["name"]
    assert of_kind(environment, "TrainedModel")["spec"]["projectRef"]["name"] == project


@each_environment
def test_the_api_server_takes_an_overlay(
    environment: str, kubectl: Kubectl, namespace: str
) -> None:
    """Apply all of them in a namespace of the test; unknown fields are errors."""
    objects = [each for each in rendered(overlay(environment)) if each["kind"] != "Namespace"]
    there = yaml.safe_dump_all(
        {**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in objects
    )
    strict = ("--server-side", "--validate=strict", "--field-manager=argocd-controller")

    applied = kubectl("apply", *strict, "-f", "-", stdin=there).splitlines()
    again = kubectl("diff", *strict[:1], *strict[2:], "-f", "-", stdin=there)
    kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=yaml.safe_dump(of_kind(environment, "Namespace")),
    )

    assert len(applied) == len(objects)
    assert again == ""


@each_environment
def test_operator_reads_only_named_secrets(
    environment: str,
) -> None:
    manifest = yaml.safe_dump(of_kind(environment, "FeatureStoreProject"))
    (project,) = load_manifests(manifest, environment)
    assert isinstance(project.resource, FeatureStoreProject)
    needed = sorted(set(secrets(project.resource.spec.as_dict())))
    expected = grant_manifests(
        tuple(needed), NAMESPACE, "feature-lineage", "feature-lineage-operator"
    )

    granted = [each for each in rendered(overlay(environment)) if each["kind"].startswith("Role")]

    def by_name(each: Object) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    assert needed == ["feature-store", "features-git"]
    assert sorted(granted, key=by_name) == sorted(expected, key=by_name)


def secrets(value: Any) -> Iterator[str]:
    """Return the names of the Secrets that a spec refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("secretRef", "secretKeyRef"):
                yield item["name"]
            else:
                yield from secrets(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets(item)


def test_staging_follows_a_branch_and_production_a_commit() -> None:
    refs = {
        each: of_kind(each, "FeatureStoreProject")["spec"]["source"]["git"]["ref"]
        for each in ENVIRONMENTS
    }

    assert refs["staging"] == {"branch": "main"}
    assert list(refs["production"]) == ["commit"]


def test_both_tools_judge_both_kinds() -> None:
    (config,) = read(ARGOCD)
    checks = [check for each in read(FLUX) for check in each["spec"]["healthCheckExprs"]]

    prefix = "resource.customizations.health.featurelineage.io_"
    assert {key.removeprefix(prefix) for key in config["data"]} == OURS
    assert {check["kind"] for check in checks} == OURS
    assert {check["apiVersion"] for check in checks} == {"featurelineage.io/v1alpha1"}


def test_both_kinds_are_judged_alike() -> None:
    """So that a correction in one file is made in the other file too."""
    (config,) = read(ARGOCD)
    checks = [check for each in read(FLUX) for check in each["spec"]["healthCheckExprs"]]
    words = ("inProgress", "failed", "current")

    assert len(set(config["data"].values())) == 1
    assert len({tuple(check[word] for word in words) for check in checks}) == 1


@each_environment
def test_flux_syncs_the_project_before_its_models(environment: str) -> None:
    synced = flux(environment)
    source = synced.pop("platform")
    project, model = synced["ranking-project"], synced["ranking-models"]

    folders = [EXAMPLES / each["spec"]["path"] for each in (project, model)]
    assert folders == [overlay(environment) / "project", overlay(environment) / "models"]
    assert [each["kind"] for folder in folders for each in rendered(folder)] == [
        each["kind"] for each in rendered(overlay(environment))
    ]
    assert model["spec"]["dependsOn"] == [{"name": "ranking-project"}]
    reference = {key: source[key] for key in ("kind",)} | {"name": source["metadata"]["name"]}
    for each in (project, model):
        assert each["spec"]["sourceRef"] == reference
        assert each["metadata"]["namespace"] == source["metadata"]["namespace"]
        assert each["spec"]["wait"] is True


@each_environment
def test_argo_cd_syncs_the_project_before_its_models(environment: str) -> None:
    waves = {
        each["kind"]: each["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave")
        for each in rendered(overlay(environment))
    }

    assert waves.pop("TrainedModel") == "1"
    assert set(waves.values()) == {None}


@each_environment
def test_argo_cd_syncs_an_overlay_with_server_side_diff(environment: str) -> None:
    (application,) = (
        each for each in read(APPLICATIONS) if each["metadata"]["name"] == f"ranking-{environment}"
    )

    assert EXAMPLES / application["spec"]["source"]["path"] == overlay(environment)
    assert application["spec"]["destination"] == {"name": environment, "namespace": NAMESPACE}
    compared = application["metadata"]["annotations"]["argocd.argoproj.io/compare-options"]
    assert compared == "ServerSideDiff=true"


def test_the_page_shows_what_the_examples_say() -> None:
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    shown = [
        yaml.safe_load(text) for text in re.findall(r"```yaml fragment\n(.*?)```", page, re.DOTALL)
    ]
    application, _ = read(APPLICATIONS)
    (production,) = read(overlay("production") / "project/environment.yaml")

    assert {"healthCheckExprs": read(FLUX)[0]["spec"]["healthCheckExprs"]} in shown
    assert {"metadata": {"annotations": application["metadata"]["annotations"]}} in shown
    assert {"spec": production["spec"]} in shown


def test_the_page_says_what_each_folder_holds() -> None:
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    folders = [EXAMPLES / name for name in re.findall(r"^\| \[`([a-z/]+)`\]", page, re.MULTILINE)]

    assert [folder for folder in folders if not folder.is_dir()] == []
    for path in EXAMPLES.rglob("*.yaml"):
        assert any(path.is_relative_to(folder) for folder in folders), path
