"""The chart grants the permissions that the operator used over the whole suite, and no others.

Counted are the ServiceAccount of the chart, and those that replace it in `tests/cluster/jobs`. A
test that removes a permission on purpose uses another account (`tests.cluster.host.permissions`).

The audit log calls a server-side apply a patch also if it creates an object. The answer 201 shows
the creation. `tests/cluster/host/test_permissions.py` shows that this needs `create`: there, each
permission of a job is missing in turn.
"""

import re
from collections.abc import Iterable

import pytest
from tests.cluster.audit import AuditRecord
from tests.cluster.chart.helm import NAMESPACE, RELEASE, Helm, only
from tests.cluster.host.permissions import Permission, granted, granted_at_home, permissions
from tests.cluster.record import Run

OPERATOR = re.compile(
    rf"system:serviceaccount:({NAMESPACE}:{RELEASE}|operator-[0-9a-f]{{6}}:operator)"
)
REFUSED_BY_RBAC = ("cannot ", "attempting to grant RBAC permissions not currently held")
"""Messages of a 403 by RBAC; admission (a quota, a namespace in deletion) has other messages."""

STARTING = re.compile(r'RBAC: (cluster)?role\.rbac\.authorization\.k8s\.io "[^"]*" not found')
"""An API server that starts may have read a binding before its role; tests restart some."""


@pytest.fixture
def asked(whole_run: Run) -> list[AuditRecord]:
    """Return the requests of the operator to all API servers of the run."""
    return [each for each in whole_run.asked if each.resource and OPERATOR.fullmatch(each.user)]


@pytest.fixture
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(tmp_path_factory.mktemp("helm"))


def taken(record: AuditRecord) -> set[Permission]:
    """Return the permissions that a request needed."""
    resource = "/".join(part for part in (record.resource, record.subresource) if part)
    verbs = (
        {record.verb, "create"} if (record.verb, record.code) == ("patch", 201) else {record.verb}
    )
    return {Permission(record.group, resource, verb) for verb in verbs}


def all_taken(records: Iterable[AuditRecord]) -> set[Permission]:
    return set().union(*map(taken, records))


def test_what_was_asked_for_is_what_is_granted(
    asked: list[AuditRecord], helm: Helm, whole_run: Run
) -> None:
    objects = helm.render()
    by_default = granted(objects) | granted_at_home(objects)
    # Tenants grant single Secrets, or the platform grants all with this value.
    widened = helm.render({"rbac": {"secrets": "WatchedNamespaces"}})
    of_secrets = permissions(only(widened, "ClusterRole", ":secrets")["rules"])
    # Off by default, with its permissions.
    served = helm.render({"api": {"enabled": True, "allowPlainHttp": True}})
    of_api = permissions(only(served, "ClusterRole", ":api")["rules"])
    used = all_taken(record for record in asked if record.allowed)
    failed = whole_run.failed
    hint = f"; {failed} tests failed before, and may have asked for less" if failed else ""

    assert of_secrets == {Permission("", "secrets", "get")}
    assert used - by_default - of_secrets - of_api == set(), (
        "the chart does not grant what was used"
    )
    assert of_api - used == set(), f"the API needs less{hint}"
    assert by_default - used == set(), f"the chart grants what nothing used{hint}"


def test_only_ungranted_secrets_were_refused(
    asked: list[AuditRecord],
) -> None:
    refused = {
        (record.user, record.verb, record.uri, record.message)
        for record in asked
        if record.code == 403
        and any(words in record.message for words in REFUSED_BY_RBAC)
        and (record.verb, record.resource) != ("get", "secrets")
        and not STARTING.search(record.message)
    }

    assert refused == set()
