"""Which values create which objects and which configuration of the operator."""

import hashlib
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.access import EVERYTHING
from tests.cluster.chart.helm import (
    CHART,
    NAMESPACE,
    RELEASE,
    Helm,
    HelmFailed,
    config,
    of,
    only,
    pod,
)
from tests.cluster.chart.values import SERVERS, SETS

from feature_lineage.api.manifests import load_manifests
from feature_lineage.kube.config import OperatorConfig, read_config
from feature_lineage.tracking.access import AccessEntry, access_of

RE_BLOCK = re.DOTALL | re.MULTILINE
ALWAYS = {"ConfigMap", "Deployment", "Service"}


def kinds(objects: list[dict[str, Any]]) -> set[str]:
    return {o["kind"] for o in objects}


def test_defaults_make_what_every_installation_needs(helm: Helm) -> None:
    assert kinds(helm.render()) == ALWAYS | {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }


def test_what_is_switched_off_is_not_there(helm: Helm) -> None:
    objects = helm.render({**SETS["bare"], "crds": {"install": False}})

    assert kinds(objects) == ALWAYS
    assert pod(objects)["serviceAccountName"] == "somebody"


def test_what_is_switched_on_is_there(helm: Helm) -> None:
    assert kinds(helm.render(SETS["everything"])) >= {
        "NetworkPolicy",
        "PrometheusRule",
        "ServiceMonitor",
    }


@pytest.mark.parametrize("name", SETS)
def test_every_object_carries_the_labels_of_the_release(helm: Helm, name: str) -> None:
    for found in helm.render(SETS[name]):
        labels = found["metadata"]["labels"]

        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "feature-lineage-operator"
        if name == "everything":
            assert labels["cost-center"] == "ml"


@pytest.mark.parametrize("name", SETS)
def test_namespaced_objects_say_their_namespace(helm: Helm, name: str) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    elsewhere = set(SETS[name].get("watch", {}).get("namespaces", ()))
    for found in helm.render(SETS[name]):
        if found["kind"] not in cluster_wide:
            assert found["metadata"]["namespace"] in {NAMESPACE, *elsewhere}


@pytest.mark.parametrize("name", SETS)
def test_services_policies_and_budgets_select_the_pods(helm: Helm, name: str) -> None:
    objects = helm.render(SETS[name])
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        *(o["spec"]["selector"]["matchLabels"] for o in of(objects, "PodDisruptionBudget")),
        *(o["spec"]["podSelector"]["matchLabels"] for o in of(objects, "NetworkPolicy")),
    ]
    service = only(objects, "Service")
    for monitor in of(objects, "ServiceMonitor"):
        assert (
            monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
        )

    assert [selector for selector in selectors if not selector.items() <= labels.items()] == []


def test_definitions_are_kept_unless_said_otherwise(helm: Helm) -> None:
    kept, gone = (
        of(helm.render({"crds": {"keep": keep}}), "CustomResourceDefinition")
        for keep in (True, False)
    )

    assert len(kept) == len(gone) == 2
    assert {o["metadata"]["annotations"]["helm.sh/resource-policy"] for o in kept} == {"keep"}
    assert [o for o in gone if "annotations" in o["metadata"]] == []


