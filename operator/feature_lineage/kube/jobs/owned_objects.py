"""Objects that belong to a project: made and put right by name, and never taken from anybody else.

Whoever may create a FeatureStoreProject need not be allowed to change Roles. So an object that has
a name the project would use, but is not the project's, stays as it is, and the project says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import AccessRefused
from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.kinds import PROJECTS, Kind
from feature_lineage.reasons import Reason


class NotOwn(AccessRefused):
    """An object of a name that a project needs is somebody else's."""

    reason = Reason.FORBIDDEN


async def apply_own(api: Api, kind: Kind, project: FeatureStoreProject, body: Object) -> None:
    """Make an object of a project what `body` says; nothing is written where it is that already.

    Raises:
        NotOwn: there is one of that name that is not the project's.
    """
    namespace, name = project.metadata.namespace, body["metadata"]["name"]
    found = await api.find(kind, namespace, name)
    if found is not None and not is_own(found, project):
        raise NotOwn(
            f"{kind.kind} {namespace}/{name} is not FeatureStoreProject"
            f" {project.metadata.name}'s, which needs that name: delete it, or give the project's"
            " resource another name"
        )
    if found is None or not _holds(body, found):
        await api.apply(kind, namespace, body)


def is_own(body: Object, project: FeatureStoreProject) -> bool:
    """Whether an object belongs to a project, or did to one of its name that is gone by now."""
    owners = body["metadata"].get("ownerReferences") or ()
    return any(
        owner.get("kind") == PROJECTS.kind and owner.get("name") == project.metadata.name
        for owner in owners
    )


def _holds(wanted: Any, found: Any) -> bool:
    """Whether all of `wanted` is in `found`; what others added beside it does not matter."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _holds(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return (
            isinstance(found, Sequence)
            and len(wanted) == len(found)
            and all(map(_holds, wanted, found))
        )
    return bool(wanted == found)
