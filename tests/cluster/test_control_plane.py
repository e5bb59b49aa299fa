"""The control plane of the tests is a real one, and leaves no process or file behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest
from tests.cluster.audit import AuditRecord
from tests.cluster.controlplane import ControlPlane
from tests.cluster.kubectl import Kubectl, KubectlFailed
from tests.cluster.servers import wait_for_end

ROOT = Path(__file__).parents[2]

# Starts a control plane, prints its paths, and waits to be killed.
LONELY = """
    import json, sys
    from tests.cluster.controlplane import ControlPlane

    plane = ControlPlane().start()
    pids = plane.pids | {"reaper": plane.reaper_pid}
    print(json.dumps({"pids": pids, "folder": str(plane.folder)}), flush=True)
    sys.stdin.read()
"""
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}}
SERVERS = {"etcd", "kube-apiserver", "kube-controller-manager"}


def requests(plane: ControlPlane, user: str) -> list[AuditRecord]:
    return [record for record in plane.audit() if record.user == user]


@pytest.fixture
def lonely(start_control_plane):
    """Start another process with its own control plane, and return its output."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LONELY)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    there = json.loads(process.stdout.readline())
    yield process, there
    process.kill()
    process.communicate()
    shutil.rmtree(there["folder"], ignore_errors=True)  # the folder stays if the reaper was killed


@pytest.fixture(scope="module")
def second(control_plane):
    """A control plane in addition to that of the session, whose API server may be stopped."""
    with ControlPlane().start() as plane:
        yield plane


def test_two_stand_side_by_side_and_know_nothing_of_each_other(control_plane, second, namespace):
    assert control_plane.url != second.url
    assert control_plane.folder != second.folder
    with pytest.raises(KubectlFailed, match=f'namespaces "{namespace}" not found'):
        second.kubectl("get", "namespace", namespace)


def test_control_plane_leaves_only_its_audit_log(start_control_plane):
    plane = start_control_plane()
    folder, pids = plane.folder, plane.pids
    assert set(pids) == SERVERS
    jane = Kubectl(plane.user_kubeconfig("jane"), plane.folder / "jane")
    with pytest.raises(KubectlFailed, match="Forbidden"):
        jane("get", "pods")

    began = time.monotonic()
    plane.stop()

    assert time.monotonic() - began < 5
    assert plane.started_in < 60
    assert not folder.exists()
    for pid in pids.values():
        wait_for_end(pid, 0)
    assert ("list", "pods", 403) in {(r.verb, r.resource, r.code) for r in requests(plane, "jane")}


def test_a_killed_test_process_leaves_no_server_and_no_folder(lonely):
    process, there = lonely
    assert set(there["pids"]) == SERVERS | {"reaper"}
    assert Path(there["folder"]).is_dir()

    process.send_signal(signal.SIGKILL)

    for pid in there["pids"].values():
        wait_for_end(pid)
    assert not Path(there["folder"]).exists()


def test_a_killed_reaper_leaves_no_server(lonely):
    _, there = lonely

    os.kill(there["pids"].pop("reaper"), signal.SIGKILL)

    for pid in there["pids"].values():
        wait_for_end(pid)


def test_killed_api_server_returns_with_its_objects(second):
    second.kubectl("create", "-f", "-", stdin=json.dumps(CONFIG_MAP))
    url = second.url

    second.kill_apiserver()
    with pytest.raises(KubectlFailed, match="refused"):
        second.kubectl("get", "configmap", "kept")
    second.start_apiserver()

    assert second.url == url
    assert "kept" in second.kubectl("get", "configmap", "kept")


def test_api_server_stops_without_waiting_for_watches(second):
    began = time.monotonic()

    second.stop_apiserver()
    took = time.monotonic() - began
    second.start_apiserver()

    assert took < 20
    assert "kube-system" in second.kubectl("get", "namespaces")


def test_audit_log_holds_requests_and_responses_of_a_user(control_plane, namespace):
    plane, inside = control_plane, f"--namespace={namespace}"
    jane = Kubectl(plane.user_kubeconfig("jane", ("painters",)), plane.folder / "jane")
    grant = ("create", "rolebinding", "jane", "--clusterrole=view", "--group=painters")
    plane.kubectl(*grant, inside)

    jane("get", "configmaps", inside)
    with pytest.raises(KubectlFailed, match="Forbidden"):
        jane("get", "secrets", inside)
    jane("get", "pods", "-w", "--request-timeout=1s", inside)

    seen = [
        (r.verb, r.group, r.resource, r.namespace, r.code, r.allowed)
        for r in requests(plane, "jane")
        if r.resource
    ]
    assert seen == [
        ("list", "", "configmaps", namespace, 200, True),
        ("list", "", "secrets", namespace, 403, False),
        ("list", "", "pods", namespace, 200, True),
        ("watch", "", "pods", namespace, 200, True),
    ]
    assert "painters" in requests(plane, "jane")[0].groups


