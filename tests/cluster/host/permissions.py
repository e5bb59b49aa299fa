"""Permissions one by one, and operators that lack some of them."""

import asyncio
import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.chart.helm import RELEASE, Object, of, only
from tests.cluster.existing import Cluster

from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kind

ACCOUNT = "limited"
REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")


class Permission(NamedTuple):
    """One verb on one resource; ``trainedmodels/status`` is a resource of its own."""

    group: str
    resource: str
    verb: str

    @property
    def refusal(self) -> str:
        """What the API server says to whoever lacks it."""
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"'


def permissions(rules: Iterable[dict[str, Any]]) -> set[Permission]:
    """What rules grant, one by one."""
    return {
        Permission(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(objects: list[Object]) -> set[Permission]:
    """What the chart grants the operator where it watches."""
    return permissions(only(objects, "ClusterRole", f":{RELEASE}")["rules"])


def granted_at_home(objects: list[Object]) -> set[Permission]:
    """What the chart grants the operator in its own namespace alone: the Lease."""
    return permissions(rule for role in of(objects, "Role") for rule in role["rules"])


class Account:
    """A ServiceAccount in a test's namespace that stands for the operator's there.

    Attributes:
        kubeconfig: of it.
        environment: tells the operator who it is.
    """

    def __init__(self, admin: Api, namespace: str, kubeconfig: Path) -> None:
        self._admin = admin
        self._namespace = namespace
        self.kubeconfig = kubeconfig
        self.environment = {"POD_SERVICE_ACCOUNT": ACCOUNT}
        self._may: set[Permission] = set()

    async def may(self, wanted: set[Permission]) -> None:
        """Grant exactly this, and return once the API server goes by it."""
        rules = [
            {"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]}
            for one in sorted(wanted)
        ]
        await _apply(self._admin, ROLES, self._namespace, {"rules": rules})
        async with asyncio.timeout(30):
            for one in wanted ^ self._may:
                while await self._is_allowed(one) is not (one in wanted):
                    await asyncio.sleep(0.05)  # RBAC tells nobody when it has heard
        self._may = set(wanted)

    async def _is_allowed(self, one: Permission) -> bool:
        resource, _, subresource = one.resource.partition("/")
        review = {
            "apiVersion": REVIEWS.api_version,
            "kind": REVIEWS.kind,
            "spec": {
                "user": f"system:serviceaccount:{self._namespace}:{ACCOUNT}",
                "resourceAttributes": {
                    "verb": one.verb,
                    "group": one.group,
                    "resource": resource,
                    "subresource": subresource,
                    "namespace": self._namespace,
                },
            },
        }
        answer = await self._admin.create(REVIEWS, "", review)
        return bool(answer["status"]["allowed"])


async def make_account(admin: Api, cluster: Cluster, namespace: str) -> Account:
    """An account that may do nothing yet."""
    await _apply(admin, SERVICE_ACCOUNTS, namespace, {})
    role = {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": ACCOUNT}
    subject = {"kind": SERVICE_ACCOUNTS.kind, "name": ACCOUNT, "namespace": namespace}
    await _apply(admin, ROLE_BINDINGS, namespace, {"roleRef": role, "subjects": [subject]})
    kubeconfig = cluster.service_account_kubeconfig(namespace, ACCOUNT)
    return Account(admin, namespace, kubeconfig)


async def _apply(admin: Api, kind: Kind, namespace: str, fields: Object) -> None:
    named = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": ACCOUNT}}
    await admin.apply(kind, namespace, {**named, **copy.deepcopy(fields)})
