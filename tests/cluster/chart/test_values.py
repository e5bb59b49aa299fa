"""Wrong values are rejected before anything is installed, and the message names them."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.binaries import KUBERNETES
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm, HelmFailed
from tests.cluster.chart.values import SETS

SERVER = {"name": "prod", "trackingUri": "https://mlflow.example.org"}


@pytest.mark.parametrize("name", SETS)
def test_good_values_pass_the_strict_lint(helm: Helm, name: str) -> None:
    printed = helm("lint", "--strict", str(CHART), "--namespace", NAMESPACE, values=SETS[name])

    assert "1 chart(s) linted, 0 chart(s) failed" in printed
    assert "[WARNING]" not in printed
    assert "[ERROR]" not in printed


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param({"replicas": 3}, "replicas", id="a value that does not exist"),
        pytest.param({"image": {"name": "x"}}, "name", id="a nested value that does not exist"),
        pytest.param({"replicaCount": "2"}, "/replicaCount", id="a number as text"),
        pytest.param({"replicaCount": -1}, "/replicaCount", id="fewer than no pods"),
        pytest.param({"image": {"digest": "0f1e"}}, "/image/digest", id="half a digest"),
        pytest.param({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy", id="a policy"),
        pytest.param({"runner": {"image": {"tag": "a b"}}}, "/runner/image/tag", id="a tag"),
        pytest.param({"watch": {"namespaces": "ml"}}, "/watch/namespaces", id="one namespace"),
        pytest.param({"watch": {"namespaces": ["a", "a"]}}, "/watch/namespaces", id="twice"),
        pytest.param({"watch": {"namespaces": ["team-*"]}}, "/watch/namespaces/0", id="a glob"),
        pytest.param({"rbac": {"secrets": True}}, "/rbac/secrets", id="secrets as a switch"),
        pytest.param(
            {"rbac": {"secrets": "All"}}, "/rbac/secrets", id="secrets of an unknown kind"
        ),
        pytest.param({"crds": {"keep": "yes"}}, "/crds/keep", id="keep as text"),
        pytest.param({"workers": 0}, "/workers", id="no workers"),
        pytest.param({"resyncInterval": "10"}, "/resyncInterval", id="an interval without a unit"),
        pytest.param({"resyncInterval": 600}, "/resyncInterval", id="an interval as a number"),
        pytest.param(
            {"allowedGitHosts": ["https://git.example.org"]}, "/allowedGitHosts/0", id="a scheme"
        ),
        pytest.param(
            {"allowedFeatureServerUrls": ["features:6566"]},
            "/allowedFeatureServerUrls/0",
            id="a server without a scheme",
        ),
        pytest.param(
            {"allowAnyFeatureServerUrl": "yes"}, "/allowAnyFeatureServerUrl", id="yes as text"
        ),
        pytest.param({"allowedTrackingUris": [""]}, "/allowedTrackingUris/0", id="an empty glob"),
        pytest.param(
            {"allowedTrackingUris": ["mlflow.*"]}, "/allowedTrackingUris/0", id="no scheme"
        ),
        pytest.param(
            {"allowedTrackingUris": ["https://*@mlflow"]},
            "/allowedTrackingUris/0",
            id="a user in a glob",
        ),
        pytest.param({"mlflowServers": [{"name": "p"}]}, "trackingUri", id="no address"),
        pytest.param(
            {"mlflowServers": [{**SERVER, "name": "Prod"}]}, "/mlflowServers/0/name", id="a name"
        ),
        pytest.param(
            {"mlflowServers": [{**SERVER, "trackingUri": "https://me:pw@mlflow"}]},
            "/mlflowServers/0/trackingUri",
            id="a password in an address",
        ),
        pytest.param(
            {"mlflowServers": [{**SERVER, "trackingUri": "sqlite:///mlflow.db"}]},
            "/mlflowServers/0/trackingUri",
            id="a database as an address",
        ),
        pytest.param(
            {"mlflowServers": [{**SERVER, "password": "hunter2"}]},
            "password",
            id="a password in the values",
        ),
        pytest.param(
            {
                "mlflowServers": [
                    {**SERVER, "caSecret": {"name": "a"}, "caConfigMap": {"name": "b"}}
                ]
            },
            "/mlflowServers/0",
            id="two CAs",
        ),
        pytest.param({"mlflowServers": [SERVER, SERVER]}, '"prod" is defined twice', id="a twin"),
        pytest.param({"extraEnv": [{"value": "1"}]}, "/extraEnv/0", id="a variable without a name"),
        pytest.param(
            {"podDisruptionBudget": {"maxUnavailable": 0}},
            "/podDisruptionBudget/maxUnavailable",
            id="a budget that stops drains",
        ),
        pytest.param(
            {"terminationGracePeriodSeconds": 5},
            "/terminationGracePeriodSeconds",
            id="no time to hand the Lease over",
        ),
        pytest.param({"nodeSelector": {"gpu": 1}}, "/nodeSelector/gpu", id="a label as a number"),
        pytest.param(
            {"metrics": {"serviceMonitor": True}}, "/metrics/serviceMonitor", id="a switch too high"
        ),
    ],
)
def test_bad_values_are_named(helm: Helm, values: dict[str, Any], named: str) -> None:
    with pytest.raises(HelmFailed) as failed:
        helm.render(values)

    # Helm 3.17 writes `- image.digest:` where later versions write `- at '/image/digest':`.
    dotted = re.escape(named.removeprefix("/").replace("/", "."))
    assert named in str(failed.value) or re.search(f"^- {dotted}:", str(failed.value), re.MULTILINE)


def test_a_parent_chart_may_hand_its_globals_down(helm: Helm) -> None:
    assert helm.render({"global": {"team": "ml"}})


def test_a_cluster_that_is_too_old_is_rejected(helm: Helm) -> None:
    with pytest.raises(HelmFailed, match=r"requires kubeVersion: >=1\.32\.0"):
        helm("template", RELEASE, str(CHART), "--kube-version", "1.31.9")


def test_a_providers_version_of_a_good_cluster_is_one(helm: Helm) -> None:
    printed = helm("template", RELEASE, str(CHART), "--kube-version", "v1.32.1-gke.1002000")

    assert "kind: Deployment" in printed


def test_the_package_renders_what_the_folder_renders(helm: Helm, tmp_path: Path) -> None:
    helm("package", str(CHART), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")

    there = ("--namespace", NAMESPACE, "--kube-version", KUBERNETES)

    assert helm("template", RELEASE, str(package), *there) == helm(
        "template", RELEASE, str(CHART), *there
    )
