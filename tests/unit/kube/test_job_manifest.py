"""The Job of a project: what its owner may set, and what the owner cannot change."""

import json
from typing import Any

import pytest

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import TerminalError
from feature_lineage.kube.jobs.job_manifest import (
    is_outdated,
    job_manifest,
    pod_request,
    request_manifest,
)
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.jobs.pod_manifest import RunnerDefaults
from feature_lineage.kube.jobs.pod_security import APP_ARMOR
from feature_lineage.kube.jobs.rbac import access_manifests
from feature_lineage.kube.kinds import ROLES
from feature_lineage.operations.pod_protocol import MAX_REQUEST_BYTES
from feature_lineage.operations.protocol import ApplyRequest, JobRequest

JOB = "apply-12-9f86d081884c7d65-1"
DEFAULTS = RunnerDefaults(
    "runner.example/runner:1",
    image_pull_secrets=("pull",),
    resources={"requests": {"memory": "1Gi"}},
)


def project(status: dict[str, Any] | None = None, **spec: Any) -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {"name": "driver", "namespace": "feast", "uid": "u-1"},
            "spec": {"project": "driver", "source": {"image": {"path": "/repo"}}, **spec},
            "status": status or {},
        }
    )


def request(**fields: Any) -> JobRequest:
    return JobRequest(
        operation_id=JOB, kind=OperationKind.APPLY, project="driver", repo="", **fields
    )


def job(of: FeatureStoreProject, **fields: Any) -> dict[str, Any]:
    return job_manifest(of, request(**fields), DEFAULTS)


def pod(of: FeatureStoreProject) -> dict[str, Any]:
    found: dict[str, Any] = job(of)["spec"]["template"]["spec"]
    return found


def container(of: FeatureStoreProject) -> dict[str, Any]:
    (found,) = pod(of)["containers"]
    return dict(found)


def test_a_job_is_suspended_and_one_attempt() -> None:
    made = job(project(), deadline_seconds=60)

    assert made["metadata"]["name"] == JOB
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "feature-lineage-operator",
        "featurelineage.io/project": "driver",
        "featurelineage.io/operation": JOB,
    }
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("u-1", True, False)
    spec = made["spec"]
    assert (spec["suspend"], spec["backoffLimit"]) == (True, 0)
    assert spec["activeDeadlineSeconds"] == 360
    fails, ignores = spec["podFailurePolicy"]["rules"]
    assert (fails["action"], fails["onExitCodes"]["values"]) == ("FailJob", [65])
    assert (ignores["action"], ignores["onPodConditions"][0]["type"]) == (
        "Ignore",
        "DisruptionTarget",
    )
    assert "ttlSecondsAfterFinished" not in spec


