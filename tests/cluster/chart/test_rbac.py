"""The permissions of the chart: each rule has a reason, in both scopes, and for users."""

import json
from typing import Any

import pytest
from tests.cluster.chart.environment import (
    Request,
    account,
    allowed,
    becomes_allowed,
    new_namespace,
)
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm, of, only
from tests.cluster.chart.values import SETS
from tests.cluster.controlplane import ControlPlane
from tests.cluster.kubectl import Kubectl, KubectlFailed

ROLES = ("ClusterRole", "Role")
BINDINGS = ("ClusterRoleBinding", "RoleBinding")


def rules(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule for role in of(objects, *ROLES) for rule in role["rules"]]


@pytest.mark.parametrize("name", SETS)
def test_no_rule_has_a_wildcard_or_reaches_into_pods(helm: Helm, name: str) -> None:
    for rule in rules(helm.render(SETS[name])):
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]

        assert [word for word in words if "*" in word] == []
        assert {"pods/exec", "pods/log", "pods/attach"} & set(rule["resources"]) == set()
        assert {"escalate", "bind", "impersonate"} & set(rule["verbs"]) == set()


@pytest.mark.parametrize("name", SETS)
def test_secrets_are_readable_by_value_and_never_listed(helm: Helm, name: str) -> None:
    verbs = {
        verb
        for rule in rules(helm.render(SETS[name]))
        if "secrets" in rule["resources"]
        for verb in rule["verbs"]
    }

    assert verbs == ({"get"} if name.startswith("secrets") else set())


def test_both_scopes_grant_the_same(helm: Helm) -> None:
    everywhere = only(helm.render(), "ClusterRole", f":{RELEASE}")
    here = helm.render(SETS["namespaces"])

    for namespace in SETS["namespaces"]["watch"]["namespaces"]:
        (role,) = (o for o in of(here, "Role") if o["metadata"]["namespace"] == namespace)

        assert role["rules"] == everywhere["rules"]


def test_namespace_list_creates_only_user_cluster_roles(helm: Helm) -> None:
    with_users = helm.render({"watch": {"namespaces": ["team-a"]}})

    assert {o["metadata"]["name"].rpartition(":")[2] for o in of(with_users, "ClusterRole")} == {
        "view",
        "edit",
    }
    assert of(with_users, "ClusterRoleBinding") == []
    assert of(helm.render(SETS["namespaces"]), "ClusterRole", "ClusterRoleBinding") == []


