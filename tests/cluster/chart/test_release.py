"""A release from its installation to its removal, and the objects that remain."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.chart.environment import new_namespace
from tests.cluster.chart.helm import CHART, RELEASE, ROOT, Helm, HelmFailed
from tests.cluster.kubectl import Kubectl, KubectlFailed

PROJECTS = "crd/featurestoreprojects.featurelineage.io"
MODELS = "crd/trainedmodels.featurelineage.io"
PROJECT = ROOT / "tests/corpus/good/project-minimal.yaml"
NAME = yaml.safe_load(PROJECT.read_text(encoding="utf-8"))["metadata"]["name"]
OWNED = "deployments,services,configmaps,serviceaccounts,roles,rolebindings,pdb"


def install(
    helm: Helm, namespace: str, *more: str, chart: Path = CHART, **values: dict[str, Any]
) -> str:
    return helm("install", RELEASE, str(chart), "--namespace", namespace, *more, values=values)


def upgrade(
    helm: Helm, namespace: str, *more: str, chart: Path = CHART, **values: dict[str, Any]
) -> str:
    return helm("upgrade", RELEASE, str(chart), "--namespace", namespace, *more, values=values)


def create_project(kubectl: Kubectl, namespace: str) -> str:
    """Create a resource of ours, and return its UID."""
    kubectl("wait", "--for=condition=Established", PROJECTS, "--timeout=30s")
    kubectl("-n", namespace, "create", "-f", str(PROJECT))
    return uid(kubectl, namespace)


def uid(kubectl: Kubectl, namespace: str) -> str:
    return kubectl("-n", namespace, "get", "fsp", NAME, "-o", "jsonpath={.metadata.uid}")


def owned(kubectl: Kubectl, namespace: str) -> list[str]:
    """Return the names of the objects that the release created in its namespace."""
    label = f"--selector=app.kubernetes.io/instance={RELEASE}"
    return kubectl("-n", namespace, "get", OWNED, label, "-o", "name").split()


def test_crds_and_resources_survive_the_release(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    install(releases, namespace)
    created = create_project(kubectl, namespace)
    assert len(owned(kubectl, namespace)) == 7

    upgrade(releases, namespace, workers=8)

    assert uid(kubectl, namespace) == created
    assert "workers: 8" in kubectl("-n", namespace, "get", "cm", RELEASE, "-o", "yaml")

    printed = releases("uninstall", RELEASE, "--namespace", namespace, "--wait")

    assert "featurestoreprojects.featurelineage.io" in printed
    assert owned(kubectl, namespace) == []
    assert uid(kubectl, namespace) == created
    with pytest.raises(KubectlFailed, match="not found"):
        kubectl("get", "clusterrole", f"{namespace}:{RELEASE}")

    install(releases, namespace)

    assert uid(kubectl, namespace) == created
    assert len(owned(kubectl, namespace)) == 7


def test_crds_are_deleted_with_the_release_unless_kept(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    install(releases, namespace, crds={"keep": False})
    create_project(kubectl, namespace)

    releases("uninstall", RELEASE, "--namespace", namespace, "--wait")

    assert kubectl("get", PROJECTS, MODELS, "--ignore-not-found", "-o", "name") == ""


def test_crds_stay_when_another_release_takes_them_over(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    install(releases, namespace)
    created = create_project(kubectl, namespace)

    upgrade(releases, namespace, crds={"install": False})

    assert uid(kubectl, namespace) == created


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The chart of an earlier version, without a column and a field of the CRDs."""
    chart = shutil.copytree(CHART, tmp_path / "older")
    definition = chart / "files/crds/featurelineage.io_featurestoreprojects.yaml"
    crd = yaml.safe_load(definition.read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    version["additionalPrinterColumns"].pop()
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["suspend"]
    definition.write_text(yaml.safe_dump(crd), encoding="utf-8")
    return chart


def test_upgrade_and_rollback_change_the_crds(
    releases: Helm, kubectl: Kubectl, namespace: str, older: Path
) -> None:
    install(releases, namespace, chart=older)
    created = create_project(kubectl, namespace)
    assert "AGE" not in kubectl("-n", namespace, "get", "fsp").splitlines()[0]
    assert suspend(kubectl, namespace) == ""

    upgrade(releases, namespace)

    kubectl("wait", PROJECTS, "--for=jsonpath={.spec.versions[0].additionalPrinterColumns[6]}")
    assert uid(kubectl, namespace) == created
    deadline = time.monotonic() + 30  # the API server serves a new schema a moment later
    while suspend(kubectl, namespace) != "true":
        assert time.monotonic() < deadline

    releases("rollback", RELEASE, "1", "--namespace", namespace)

    assert uid(kubectl, namespace) == created
    columns = "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}"
    assert "Age" not in kubectl("get", PROJECTS, "-o", columns).split()


def suspend(kubectl: Kubectl, namespace: str) -> str:
    """Set the field, and return the stored value."""
    there = ("-n", namespace, "patch", "fsp", NAME, "--type=merge", "-o")
    return kubectl(
        *there, "jsonpath={.spec.suspend}", "-p", json.dumps({"spec": {"suspend": True}})
    )


@pytest.mark.parametrize("applied", [("apply", "--server-side"), ("apply",), ("create",)])
def test_definitions_that_were_there_are_taken_over_on_request(
    releases: Helm, kubectl: Kubectl, namespace: str, applied: tuple[str, ...]
) -> None:
    kubectl(*applied, "-f", str(ROOT / "crds"))
    created = create_project(kubectl, namespace)

    with pytest.raises(HelmFailed, match="invalid ownership metadata"):
        install(releases, namespace)
    forced = ("--force-conflicts",) if releases("version", "--short").startswith("v4") else ()
    upgrade(releases, namespace, "--install", "--take-ownership", *forced)

    kept = "jsonpath={.metadata.annotations.helm\\.sh/resource-policy}"
    assert kubectl("get", MODELS, "-o", kept) == "keep"
    assert uid(kubectl, namespace) == created


def test_two_operators_of_two_namespaces_stand_side_by_side(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    second = new_namespace(kubectl, f"{namespace}-2")
    install(releases, namespace, watch={"namespaces": [namespace]})

    install(releases, second, watch={"namespaces": [second]}, crds={"install": False})

    assert len(owned(kubectl, second)) == len(owned(kubectl, namespace))


def test_a_namespace_that_does_not_exist_stops_the_release(releases: Helm, namespace: str) -> None:
    with pytest.raises(HelmFailed, match='namespaces "nowhere" not found'):
        install(releases, namespace, watch={"namespaces": ["nowhere"]})


def test_missing_prometheus_operator_stops_the_release(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    with pytest.raises(HelmFailed, match='no matches for kind "ServiceMonitor"'):
        install(releases, namespace, metrics={"serviceMonitor": {"enabled": True}})

    assert owned(kubectl, namespace) == []


def test_the_documentation_describes_these_ways() -> None:
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--(take-ownership|force-conflicts|create-namespace)\b", text))

    assert options == {"take-ownership", "force-conflicts", "create-namespace"}
    assert "invalid ownership metadata" in text