def test_the_pod_meets_the_restricted_standard() -> None:
    made, inside = pod(project()), container(project())

    assert made["securityContext"] == {
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert inside["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert made["restartPolicy"] == "Never"
    assert made["serviceAccountName"] == "feature-lineage-runner-driver"
    assert inside["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert {
        mount["mountPath"]: mount.get("readOnly", False) for mount in inside["volumeMounts"]
    } == {
        "/job": False,
        "/tmp": False,
        "/etc/feature-lineage/request": True,
    }
    assert inside["command"] == ["python", "-P", "-m", "feature_lineage.runner.pod"]
    assert inside["args"] == ["--request", "/etc/feature-lineage/request/request.json.gz"]


def test_every_field_of_runtime_reaches_the_pod() -> None:
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
    runtime = {
        "image": "tenant.example/runner:2",
        "serviceAccountName": "own",
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "envFrom": [{"secretRef": {"name": "all"}}],
        "resources": {"limits": {"memory": "2Gi"}},
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "podLabels": {"team": "ranking"},
        "podAnnotations": {"note": "x"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": affinity,
        "priorityClassName": "low",
        "imagePullSecrets": [{"name": "own-pull"}],
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
    }
    wanted = project(runtime=runtime)
    template = job(wanted)["spec"]["template"]
    made, inside = template["spec"], container(wanted)

    assert inside["image"] == "tenant.example/runner:2"
    assert made["serviceAccountName"] == "own"
    assert [*inside["env"]] == [{"name": "HOME", "value": "/job/home"}, *runtime["env"]]  # type: ignore[misc]
    assert inside["envFrom"] == runtime["envFrom"]
    assert inside["resources"] == {"requests": {}, "limits": {"memory": "2Gi"}}
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data"}} in made["volumes"]
    assert {"name": "data", "mountPath": "/data"} in inside["volumeMounts"]
    assert template["metadata"]["labels"]["team"] == "ranking"
    assert template["metadata"]["annotations"] == {"note": "x"}
    for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert made[field] == runtime[field], field
    assert made["imagePullSecrets"] == [{"name": "pull"}, {"name": "own-pull"}]
    security = made["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (
        1000,
        65532,
        2000,
    )
    assert security["runAsNonRoot"] is True


def test_a_tenant_cannot_override_the_operators_labels() -> None:
    labels = {
        "featurelineage.io/operation": "x",
        "app.kubernetes.io/managed-by": "me",
        "app.kubernetes.io/name": "feature-lineage-operator",
        "app.kubernetes.io/instance": "feature-lineage",
    }
    made = job(project(runtime={"podLabels": labels}))["spec"]["template"]["metadata"]["labels"]
    assert made["featurelineage.io/operation"] == JOB
    assert made["app.kubernetes.io/managed-by"] == "feature-lineage-operator"
    assert not {"app.kubernetes.io/name", "app.kubernetes.io/instance"} & made.keys()


@pytest.mark.parametrize(
    ("runtime", "complaint"),
    [
        ({"securityContext": {"runAsUser": 0}}, "do not run as root"),
        ({"securityContext": {"runAsNonRoot": False}}, "do not run as root"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "seccompProfile"),
        ({"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}, "one of container_engine_t"),
        ({"securityContext": {"seLinuxOptions": {"user": "u"}}}, "seLinuxOptions.user and .role"),
        ({"securityContext": {"seLinuxOptions": {"role": "r"}}}, "seLinuxOptions.user and .role"),
        ({"podAnnotations": {f"{APP_ARMOR}runner": "unconfined"}}, "must be runtime/default"),
        ({"podAnnotations": {f"{APP_ARMOR}runner": ""}}, "must be runtime/default"),
        ({"volumes": [{"name": "feature-lineage-job", "emptyDir": {}}]}, "is reserved"),
        ({"volumeMounts": [{"name": "feature-lineage-git", "mountPath": "/x"}]}, "not yours"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/etc/feature-lineage/git"}]}, "is reserved"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/job/repo/data"}]}, "is reserved"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/tmp/"}]}, "is reserved"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/x/../job"}]}, "is reserved"),
    ],
)
def test_a_runtime_that_weakens_the_pod_is_refused(runtime: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TerminalError, match=complaint) as caught:
        job(project(runtime=runtime))
    assert caught.value.reason == "InvalidManifest"
    assert str(caught.value).startswith("spec.runtime.")


def test_a_schedule_then_project_then_platform_sets_resources() -> None:
    assert container(project())["resources"] == {"requests": {"memory": "1Gi"}}
    runtime = {"resources": {"limits": {"memory": "2Gi"}}}
    assert container(project(runtime=runtime))["resources"]["limits"] == {"memory": "2Gi"}
    schedule = {
        "name": "hourly",
        "cron": "0 * * * *",
        "incremental": {},
        "resources": {"limits": {"memory": "8Gi"}},
    }
    operation = {
        "id": JOB.removesuffix("-1"),
        "kind": "Materialize",
        "phase": "Pending",
        "sequence": 3,
        "attempt": 1,
        "inputsDigest": "d",
        "startedAt": "2026-11-20T12:00:00Z",
        "schedule": "hourly",
    }
    wanted = project({"operation": operation}, runtime=runtime, schedules=[schedule])
    assert container(wanted)["resources"]["limits"] == {"memory": "8Gi"}
    beside = project(
        {"operation": {**operation, "id": "materialize-3-x"}}, runtime=runtime, schedules=[schedule]
    )
    assert container(beside)["resources"]["limits"] == {"memory": "2Gi"}


def test_the_role_names_the_reports_of_both_jobs_in_flight() -> None:
    def names(status: dict[str, Any]) -> set[str]:
        roles = dict(access_manifests(project(status), "observe-4-x-1"))
        return {name for kind, role in roles.items() if kind is ROLES for name in _reports(role)}

    def _reports(role: Any) -> list[str]:
        assert [rule["verbs"] for rule in role["rules"]] == [["get", "patch"]]
        return list(role["rules"][0]["resourceNames"])

    apply = {"id": "apply-3-x", "kind": "Apply", "phase": "Running"}
    both = {*report_names("apply-3-x-1"), *report_names("observe-4-x-1")}
    assert names({"operation": apply}) == both
    assert names({}) == set(report_names("observe-4-x-1"))
    waiting = {**apply, "phase": "BackingOff"}
    assert names({"operation": waiting}) == set(report_names("observe-4-x-1"))