def test_the_configuration_file_says_what_the_values_say(helm: Helm) -> None:
    assert config(helm.render(SETS["everything"])) == {
        "namespaces": [],
        "allowedTrackingUris": ["https://mlflow.*.example.org", "http://*.svc:5000"],
        "allowAnyTrackingUri": False,
        "allowedGitHosts": ["*.example.org", "git.corp:8443"],
        "allowAnyGitHost": False,
        "allowedFeatureServerUrls": ["http://features.*.svc:6566"],
        "allowAnyFeatureServerUrl": False,
        "mlflowServers": [
            {
                "name": "prod",
                "trackingUri": "https://mlflow.example.org/base",
                "workspace": "ml",
                "credentialDir": "/etc/feature-lineage/servers/prod",
                "caFile": "/etc/feature-lineage/ca/prod/ca.crt",
                "access": SERVERS[0]["access"],
            },
            {
                "name": "lab",
                "trackingUri": "http://mlflow.lab:5000",
                "caFile": "/etc/feature-lineage/ca/lab/ca.crt",
                "access": [],
            },
            {"name": "open", "trackingUri": "http://mlflow.open:5000", "access": []},
        ],
        "runner": {
            "image": "feature-lineage/feature-lineage-runner:nightly",
            "imagePullPolicy": "Always",
            "imagePullSecrets": ["regcred"],
            "resources": {
                "requests": {"cpu": "250m", "memory": "512Mi"},
                "limits": {"cpu": 2, "memory": "4Gi"},
            },
        },
        "workers": 8,
        "resyncInterval": "1h30m",
        "port": 8080,
        "api": {
            "enabled": True,
            "port": 8443,
            "allowPlainHttp": False,
            "feastUiWithoutToken": ["ml/driver-ranking"],
            "tlsDir": "/etc/feature-lineage/tls",
        },
        "leaderElection": {"leaseName": "lineage-leader"},
    }


@pytest.mark.parametrize("name", SETS)
def test_the_operator_reads_the_configuration_file(helm: Helm, tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(only(helm.render(SETS[name]), "ConfigMap")["data"]["config.yaml"])

    read = read_config(file)

    assert read.namespaces == tuple(SETS[name].get("watch", {}).get("namespaces", ()))
    assert [each.name for each in read.mlflow_servers] == [
        each["name"] for each in SETS[name].get("mlflowServers", ())
    ]


def test_the_configuration_allows_nothing_unless_the_values_do(helm: Helm, tmp_path: Path) -> None:
    def read(values: dict[str, Any]) -> OperatorConfig:
        file = tmp_path / "config.yaml"
        file.write_text(only(helm.render(values), "ConfigMap")["data"]["config.yaml"])
        return read_config(file)

    closed, everything, opened = read({}), read(SETS["everything"]), read(SETS["open"])
    anywhere = ("https://git.anywhere.org/r", "http://mlflow.anywhere.org")

    for each in (closed, everything):
        assert not each.git_hosts.allows(anywhere[0])
        assert not each.tracking_uris.allows(anywhere[1])
        assert not each.feature_servers.allows(anywhere[1])
    assert everything.feature_servers.allows("http://features.ml.svc:6566")
    assert opened.feature_servers.allows(anywhere[1])
    assert opened.git_hosts.allows(anywhere[0])
    assert opened.tracking_uris.allows(anywhere[1])
    prod, lab, _ = everything.mlflow_servers
    assert access_of(prod.access, "ml-a", "driver_ranking") is not None
    assert access_of(prod.access, "fraud", "driver_ranking") is None
    assert lab.access == ()


def test_release_name_with_a_dot_makes_a_valid_lease(helm: Helm) -> None:
    settings = config(helm.render({"fullnameOverride": "lineage.prod"}))

    assert settings["leaderElection"]["leaseName"] == "lineage-prod"


def test_the_configuration_file_names_the_namespaces(helm: Helm) -> None:
    assert config(helm.render(SETS["namespaces"]))["namespaces"] == ["team-a", "team-b"]


def test_pods_run_the_operator_with_its_identity(helm: Helm) -> None:
    (container,) = pod(helm.render())["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    fields = {e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]}

    assert container["command"] + container["args"] == [
        *("feature-lineage", "operator", "--config", "/etc/feature-lineage/config.yaml"),
    ]
    assert mounts["/etc/feature-lineage/config.yaml"]["subPath"] == "config.yaml"
    assert fields == {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_SERVICE_ACCOUNT": "spec.serviceAccountName",
    }


def test_credentials_and_cas_are_mounted_where_the_file_says(helm: Helm) -> None:
    objects = helm.render({"mlflowServers": SERVERS})
    volumes = {volume["name"]: volume for volume in pod(objects)["volumes"]}
    mounted = {
        mount["mountPath"]: volumes[mount["name"]]
        for mount in pod(objects)["containers"][0]["volumeMounts"]
        if mount.get("readOnly")
    }
    paths = [
        path
        for server in config(objects)["mlflowServers"]
        for path in (server.get("credentialDir"), server.get("caFile", "").rpartition("/")[0])
        if path
    ]
    ca = {"items": [{"key": "bundle.pem", "path": "ca.crt"}]}

    assert set(paths) == set(mounted) - {"/etc/feature-lineage/config.yaml"}
    assert mounted[paths[0]]["secret"]["secretName"] == "mlflow-prod"
    assert mounted[paths[1]]["configMap"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert mounted[paths[2]]["secret"].items() >= {"secretName": "lab-ca", **ca}.items()


def test_changed_configuration_restarts_the_pods(helm: Helm) -> None:
    def template(values: dict[str, Any]) -> str:
        found = only(helm.render(values), "Deployment")["spec"]["template"]
        return hashlib.sha256(repr(found).encode()).hexdigest()

    assert template({}) == template({"replicaCount": 4}) != template({"workers": 4})


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "feature-lineage/feature-lineage-operator:0.1.0"),
        ({"tag": "main"}, "feature-lineage/feature-lineage-operator:main"),
        (
            {"registry": "mirror:5000/hub"},
            "mirror:5000/hub/feature-lineage/feature-lineage-operator:0.1.0",
        ),
        (
            {"repository": "flo", "tag": "main", "digest": f"sha256:{'a' * 64}"},
            f"flo@sha256:{'a' * 64}",
        ),
    ],
)
def test_image_reference_uses_tag_or_digest(
    helm: Helm, image: dict[str, str], expected: str
) -> None:
    assert pod(helm.render({"image": image}))["containers"][0]["image"] == expected


