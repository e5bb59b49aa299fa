"""Secrets and ConfigMaps by name: how a project's texts and credentials are found on any host.

Values are looked up when they are needed, in the resource's own namespace, and never listed, logged
or put in a status.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from feature_lineage.api.refs import KeySource
from feature_lineage.errors import NotFound
from feature_lineage.reasons import Reason

ObjectKind = Literal["Secret", "ConfigMap"]


class Objects(Protocol):
    """Read access to the core objects a host knows."""

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        """Every key of one object.

        Raises:
            NotFound: there is no such object.
            AccessRefused: this process may not read it.
        """
        ...


async def value_of(objects: Objects, kind: ObjectKind, namespace: str, name: str, key: str) -> str:
    """One key, as text.

    Raises:
        NotFound: there is no such object, or it has no such key.
    """
    contents = await objects.contents(kind, namespace, name)
    if key not in contents:
        raise NotFound(
            f"{kind} {namespace}/{name} has no key {key}", reason=Reason.SECRET_NOT_FOUND
        )
    return contents[key].decode(errors="replace")


async def text_of(objects: Objects, namespace: str, source: KeySource) -> str:
    """The text a `KeySource` points to.

    Raises:
        NotFound: there is no such object, or it has no such key.
    """
    kind: ObjectKind = "Secret" if source.secret_key_ref is not None else "ConfigMap"
    return await value_of(objects, kind, namespace, source.ref.name, source.ref.key)
