"""Whatever `spec.runtime` passes our check, an API server that enforces `restricted` admits.

The oracle is the admission of the API server: a pod that it refuses violates the standard.
"""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import FeatureLineageError, TerminalError
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.job_manifest import pod_template
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.pod_security import APP_ARMOR
from feature_lineage.kube.kinds import PODS

DEFAULTS = RunnerDefaults(image="runner.example/runner:1")

FORBIDDEN: dict[str, Any] = {
    "appArmorProfile": {"type": "Unconfined"},
    "sysctls": [{"name": "kernel.msgmax", "value": "1"}],
    "windowsOptions": {"hostProcess": True},
    "seccompProfile": {"type": "Unconfined"},
    "runAsUser": 0,
    "runAsNonRoot": False,
    "seLinuxOptions": {"user": "system_u"},
}
"""Fields of a pod's securityContext that the standard refuses; some are not in the schema."""
NO_FIELDS: dict[str, Any] = {
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "hostUsers": True,
    "shareProcessNamespace": True,
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["x"]}],
    "dnsConfig": {"nameservers": ["10.0.0.1"]},
    "containers": [{"name": "x", "image": "x"}],
    "initContainers": [{"name": "x", "image": "x"}],
    "runtimeClassName": "privileged",
    "nodeName": "node",
}
"""Fields of a pod that `spec.runtime` does not have."""


def mostly(good: list[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    """Good values, and now and then a bad one."""
    return st.sampled_from([*good * (4 * len(bad)), *bad])


ids = mostly([1, 1000, 65532], [0])
profiles = mostly(
    [{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "profiles/x.json"}],
    [{"type": "Unconfined"}, {"type": ""}, {}, None],
)
selinux = st.fixed_dictionaries(
    {},
    optional={
        "type": mostly(["", "container_t", "container_kvm_t"], ["spc_t", "init_t"]),
        "user": mostly([""], ["system_u"]),
        "role": mostly([""], ["system_r"]),
        "level": st.sampled_from(["", "s0", "s0:c1,c2"]),
    },
)
contexts = st.builds(
    lambda allowed, forbidden: allowed | forbidden,
    st.fixed_dictionaries(
        {},
        optional={
            "runAsUser": ids,
            "runAsGroup": ids,
            "fsGroup": ids,
            "runAsNonRoot": mostly([True], [False]),
            "supplementalGroups": st.lists(ids, max_size=2),
            "supplementalGroupsPolicy": st.sampled_from(["Merge", "Strict"]),
            "fsGroupChangePolicy": st.sampled_from(["OnRootMismatch", "Always"]),
            "seLinuxChangePolicy": st.sampled_from(["MountOption", "Recursive"]),
            "seccompProfile": profiles,
            "seLinuxOptions": selinux,
        },
    ),
    mostly([{}], [{name: value} for name, value in FORBIDDEN.items()]),
)
sources = mostly(
    [
        {},
        {"emptyDir": {"medium": "Memory"}},
        {"configMap": {"name": "c"}},
        {"secret": {"secretName": "s"}},
        {"persistentVolumeClaim": {"claimName": "p"}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"csi": {"driver": "csi.example"}},
        {"image": {"reference": "registry.example/data:1"}},
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                    }
                }
            }
        },
    ],
    [
        {"hostPath": {"path": "/"}},
        {"nfs": {"server": "nfs.example", "path": "/"}},
        {"iscsi": {"targetPortal": "10.0.0.1", "iqn": "iqn.2001-04.example:disk", "lun": 0}},
        {"gitRepo": {"repository": "https://git.example/x"}},
        {"flexVolume": {"driver": "example/x"}},
    ],
)
annotations = st.dictionaries(
    st.sampled_from([f"{APP_ARMOR}runner", f"{APP_ARMOR}x", "seccomp.security.alpha.x/pod"]),
    mostly(["runtime/default", "localhost/x"], ["unconfined", ""]),
    max_size=2,
)
runtimes = st.fixed_dictionaries(
    {},
    optional={
        "securityContext": contexts,
        "volumes": st.lists(sources, max_size=3).map(
            lambda found: [{"name": f"v{i}", **each} for i, each in enumerate(found)]
        ),
        "podAnnotations": annotations,
    },
)


def pod(runtime: dict[str, Any]) -> dict[str, Any]:
    """The pod of a job with this `spec.runtime`.

    Raises:
        ValidationError: the field does not exist.
        TerminalError: the check refuses it.
    """
    project = FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "driver", "namespace": "ml", "uid": "u"},
            "spec": {"project": "driver", "source": {"image": {"path": "/x"}}, "runtime": runtime},
        }
    )
    template = pod_template(project, "apply-1-0123456789abcdef-1", DEFAULTS)
    # The account of the jobs does not exist here; the standard says nothing about accounts.
    template["spec"]["serviceAccountName"] = "default"
    template["metadata"].pop("labels")
    return {"apiVersion": "v1", "kind": "Pod", **template}


async def answer(admin: Api, namespace: str, body: dict[str, Any]) -> str:
    """What the API server says to a pod: "" if it admits it."""
    body["metadata"] |= {"name": "oracle", "namespace": namespace}
    try:
        await admin.create(PODS, namespace, body, dry_run=True)
    except FeatureLineageError as error:
        return error.message
    return ""


async def test_what_the_check_admits_the_api_server_admits(admin: Api, restricted: str) -> None:
    passed: list[dict[str, Any]] = []

    @settings(max_examples=300, deadline=None, database=None)
    @given(runtimes)
    def collect(runtime: dict[str, Any]) -> None:
        with suppress(TerminalError, ValidationError):
            passed.append(pod(runtime))

    collect()
    said = [await answer(admin, restricted, made) for made in passed]

    assert not [each for each in said if "violates PodSecurity" in each]
    # The admission is asked only about pods that are valid otherwise.
    assert said.count("") >= 100


@pytest.mark.parametrize("field", FORBIDDEN)
async def test_the_api_server_refuses_what_the_check_refuses(
    admin: Api, restricted: str, field: str
) -> None:
    wanted = {field: FORBIDDEN[field]}
    with pytest.raises((TerminalError, ValidationError), match=r"spec.runtime.securityContext"):
        pod({"securityContext": wanted})
    unchecked = pod({})

    unchecked["spec"]["securityContext"] |= wanted

    said = await answer(admin, restricted, unchecked)
    assert "violates PodSecurity" in said or "disallowed by cluster policy" in said


@pytest.mark.parametrize("field", NO_FIELDS)
def test_runtime_has_no_field_that_leaves_the_pod(field: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        pod({field: NO_FIELDS[field]})
