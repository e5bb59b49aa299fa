"""What was asked of an API server, as its audit log tells it.

A watch is written when it begins and again when it ends; it counts once.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The servers' own requests and those of nobody are noise: a test asks what a user did.
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
        user: name, such as ``system:serviceaccount:lineage:feature-lineage-operator``.
        verb: as RBAC knows it: get, list, watch, create, update, patch, delete, …
        group: API group, "" for the core.
        resource: plural; "" for a request of no resource, such as discovery.
        subresource: such as ``status``, or "".
        namespace: "" for a request over all namespaces or of a cluster-scoped resource.
        name: of the object, "" for a collection; a create names none in its URL.
        code: HTTP status of the answer.
        message: why it was not done, "" where it was.
        uri: what was asked, with its query.
        agent: the client's User-Agent.
        at: RFC 3339 time at which it was received.
        groups: the user's groups.
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
        """Whether the server let it through."""
        return self.code not in {401, 403}


def read_audit(files: Iterable[Path]) -> list[AuditRecord]:
    """The records of these logs, in the order of their first stage; one for each request."""
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
            return  # the last line of a server that was killed while it wrote


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
