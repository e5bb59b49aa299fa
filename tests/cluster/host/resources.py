"""Resources as a user applies them, and checks of their status."""

from collections.abc import Callable
from typing import Any, Final

from tests.cluster.host.polling import condition

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import MODELS, PROJECTS, Kind

IMAGE: Final = {"image": {"path": "/repo"}}
"""A source that needs no other object."""

Holds = Callable[[Object | None], bool]


async def create(
    admin: Api, kind: Kind, namespace: str, name: str, spec: dict[str, Any], **metadata: Any
) -> Object:
    return await admin.create(
        kind,
        namespace,
        {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, **metadata},
            "spec": spec,
        },
    )


async def create_project(admin: Api, namespace: str, name: str = "ranking", **spec: Any) -> Object:
    """A project whose Feast project has the same name; from an image, unless `spec` differs."""
    whole = {"project": name.replace("-", "_"), "source": IMAGE, **spec}
    return await create(admin, PROJECTS, namespace, name, whole)


async def create_model(
    admin: Api, namespace: str, name: str = "m", project: str = "ranking", **spec: Any
) -> Object:
    """A model of a project in the same namespace, unless `spec` differs."""
    reference = {"projectRef": {"name": project}, "model": {"name": name, "alias": "champion"}}
    return await create(admin, MODELS, namespace, name, {**reference, **spec})


async def request_reconcile(admin: Api, kind: Kind, namespace: str, name: str, why: str) -> None:
    """Request a reconcile by the annotation."""
    metadata = {"annotations": {RECONCILE_REQUESTED_AT: why}}
    await admin.patch(kind, namespace, name, {"metadata": metadata})


async def change(admin: Api, kind: Kind, namespace: str, name: str, **spec: Any) -> Object:
    """Patch the spec, and return the object with its new generation."""
    return await admin.patch(kind, namespace, name, {"spec": spec})


def has_condition(type_: str, reason: str, *words: str) -> Holds:
    """Return a check: a condition has this reason, and its message contains these words."""

    def holds(body: Object | None) -> bool:
        found = condition(body, type_)
        message = found.get("message", "")
        return found.get("reason") == reason and all(word in message for word in words)

    return holds


def observed(body: Object | None) -> bool:
    """Whether the status is of the newest spec."""
    status = (body or {}).get("status", {})
    generation = (body or {"metadata": {}})["metadata"].get("generation")
    return generation is not None and status.get("observedGeneration") == generation


def handled(why: str) -> Holds:
    """Return a check: the status answers a request for a reconcile."""
    return lambda body: (body or {}).get("status", {}).get("lastHandledReconcileAt") == why


def running(body: Object | None) -> bool:
    """Whether the operator has seen that the job of the operation in flight runs."""
    operation = (body or {}).get("status", {}).get("operation") or {}
    return operation.get("phase") == "Running"
