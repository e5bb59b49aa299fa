"""The manifests under `examples/gitops` are what a person can use as they stand."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.binaries import binary
from tests.cluster.gitops.judging import ARGOCD, EXAMPLES, FLUX, ROOT

from feature_lineage.api.manifests import load_manifests

RANKING = EXAMPLES / "ranking"
OURS = {"FeatureStoreProject", "TrainedModel"}


def read(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def listed(folder: Path) -> set[Path]:
    """Every file that a kustomization and those below it name."""
    (kustomization,) = read(folder / "kustomization.yaml")
    files = {folder / "kustomization.yaml"}
    for resource in kustomization["resources"]:
        path = folder / resource
        files |= listed(path) if path.is_dir() else {path}
    return files


def rendered() -> list[dict[str, Any]]:
    """The layout as both tools render it."""
    command = [binary("kubectl"), "kustomize", RANKING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def test_the_layout_names_every_file_of_its_folder() -> None:
    assert listed(RANKING) == set(RANKING.rglob("*.yaml"))


def test_the_layout_renders_and_its_resources_validate() -> None:
    found = {each["kind"]: each for each in rendered()}
    ours = [found[kind] for kind in sorted(OURS)]

    assert set(found) == {"Namespace", *OURS}
    assert len(load_manifests(yaml.safe_dump_all(ours), "ranking")) == 2
    assert {each["metadata"]["namespace"] for each in ours} == {"ranking"}
    project = found["FeatureStoreProject"]["metadata"]["name"]
    assert found["TrainedModel"]["spec"]["projectRef"]["name"] == project


def test_both_tools_judge_both_kinds() -> None:
    (config,) = read(ARGOCD)
    checks = [check for each in read(FLUX) for check in each["spec"]["healthCheckExprs"]]

    prefix = "resource.customizations.health.featurelineage.io_"
    assert {key.removeprefix(prefix) for key in config["data"]} == OURS
    assert {check["kind"] for check in checks} == OURS
    assert {check["apiVersion"] for check in checks} == {"featurelineage.io/v1alpha1"}


def test_both_kinds_are_judged_alike() -> None:
    """So a correction of one is not forgotten in the other."""
    (config,) = read(ARGOCD)
    checks = [check for each in read(FLUX) for check in each["spec"]["healthCheckExprs"]]
    words = ("inProgress", "failed", "current")

    assert len(set(config["data"].values())) == 1
    assert len({tuple(check[word] for word in words) for check in checks}) == 1


@pytest.mark.parametrize("document", read(FLUX), ids=lambda each: each["metadata"]["name"])
def test_flux_syncs_a_folder_of_the_layout(document: dict[str, Any]) -> None:
    assert (EXAMPLES / document["spec"]["path"] / "kustomization.yaml").is_file()
    assert document["spec"]["wait"] is True


def test_the_project_comes_before_its_models() -> None:
    project, model = read(FLUX)
    waves = {
        each["kind"]: each["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave")
        for each in rendered()
    }

    assert model["spec"]["dependsOn"] == [{"name": project["metadata"]["name"]}]
    assert waves == {"Namespace": None, "FeatureStoreProject": None, "TrainedModel": "1"}


def test_argo_cd_syncs_the_whole_layout_and_compares_on_the_server() -> None:
    (application,) = read(EXAMPLES / "argocd/application.yaml")

    path = application["spec"]["source"]["path"]
    assert (EXAMPLES / path / "kustomization.yaml").is_file()
    compared = application["metadata"]["annotations"]["argocd.argoproj.io/compare-options"]
    assert compared == "ServerSideDiff=true"


def test_the_page_shows_what_the_examples_say() -> None:
    page = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
    shown = [
        yaml.safe_load(text) for text in re.findall(r"```yaml fragment\n(.*?)```", page, re.DOTALL)
    ]
    (application,) = read(EXAMPLES / "argocd/application.yaml")

    assert {"healthCheckExprs": read(FLUX)[0]["spec"]["healthCheckExprs"]} in shown
    assert {"metadata": {"annotations": application["metadata"]["annotations"]}} in shown
