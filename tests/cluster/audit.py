"""Reads the audit log of an API server: which user made which request.

A watch has an entry at its start and one at its end; it counts once.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Requests of the servers themselves and of anonymous users are left out: tests are about users.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, Panic]
omitManagedFields: true
rules:
- {level: None, users: [system:apiserver, system:anonymous, system:kube-controller-manager]}
- {level: None, userGroups: [system:serviceaccounts:kube-system, system:nodes]}
- {level: None, nonResourceURLs: [/readyz*, /livez*, /healthz*, /version, /openapi*]}
- {level: Metadata}
"""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One request.

    Attributes:
        user: name of the user, such as ``system:serviceaccount:lineage:feature-lineage-operator``.
        verb: verb as in RBAC: get, list, watch, create, update, patch, delete, …
        group: API group; "" for the core group.
        resource: plural name; "" for a request without a resource, such as discovery.
        subresource: subresource, such as ``status``; "" if there is none.
        namespace: namespace; "" for a request over all namespaces or for a cluster-scoped resource.
        name: name of the object; "" for a collection, and for a create, whose URL has no name.
        code: HTTP status of the answer.
        message: message of the answer if the request failed, else "".
        uri: URI of the request, with its query.
        agent: the User-Agent of the client.
        at: RFC 3339 time at which the server received the request.
        groups: groups of the user.
    """

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    message: str
    uri: str
    agent: str
    at: str
    groups: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether the server allowed the request."""
        return self.code not in {401, 403}


def read_audit(files: Iterable[Path]) -> list[AuditRecord]:
    """Return the records of these logs, ordered by their first stage; one record per request."""
    by_id: dict[str, AuditRecord] = {}
    for file in files:
        for event in _events(file):
            by_id[event["auditID"]] = _record(event)
    return list(by_id.values())


def _events(file: Path) -> Iterator[dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError:
            if number < len(lines):
                raise
            return  # last line of a server that was killed during the write


def _record(event: dict[str, Any]) -> AuditRecord:
    what = event.get("objectRef", {})
    user = event["user"]
    return AuditRecord(
        user=user.get("username", ""),
        verb=event["verb"],
        group=what.get("apiGroup", ""),
        resource=what.get("resource", ""),
        subresource=what.get("subresource", ""),
        namespace=what.get("namespace", ""),
        name=what.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        message=event.get("responseStatus", {}).get("message", ""),
        uri=event["requestURI"],
        agent=event.get("userAgent", ""),
        at=event["requestReceivedTimestamp"],
        groups=tuple(user.get("groups", ())),
    )
