"""Helpers for the tests on a cluster: namespaces, access reviews."""

import json
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tests.cluster.kubectl import Kubectl, manifest_list

MINE: Final = "app.kubernetes.io/part-of=feature-lineage-operator"


def new_namespace(kubectl: Kubectl, name: str) -> str:
    """Create a namespace that is deleted after the test."""
    key, _, value = MINE.partition("=")
    kubectl(
        *("create", "-f", "-"),
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {key: value}},
            }
        ),
    )
    return name


class Request(NamedTuple):
    """A request to the API server, as RBAC sees it; ``jobs.batch/status`` is a subresource."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""


def allowed(kubectl: Kubectl, user: str, requests: Iterable[Request]) -> set[Request]:
    """Return those of the requests that the API server allows this user."""
    asked = list(requests)
    reviews = [_review(user, request) for request in asked]
    answers = kubectl(
        *("create", "-f", "-", "-o", 'jsonpath={.status.allowed}{"\\n"}'),
        stdin=manifest_list(reviews),
    ).split()
    assert len(answers) == len(asked)
    return {request for request, answer in zip(asked, answers, strict=True) if answer == "true"}


def becomes_allowed(kubectl: Kubectl, user: str, requests: Iterable[Request]) -> bool:
    """Whether a user gets these permissions within 30 s: a controller aggregates the roles."""
    asked = set(requests)
    deadline = time.monotonic() + 30
    while asked - allowed(kubectl, user, asked):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _review(user: str, request: Request) -> dict[str, Any]:
    resource, _, subresource = request.resource.partition("/")
    plural, _, group = resource.partition(".")
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:authenticated"],
            "resourceAttributes": {
                "verb": request.verb,
                "group": group,
                "resource": plural,
                "subresource": subresource,
                "namespace": request.namespace,
                "name": request.name,
            },
        },
    }


def account(namespace: str, name: str = "feature-lineage-operator") -> str:
    """The user name of a service account."""
    return f"system:serviceaccount:{namespace}:{name}"
