"""Attacks that the repo of a tenant could try in its jobs; prints the result of each attempt.

The file is committed to a feature repo, whose code imports it. It uses the standard library only,
because it represents untrusted code.
"""

import ctypes
import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"
CLONE_NEWUSER = 0x10000000


def ask(url: str, method: str = "GET", body: object = None, *headers: str) -> int | str:
    """Return the status of a request with the token of the job."""
    given = dict(header.split(": ") for header in headers)
    patch = "application/merge-patch+json"
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": patch if method == "PATCH" else "application/json",
            **given,
        },
    )
    anything = ssl.create_default_context()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=10, context=anything) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return type(error).__name__


def attempt(what: Callable[[], object]) -> str:
    """Return the kernel's error text if the kernel refuses the call, else ""."""
    try:
        what()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def call(name: str, *arguments: object) -> Callable[[], None]:
    """Call a function of the C library that returns -1 on failure."""

    def made() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if getattr(libc, name)(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return made


def at_the_api_server(namespace: str, project: str, job: str, neighbour: str) -> dict[str, object]:
    own, operators = (
        f"{API}/api/v1/namespaces/{namespace}",
        f"{API}/api/v1/namespaces/feature-lineage",
    )
    resource = f"{API}/apis/featurelineage.io/v1alpha1/namespaces/{namespace}/featurestoreprojects"
    rights = f"{API}/apis/rbac.authorization.k8s.io/v1"
    account, operator = f"feature-lineage-runner-{project}", "feature-lineage-operator"
    nothing, token = {"metadata": {}}, {"spec": {}}
    who = f"Impersonate-User: system:serviceaccount:feature-lineage:{operator}"
    return {
        "get a Secret": ask(f"{own}/secrets/not-given"),
        "get a Secret that is mounted": ask(f"{own}/secrets/feature-store"),
        "list Secrets": ask(f"{own}/secrets"),
        "list everybody's Secrets": ask(f"{API}/api/v1/secrets"),
        "get the operator's Secret": ask(f"{operators}/secrets/mlflow-prod"),
        "list pods": ask(f"{own}/pods"),
        "list the operator's pods": ask(f"{operators}/pods"),
        "list ConfigMaps": ask(f"{own}/configmaps"),
        "read its own request": ask(f"{own}/configmaps/{job}-request"),
        "read a neighbour's report": ask(f"{own}/configmaps/{neighbour}-report-0"),
        "write a neighbour's report": ask(
            f"{own}/configmaps/{neighbour}-report-0", "PATCH", {"data": {"x": "y"}}
        ),
        "delete its own report": ask(f"{own}/configmaps/{job}-report-0", "DELETE"),
        "make a ConfigMap": ask(f"{own}/configmaps", "POST", {"metadata": {"name": "x"}}),
        "write its project's status": ask(f"{resource}/{project}/status", "PATCH", {"status": {}}),
        "write its project": ask(f"{resource}/{project}", "PATCH", nothing),
        "read its project": ask(f"{resource}/{project}"),
        "make a pod": ask(f"{own}/pods", "POST", {"metadata": {"name": "x"}}),
        "make a Job": ask(
            f"{API}/apis/batch/v1/namespaces/{namespace}/jobs", "POST", {"metadata": {"name": "x"}}
        ),
        "delete its own Job": ask(
            f"{API}/apis/batch/v1/namespaces/{namespace}/jobs/{job}", "DELETE"
        ),
        "get the operator's token": ask(
            f"{operators}/serviceaccounts/{operator}/token", "POST", token
        ),
        "get another token of its own": ask(
            f"{own}/serviceaccounts/{account}/token", "POST", token
        ),
        "be the operator": ask(f"{own}/secrets/feature-store", "GET", None, who),
        "be an administrator": ask(
            f"{API}/api/v1/secrets",
            "GET",
            None,
            "Impersonate-User: x",
            "Impersonate-Group: system:masters",
        ),
        "widen its Role": ask(
            f"{rights}/namespaces/{namespace}/roles/{account}", "PATCH", {"rules": []}
        ),
        "bind itself": ask(
            f"{rights}/namespaces/{namespace}/rolebindings", "POST", {"metadata": {"name": "x"}}
        ),
        "list nodes": ask(f"{API}/api/v1/nodes"),
        "ask the kubelet": ask("https://10.251.0.1:10250/pods"),
        "write its own report": ask(f"{own}/configmaps/{job}-report-0", "PATCH", nothing),
    }


def at_the_kernel() -> dict[str, str]:
    null = ctypes.c_void_p()
    return {
        "write the root": attempt(lambda: Path("/x").write_text("x")),
        "write a program": attempt(lambda: Path("/usr/bin/python3").write_text("x")),
        "write what is mounted": attempt(
            lambda: Path("/etc/feature-lineage/request/x").write_text("x")
        ),
        "become root": attempt(lambda: os.setuid(0)),
        "join root's group": attempt(lambda: os.setgid(0)),
        "give a file to root": attempt(given_to_root),
        "mount": attempt(call("mount", b"none", b"/tmp", b"tmpfs", 0, null)),
        "unshare a user": attempt(call("unshare", CLONE_NEWUSER)),
        "change the root": attempt(lambda: os.chroot("/tmp")),
        "make a device": attempt(lambda: os.mknod("/tmp/disk", 0o060600, os.makedev(8, 0))),
        "listen to everything": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "set the host's name": attempt(lambda: socket.sethostname("x")),
        "write a setting": attempt(lambda: Path("/proc/sys/vm/drop_caches").write_text("1")),
        "read the host's log": attempt(lambda: Path("/dev/kmsg").read_bytes()),
    }


def given_to_root() -> None:
    """Write a program that tries to run as root."""
    program = Path("/tmp/program")
    program.write_text("x")
    os.chown(program, 0, 0)


def gains_nothing_by_setuid() -> str:
    """Return the output of a set-user-ID program of root that this process starts."""
    command = "find / -xdev -perm -4000 -type f 2>/dev/null; grep NoNewPrivs /proc/self/status"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout.split()[-1]


def processes() -> list[str]:
    """Return the programs that this process can see."""
    return sorted({path.read_text().strip() for path in Path("/proc").glob("[0-9]*/comm")})


def main(project: str, neighbour: str) -> None:
    namespace = (ACCOUNT / "namespace").read_text()
    job = os.environ["HOSTNAME"].rpartition("-")[0]
    found = {
        "api": at_the_api_server(namespace, project, job, neighbour),
        "kernel": at_the_kernel(),
        "setuid": gains_nothing_by_setuid(),
        "processes": processes(),
    }
    print("WITNESS " + json.dumps(found, separators=(",", ":")), flush=True)
