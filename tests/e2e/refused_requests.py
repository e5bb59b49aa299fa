"""Requests to the API server of a tenant with `edit` that the roles of the chart do not permit."""

import pytest
from tests.cluster.host.hostile import HostileTenant
from tests.e2e.tenant import Tenant

from feature_lineage.kube.api_errors import Forbidden
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    LEASES,
    MODELS,
    PODS,
    PROJECTS,
    ROLE_BINDINGS,
    SECRETS,
)


async def refused_requests(hostile: HostileTenant, team: Tenant) -> None:
    """Requests to the API server that the chart's roles must not permit."""
    api, home, operator = hostile.api, team.namespace, "feature-lineage"
    status = {"status": {"registry": {"id": "mine"}}}
    bound = {
        "apiVersion": ROLE_BINDINGS.api_version,
        "kind": ROLE_BINDINGS.kind,
        "metadata": {"name": "more"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "hostile", "namespace": hostile.namespace}],
    }
    for request in (
        api.patch(PROJECTS, hostile.namespace, "flood", status, subresource="status"),
        api.patch(MODELS, hostile.namespace, "m1", status, subresource="status"),
        api.patch(PROJECTS, home, team.name, {"spec": {"suspend": True}}),
        api.get(PROJECTS, home, team.name),
        api.get(CONFIG_MAPS, home, f"feature-lineage-registry-{team.name}"),
        api.get(SECRETS, operator, "mlflow-prod"),
        api.get(PODS, operator, "any"),
        api.patch(LEASES, operator, "feature-lineage-operator", {"spec": {}}),
        api.create(ROLE_BINDINGS, hostile.namespace, bound),
    ):
        with pytest.raises(Forbidden):
            await request