def test_the_audit_log_has_a_watch_while_it_is_open(control_plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    control_plane.kubectl("create", "configmap", "seen", f"--namespace={namespace}")
    watching = subprocess.Popen(
        control_plane.kubectl.command("get", "--raw", f"{path}?watch=1"), stdout=subprocess.PIPE
    )
    try:
        assert b'"ADDED"' in watching.stdout.readline()

        assert [
            (r.verb, r.resource)
            for r in control_plane.audit()
            if r.uri.startswith(path) and r.verb == "watch"
        ] == [("watch", "configmaps")]
    finally:
        watching.kill()
        watching.communicate()


def test_the_servers_own_requests_are_no_record(control_plane):
    users = {record.user for record in control_plane.audit()}

    assert "admin" in users
    assert not [user for user in users if user.startswith(("system:apiserver", "system:kube-"))]
    assert not [user for user in users if user.startswith("system:serviceaccount:kube-system:")]


def test_a_service_account_is_known_by_its_token(control_plane, namespace):
    control_plane.kubectl("create", "serviceaccount", "worker", f"--namespace={namespace}")
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "worker")

    said = Kubectl(kubeconfig, control_plane.folder / "worker")("auth", "whoami", "-o", "json")

    user = json.loads(said)["status"]["userInfo"]["username"]
    assert user == f"system:serviceaccount:{namespace}:worker"


def test_block_owner_deletion_needs_finalizers_permission(control_plane, namespace):
    kubectl = control_plane.kubectl
    kubectl("create", "serviceaccount", "worker", f"--namespace={namespace}")
    kubectl("create", "configmap", "owner", f"--namespace={namespace}")
    rule = ("--verb=create,get,patch", "--resource=configmaps")
    kubectl("create", "role", "worker", *rule, f"--namespace={namespace}")
    subject = f"--serviceaccount={namespace}:worker"
    kubectl("create", "rolebinding", "worker", "--role=worker", subject, f"--namespace={namespace}")
    uid = kubectl("get", "configmap", "owner", f"--namespace={namespace}", "-o=jsonpath={..uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "owned",
            "namespace": namespace,
            "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
        },
    }
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "worker")
    worker = Kubectl(kubeconfig, control_plane.folder / "worker")

    with pytest.raises(KubectlFailed, match="cannot set blockOwnerDeletion"):
        worker("create", "-f", "-", stdin=json.dumps(owned))


def test_what_is_owned_by_a_custom_resource_goes_with_it(control_plane, namespace):
    kubectl = control_plane.kubectl
    project = (ROOT / "tests/corpus/good/project-minimal.yaml").read_text(encoding="utf-8")
    inside = f"--namespace={namespace}"
    kubectl("create", inside, "-f", "-", stdin=project)
    uid = kubectl("get", "fsp", "drivers", inside, "-o=jsonpath={.metadata.uid}")
    kind = {"apiVersion": "featurelineage.io/v1alpha1", "kind": "FeatureStoreProject"}
    owned = {
        **CONFIG_MAP,
        "metadata": {"name": "owned", "ownerReferences": [{**kind, "name": "drivers", "uid": uid}]},
    }
    kubectl("create", inside, "-f", "-", stdin=json.dumps(owned))

    kubectl("delete", "fsp", "drivers", inside)

    kubectl("wait", "--for=delete", "configmap/owned", inside, "--timeout=25s")


def test_a_deleted_namespace_is_emptied_and_goes(control_plane):
    kubectl = control_plane.kubectl
    kubectl("create", "namespace", "short")
    kubectl("create", "configmap", "inside", "--namespace=short")

    kubectl("delete", "namespace", "short", "--wait=true", "--timeout=30s")

    with pytest.raises(KubectlFailed, match="not found"):
        kubectl("get", "namespace", "short")


def test_clients_of_other_machines_are_not_served(control_plane):
    listening = control_plane.url.removeprefix("https://").split(":")[0]

    assert listening == "127.0.0.1"
    with pytest.raises(OSError, match="certificate"):
        urllib.request.urlopen(f"{control_plane.url}/version")
