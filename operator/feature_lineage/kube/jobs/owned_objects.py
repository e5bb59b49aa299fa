"""Applies objects that belong to a project, and never changes an object of another owner.

The user who creates a FeatureStoreProject may lack the permission to change Roles. If an object
with a name that the project needs is not the project's, it stays as it is, and the project reports
the conflict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import AccessRefused
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import labels, owned_by_project
from feature_lineage.kube.kinds import CONFIG_MAPS, PROJECTS, Kind
from feature_lineage.reasons import Reason


class NotOwned(AccessRefused):
    """An object with a name that the project needs does not belong to the project."""

    reason = Reason.FORBIDDEN


async def apply_owned(api: Api, kind: Kind, project: FeatureStoreProject, body: Object) -> None:
    """Create or update an object of a project; writes nothing if the object contains `body`.

    Raises:
        NotOwned: an object with this name exists and does not belong to the project.
    """
    namespace, name = project.metadata.namespace, body["metadata"]["name"]
    found = await api.find(kind, namespace, name)
    if found is not None and not is_owned(found, project):
        raise NotOwned(
            f"{kind.kind} {namespace}/{name} does not belong to FeatureStoreProject"
            f" {project.metadata.name}, which needs that name: delete it, or give the project's"
            " resource another name"
        )
    if found is None or not _contains(found, body):
        await api.apply(kind, namespace, body)


def owned_config_map(project: FeatureStoreProject, name: str) -> Object:
    """A ConfigMap of the project, without its data."""
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": name,
            "labels": labels(project),
            "ownerReferences": owned_by_project(project),
        },
    }


def is_owned(body: Object, project: FeatureStoreProject) -> bool:
    """Whether an object belongs to the project, or to a deleted project of the same name."""
    owners = body["metadata"].get("ownerReferences") or ()
    return any(
        owner.get("kind") == PROJECTS.kind and owner.get("name") == project.metadata.name
        for owner in owners
    )


def _contains(found: Any, wanted: Any) -> bool:
    """Whether `found` has every field of `wanted`; it may have more."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _contains(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return (
            isinstance(found, Sequence)
            and len(wanted) == len(found)
            and all(map(_contains, found, wanted))
        )
    return bool(wanted == found)
