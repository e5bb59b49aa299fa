"""How the tools rate the manifests after an API server has stored them."""

import json
from typing import Any

import pytest
from tests.cluster.gitops.judging import ARGOCD, judge
from tests.cluster.kubectl import Kubectl

ARGO = "--field-manager=argocd-controller"
PROJECT = {
    "apiVersion": "featurelineage.io/v1alpha1",
    "kind": "FeatureStoreProject",
    "metadata": {"name": "drivers"},
    "spec": {
        "project": "driver_ranking",
        "source": {"git": {"url": "https://git.example/features.git", "ref": {"branch": "main"}}},
        "runtime": {"env": [{"name": "STAGE", "value": "prod"}]},
        "apply": {"protection": {"aliases": {"include": ["champion"]}}},
        "schedules": [{"name": "hourly", "cron": "5 * * * *", "incremental": {}}],
        "backfills": [
            {"name": "q3", "start": "2026-07-01T00:00:00Z", "end": "2026-10-01T00:00:00Z"}
        ],
        "freshness": {"maxAge": "2h", "views": [{"name": "stats", "maxAge": "15m"}]},
        "mlflow": {"serverRef": "prod"},
    },
}
MODEL = {
    "apiVersion": "featurelineage.io/v1alpha1",
    "kind": "TrainedModel",
    "metadata": {"name": "champion"},
    "spec": {
        "projectRef": {"name": "drivers"},
        "model": {"name": "driver_model", "alias": "champion"},
    },
}
BOTH = pytest.mark.parametrize("manifest", [PROJECT, MODEL], ids=lambda each: each["kind"])


def live(kubectl: Kubectl, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    name = f"{manifest['kind']}/{manifest['metadata']['name']}"
    found: dict[str, Any] = json.loads(kubectl("-n", namespace, "get", name, "-o", "json"))
    return found


@BOTH
def test_defaults_are_no_drift_for_a_comparison_on_the_server(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any]
) -> None:
    """Argo CD's server-side diff: the changes that a server-side apply would make."""
    text = json.dumps(manifest)
    kubectl("-n", namespace, "apply", "--server-side", ARGO, "-f", "-", stdin=text)
    before = live(kubectl, namespace, manifest)

    command = ("apply", "--server-side", ARGO, "--dry-run=server", "-o", "json", "-f", "-")
    after = json.loads(kubectl("-n", namespace, *command, stdin=text))

    assert before["spec"] != manifest["spec"]  # the object has defaults
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


@BOTH
def test_applying_the_same_manifest_again_is_no_new_generation(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any]
) -> None:
    text = json.dumps(manifest)

    for _ in range(2):
        kubectl("-n", namespace, "apply", "-f", "-", stdin=text)
        kubectl("-n", namespace, "apply", "--server-side", ARGO, "--force-conflicts", "-f", "-",
                stdin=text)  # fmt: skip

    assert live(kubectl, namespace, manifest)["metadata"]["generation"] == 1


@BOTH
def test_a_new_object_is_ready_for_neither_argo_cd_nor_flux(
    kubectl: Kubectl, namespace: str, manifest: dict[str, Any]
) -> None:
    kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))

    (judgement,) = judge([live(kubectl, namespace, manifest)])

    assert judgement.argo.status == "Progressing"
    assert judgement.flux.status in {"InProgress", "Unknown"}


def test_what_the_operator_writes_is_no_drift(kubectl: Kubectl, namespace: str) -> None:
    """A status, a finalizer, and the annotations that users set by hand."""
    text = json.dumps(PROJECT)
    apply = ("-n", namespace, "apply", "--server-side", ARGO, "-f", "-")
    kubectl(*apply, stdin=text)
    object_ = ("-n", namespace, "patch", "featurestoreproject/drivers", "--type=merge", "-p")
    kubectl(*object_, json.dumps({"metadata": {"finalizers": ["featurelineage.io/finalizer"]}}))
    kubectl(*object_, json.dumps({"status": {"observedGeneration": 1}}), "--subresource=status")
    asked = "featurelineage.io/reconcile-requested-at=now"
    kubectl("-n", namespace, "annotate", "featurestoreproject/drivers", asked)
    before = live(kubectl, namespace, PROJECT)

    kubectl(*apply, stdin=text)

    after = live(kubectl, namespace, PROJECT)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["metadata"]["finalizers"] == ["featurelineage.io/finalizer"]
    kubectl(*object_, json.dumps({"metadata": {"finalizers": None}}))


def test_health_scripts_join_the_argo_cd_configuration(kubectl: Kubectl, namespace: str) -> None:
    of = ("-n", namespace)
    kubectl(*of, "create", "configmap", "argocd-cm", "--from-literal=url=https://argocd.example")

    kubectl(*of, "patch", "configmap", "argocd-cm", "--patch-file", str(ARGOCD))

    data = json.loads(kubectl(*of, "get", "configmap", "argocd-cm", "-o", "json"))["data"]
    assert data.pop("url") == "https://argocd.example"
    assert len(data) == 2
    assert len(set(data.values())) == 1
    assert "Degraded" in next(iter(data.values()))