@pytest.mark.parametrize("name", SETS)
def test_bindings_bind_only_the_operator(helm: Helm, name: str) -> None:
    objects = helm.render(SETS[name])
    roles = {
        (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"])
        for o in of(objects, *ROLES)
    }
    for binding in of(objects, *BINDINGS):
        role = binding["roleRef"]
        namespace = binding["metadata"].get("namespace", "")
        (subject,) = binding["subjects"]

        assert (role["kind"], namespace, role["name"]) in roles
        assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", NAMESPACE)


def installed(releases: Helm, namespace: str, values: dict[str, Any]) -> str:
    """Install a release, and return the user name of its operator."""
    releases("install", RELEASE, str(CHART), "--namespace", namespace, values=values)
    return account(namespace)


def test_the_operator_may_do_its_work_everywhere_and_no_more(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    operator = installed(releases, namespace, {})
    work = {
        Request("watch", "featurestoreprojects.featurelineage.io"),
        Request("patch", "trainedmodels.featurelineage.io/status", "default"),
        Request("create", "jobs.batch", "default"),
        Request("create", "rolebindings.rbac.authorization.k8s.io", "default"),
        Request("patch", "events.events.k8s.io", "default"),
        Request("create", "leases.coordination.k8s.io", namespace),
        Request("patch", "leases.coordination.k8s.io", namespace, RELEASE),
    }
    more = {
        Request("delete", "featurestoreprojects.featurelineage.io", "default"),
        Request("patch", "trainedmodels.featurelineage.io", "default"),
        Request("delete", "jobs.batch", "default"),
        Request("create", "pods", "default"),
        Request("create", "pods/exec", "default"),
        Request("get", "pods/log", "default"),
        Request("get", "secrets", "default", "token"),
        Request("list", "secrets", "default"),
        Request("list", "configmaps", "default"),
        Request("create", "leases.coordination.k8s.io", "default"),
        Request("patch", "leases.coordination.k8s.io", namespace, "another"),
        Request("create", "clusterrolebindings.rbac.authorization.k8s.io"),
        Request("list", "namespaces"),
        Request("list", "nodes"),
    }

    assert allowed(kubectl, operator, work | more) == work


def test_namespaced_operator_has_no_access_elsewhere(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    new_namespace(kubectl, f"{namespace}-a")
    values = {"watch": {"namespaces": [f"{namespace}-a"]}, "rbac": {"secrets": "WatchedNamespaces"}}
    operator = installed(releases, namespace, values)
    here = {
        Request("list", "featurestoreprojects.featurelineage.io", f"{namespace}-a"),
        Request("create", "jobs.batch", f"{namespace}-a"),
        Request("get", "secrets", f"{namespace}-a", "token"),
    }
    elsewhere = {
        Request("list", "featurestoreprojects.featurelineage.io"),
        Request("list", "featurestoreprojects.featurelineage.io", "default"),
        Request("create", "jobs.batch", "default"),
        Request("get", "secrets", "default", "token"),
        Request("get", "secrets", namespace, "token"),
        Request("list", "secrets", f"{namespace}-a"),
    }

    assert allowed(kubectl, operator, here | elsewhere) == here


def test_one_secret_is_granted_as_the_notes_say(
    releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    operator = installed(releases, namespace, {})
    name = f"{RELEASE}-secret-features-git"
    there = ("-n", "default")
    kubectl(
        *(*there, "create", "role", name, "--verb=get", "--resource=secrets"),
        "--resource-name=features-git",
    )
    kubectl(
        *(*there, "create", "rolebinding", name, f"--role={name}"),
        f"--serviceaccount={namespace}:{RELEASE}",
    )
    this = Request("get", "secrets", "default", "features-git")
    others = {
        Request("get", "secrets", "default", "another"),
        Request("get", "secrets", namespace, "features-git"),
        Request("list", "secrets", "default"),
    }

    assert allowed(kubectl, operator, {this} | others) == {this}


MODELS = "trainedmodels.featurelineage.io"
MODEL = json.dumps(
    {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "TrainedModel",
        "metadata": {"name": "driver-model"},
        "spec": {
            "projectRef": {"name": "drivers"},
            "model": {"name": "driver_model", "alias": "champion"},
        },
    }
)


def user(control_plane: ControlPlane, namespace: str, role: str) -> tuple[Kubectl, str]:
    """kubectl as a user with one of the usual roles in a namespace, and the name of the user."""
    name = f"{role}-of-{namespace}"
    binding = ("-n", namespace, "create", "rolebinding", name, f"--clusterrole={role}")
    control_plane.kubectl(*binding, f"--user={name}")
    cache = control_plane.folder / f"kubectl-{name}"
    return Kubectl(control_plane.user_kubeconfig(name), cache), name


def test_view_reads_our_kinds_and_edit_and_admin_write_them(
    control_plane: ControlPlane, releases: Helm, kubectl: Kubectl, namespace: str
) -> None:
    installed(releases, namespace, {})
    kubectl("wait", "--for=condition=Established", "crd/trainedmodels.featurelineage.io")
    there = ("-n", namespace)

    for role in ("edit", "admin"):
        writer, name = user(control_plane, namespace, role)
        writes = [Request(verb, MODELS, namespace) for verb in ("create", "patch", "delete")]
        assert becomes_allowed(kubectl, name, writes)
        writer(*there, "create", "-f", "-", stdin=MODEL)
        writer(*there, "annotate", "ftm", "driver-model", "example.org/seen=yes")
        writer(*there, "delete", "ftm", "driver-model")
        with pytest.raises(KubectlFailed, match="forbidden"):
            writer("-n", "default", "create", "-f", "-", stdin=MODEL)

    kubectl(*there, "create", "-f", "-", stdin=MODEL)
    reader, name = user(control_plane, namespace, "view")
    assert becomes_allowed(kubectl, name, [Request("list", MODELS, namespace)])

    assert reader(*there, "get", "fsp,ftm", "-o", "name").split() == [
        "trainedmodel.featurelineage.io/driver-model"
    ]
    for change in (("annotate", "ftm", "driver-model", "a=b"), ("delete", "ftm", "driver-model")):
        with pytest.raises(KubectlFailed, match="forbidden"):
            reader(*there, *change)