def test_git_and_its_secrets_are_mounted_by_reference() -> None:
    source = {
        "git": {
            "url": "https://git.example/repo.git",
            "ref": {"branch": "main"},
            "path": "features",
            "secretRef": {"name": "token"},
            "caBundle": {"configMapKeyRef": {"name": "ca", "key": "root.pem"}},
        }
    }
    wanted = project(source=source)
    volumes = {volume["name"]: volume for volume in pod(wanted)["volumes"]}
    assert volumes["feature-lineage-git"]["secret"]["secretName"] == "token"
    assert volumes["feature-lineage-git-ca"]["configMap"]["items"] == [
        {"key": "root.pem", "path": "root.pem"}
    ]

    git = pod_request(wanted, request(revision="a" * 40)).git
    assert git is not None
    assert (git.url, git.path) == ("https://git.example/repo.git", "features")
    assert git.credential == "/etc/feature-lineage/git"
    assert git.ca_file == "/etc/feature-lineage/git-ca/root.pem"


def test_a_request_has_the_path_of_feature_store_yaml_only() -> None:
    key = {"secretKeyRef": {"name": "store", "key": "feature_store.yaml"}}
    wanted = project(featureStoreYaml=key)
    order = pod_request(wanted, request(feature_store_yaml="password: s3cr3t"))
    text = json.dumps(order.model_dump(mode="json"))
    assert "s3cr3t" not in text
    assert order.feature_store_yaml == "/etc/feature-lineage/feature-store/feature_store.yaml"
    (volume,) = [v for v in pod(wanted)["volumes"] if v["name"] == "feature-lineage-feature-store"]
    assert volume["secret"]["secretName"] == "store"
    assert volume["secret"]["items"] == [
        {"key": key["secretKeyRef"]["key"], "path": "feature_store.yaml"}
    ]


def test_a_pod_cannot_use_a_local_folder() -> None:
    with pytest.raises(TerminalError, match="a cluster has no such folder") as caught:
        pod_request(project(source={"local": {"path": "repo"}}), request())
    assert caught.value.reason == "LocalSourceUnsupported"


def test_a_request_too_large_for_a_config_map_is_refused() -> None:
    import random

    noise = random.Random(1)
    closures = {f"v{n}": f"{noise.getrandbits(256):064x}" for n in range(40_000)}
    large = request(apply=ApplyRequest(closures=closures))
    with pytest.raises(
        TerminalError, match=f"at most {MAX_REQUEST_BYTES} fit .* split the project"
    ):
        request_manifest(project(), large, [])


def test_ten_thousand_closures_fit_into_a_request() -> None:
    import random

    noise = random.Random(1)
    closures = {f"view_{n}": f"{noise.getrandbits(256):064x}" for n in range(10_000)}
    made = request_manifest(project(), request(apply=ApplyRequest(closures=closures)), [])
    assert made["immutable"] is True


def test_the_role_allows_two_verbs_on_one_jobs_reports() -> None:
    kinds = {kind.kind: body for kind, body in access_manifests(project(), JOB)}
    assert list(kinds) == ["ServiceAccount", "Role", "RoleBinding"]
    (rule,) = kinds["Role"]["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [f"{JOB}-report-{number}" for number in range(3)],
        "verbs": ["get", "patch"],
    }
    own = access_manifests(project(runtime={"serviceAccountName": "own"}), JOB)
    assert [kind.kind for kind, _ in own] == ["Role", "RoleBinding"]
    assert own[1][1]["subjects"][0]["name"] == "own"


def test_a_job_is_outdated_when_its_template_differs() -> None:
    wanted = project()
    made = job(wanted)
    assert not is_outdated(made, wanted, DEFAULTS)
    assert not is_outdated(job(wanted, deadline_seconds=60), wanted, DEFAULTS)

    assert is_outdated(made, project(runtime={"nodeSelector": {"disk": "fast"}}), DEFAULTS)
    assert is_outdated(made, wanted, RunnerDefaults("runner.example/runner:2"))
    forbidden = {"securityContext": {"runAsUser": 0}}
    assert is_outdated(made, project(runtime=forbidden), DEFAULTS)
    made["metadata"].pop("annotations")  # of an operator that did not record the cause
    assert not is_outdated(made, project(runtime={"nodeSelector": {"disk": "fast"}}), DEFAULTS)