def test_two_pods_are_spread_and_one_is_enough_to_go_on(helm: Helm) -> None:
    objects = helm.render()
    spread = pod(objects)["topologySpreadConstraints"]

    assert only(objects, "Deployment")["spec"]["replicas"] == 2
    assert {constraint["whenUnsatisfiable"] for constraint in spread} == {"ScheduleAnyway"}
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_budget_never_holds_a_single_pod(helm: Helm, replicas: int) -> None:
    objects = helm.render({"replicaCount": replicas})

    assert only(objects, "Deployment")["spec"]["replicas"] == replicas
    assert of(objects, "PodDisruptionBudget") == []


def test_user_ids_can_be_left_to_the_platform(helm: Helm) -> None:
    ours = ("runAsUser", "runAsGroup", "fsGroup")
    context = pod(helm.render({"podSecurityContext": dict.fromkeys(ours)}))["securityContext"]

    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_prometheus_keeps_the_labels_of_the_resources(helm: Helm) -> None:
    objects = helm.render(SETS["everything"])
    monitor = only(objects, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    port, _ = only(objects, "Service")["spec"]["ports"]

    assert endpoint["honorLabels"] is True
    assert (endpoint["path"], endpoint["port"]) == ("/metrics", port["name"])
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_network_policy_opens_what_its_values_say_and_dns(helm: Helm) -> None:
    open_, closed = (
        only(helm.render(SETS[name]), "NetworkPolicy")["spec"] for name in ("everything", "closed")
    )

    assert [peer for rule in open_["ingress"] for peer in rule["from"]] == [
        {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    ]
    assert [[port["port"] for port in rule.get("ports", ())] for rule in open_["egress"]] == [
        [53, 53],
        [443, 6443, 22, 5000],
        [],
    ]
    assert open_["egress"][2]["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert [[port["port"] for port in rule["ports"]] for rule in closed["egress"]] == [[53, 53]]
    assert "from" not in closed["ingress"][0]


def notes(helm: Helm, values: dict[str, Any]) -> str:
    """Return the notes that Helm prints after an installation."""
    arguments = ("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client")
    return helm(*arguments, values=values).partition("NOTES:")[2]


@pytest.mark.parametrize("name", SETS)
def test_the_manifests_of_the_notes_are_ours(helm: Helm, name: str) -> None:
    text = textwrap.dedent(re.findall(r"<<EOF\n(.*?) +EOF$", notes(helm, SETS[name]), RE_BLOCK)[0])
    project, model = (manifest.resource for manifest in load_manifests(text, "NOTES.txt"))

    assert model.spec.project_ref.name == project.metadata.name
    assert project.spec.mlflow.server_ref == ("prod" if name == "everything" else None)


def test_the_next_steps_in_the_notes_depend_on_the_values(helm: Helm) -> None:
    defaults = notes(helm, {})
    secrets = notes(helm, SETS["secrets"])
    bare = notes(helm, {**SETS["bare"], "crds": {"install": False}})

    assert "kubectl get fsp,ftm" in defaults
    assert "watches all namespaces" in defaults
    assert f"--service-account {NAMESPACE}/{RELEASE} | kubectl apply" in defaults
    assert f"create role {RELEASE}-secret-SECRET" in defaults
    assert "--resource-name=SECRET" in defaults
    assert f"--serviceaccount={NAMESPACE}:{RELEASE}" in defaults
    assert "every Secret in the namespaces that it watches" in secrets
    assert "SECRET" not in secrets
    assert "watches the namespaces team-a, team-b" in notes(helm, SETS["namespaces"])
    assert f"{NAMESPACE}:somebody, the operator can do nothing" in bare
    assert "crds.install is false" in bare


def test_the_notes_say_what_to_write_while_something_is_closed(helm: Helm) -> None:
    server = {"name": "prod", "trackingUri": "https://mlflow.example.org"}
    granted = {**server, "access": [EVERYTHING]}
    closed, half, opened = (
        notes(helm, values)
        for values in (
            {"mlflowServers": [server]},
            {"mlflowServers": [granted], "allowedGitHosts": ["git.example.org"]},
            {**SETS["open"], "mlflowServers": [granted]},
        )
    )

    assert "No namespace may use prod" in closed
    for value in ("mlflowServers", "allowedTrackingUris", "allowedGitHosts"):
        assert value in closed
    assert "access:" not in half
    assert "allowAnyTrackingUri: true" in half
    assert "allowedGitHosts" not in half
    assert "HostNotAllowed" not in opened


def test_the_entry_of_the_notes_is_one(helm: Helm) -> None:
    server = {"name": "prod", "trackingUri": "https://mlflow.example.org"}
    (written,) = re.findall(
        r"^ +access:\n( +- .*)$", notes(helm, {"mlflowServers": [server]}), re.MULTILINE
    )

    (entry,) = yaml.safe_load(written)
    assert AccessEntry.model_validate(entry).allow != ()


def test_the_api_is_off_and_has_no_permission_until_it_is_on(helm: Helm) -> None:
    plain = helm.render()
    assert "api" not in config(plain)
    assert [port["name"] for port in only(plain, "Service")["spec"]["ports"]] == ["http"]
    assert not [o for o in of(plain, "ClusterRole") if "tokenreviews" in str(o)]

    served = helm.render({"api": {"enabled": True, "tls": {"secretName": "lineage-tls"}}})
    assert {port["name"]: port["port"] for port in only(served, "Service")["spec"]["ports"]} == {
        "http": 8080,
        "api": 8443,
    }
    mounts = pod(served)["containers"][0]["volumeMounts"]
    assert config(served)["api"]["tlsDir"] in [mount["mountPath"] for mount in mounts]
    role = only(served, "ClusterRole", ":api")
    assert {(r["resources"][0], *r["verbs"]) for r in role["rules"]} == {
        ("tokenreviews", "create"),
        ("subjectaccessreviews", "create"),
    }


def test_tokens_are_not_sent_without_tls_unless_somebody_says_so(helm: Helm) -> None:
    with pytest.raises(HelmFailed, match=r"set api\.tls\.secretName, or api\.allowPlainHttp"):
        helm.render({"api": {"enabled": True}})
    served = helm.render({"api": {"enabled": True, "allowPlainHttp": True}})
    assert "tlsDir" not in config(served)["api"]
