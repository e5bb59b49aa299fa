"""A project on the API server, requests for its jobs, and the permissions of the operator."""

import json
from dataclasses import dataclass
from typing import Any, Self

from tests.cluster.kubectl import Kubectl

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import OperationKind
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import PROJECTS
from feature_lineage.operations.kinds import kind_of_command
from feature_lineage.operations.protocol import ApplyRequest, JobRequest

OPERATOR_RULES = [
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "patch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "create", "patch"]},
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
        "verbs": ["get", "create", "patch"],
    },
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["list"]},
]
"""All permissions that jobs need; the operator passes the one on ConfigMaps to the runners."""

IMAGE = {"image": {"path": "/repo"}}


def apply_yaml(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))


@dataclass
class Project:
    """Return a FeatureStoreProject as the API server stores it."""

    resource: FeatureStoreProject

    @classmethod
    async def create(cls, api: Api, namespace: str, name: str, spec: dict[str, Any]) -> Self:
        body = {
            "apiVersion": PROJECTS.api_version,
            "kind": PROJECTS.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"project": name.replace("-", "_"), "source": IMAGE, **spec},
        }
        made = await api.create(PROJECTS, namespace, body)
        made["metadata"].pop("managedFields", None)
        return cls(FeatureStoreProject.model_validate(made))

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace

    def request(self, job: str = "apply-1-0123456789abcdef-1", **fields: Any) -> JobRequest:
        kind = kind_of_command(job.partition("-")[0])
        if kind is OperationKind.APPLY:
            fields = {"apply": ApplyRequest(adopted=""), **fields}
        return JobRequest(
            operation_id=job, kind=kind, project=self.resource.spec.project, repo="", **fields
        )
