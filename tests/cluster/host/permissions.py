"""Single permissions, and operators that lack some of them."""

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
    """One verb on one resource; ``trainedmodels/status`` is a separate resource."""

    group: str
    resource: str
    verb: str

    @property
    def refusal(self) -> str:
        """The message of the API server for a missing permission."""
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"'


def permissions(rules: Iterable[dict[str, Any]]) -> set[Permission]:
    """Return the permissions of these rules, one by one."""
    return {
        Permission(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(objects: list[Object]) -> set[Permission]:
    """Return the permissions that the chart grants the operator in the watched namespaces."""
    return permissions(only(objects, "ClusterRole", f":{RELEASE}")["rules"])


def granted_at_home(objects: list[Object]) -> set[Permission]:
    """Return the permissions in the namespace of the release only: those for the Lease."""
    return permissions(rule for role in of(objects, "Role") for rule in role["rules"])


class Account:
    """A ServiceAccount in a namespace of a test, used as the account of an operator.

    Attributes:
        kubeconfig: kubeconfig of the account.
        environment: environment variables that name the account.
    """

    def __init__(self, admin: Api, namespace: str, kubeconfig: Path) -> None:
        self._admin = admin
        self._namespace = namespace
        self.kubeconfig = kubeconfig
        self.environment = {"POD_SERVICE_ACCOUNT": ACCOUNT}
        self._may: set[Permission] = set()

    async def may(self, wanted: set[Permission]) -> None:
        """Grant exactly these permissions, and return when the API server applies them."""
        rules = [
            {"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]}
            for one in sorted(wanted)
        ]
        await _apply(self._admin, ROLES, self._namespace, {"rules": rules})
        async with asyncio.timeout(30):
            for one in wanted ^ self._may:
                while await self._is_allowed(one) is not (one in wanted):
                    await asyncio.sleep(0.05)  # there is no event for a change of permissions
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
    """Create an account without permissions."""
    await _apply(admin, SERVICE_ACCOUNTS, namespace, {})
    role = {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": ACCOUNT}
    subject = {"kind": SERVICE_ACCOUNTS.kind, "name": ACCOUNT, "namespace": namespace}
    await _apply(admin, ROLE_BINDINGS, namespace, {"roleRef": role, "subjects": [subject]})
    kubeconfig = cluster.service_account_kubeconfig(namespace, ACCOUNT)
    return Account(admin, namespace, kubeconfig)


async def _apply(admin: Api, kind: Kind, namespace: str, fields: Object) -> None:
    named = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": ACCOUNT}}
    await admin.apply(kind, namespace, {**named, **copy.deepcopy(fields)})
