"""Reads Secrets and ConfigMaps by name, in the same way on both hosts.

Values are read when they are needed, from the resource's own namespace. They are never listed,
logged or written to a status.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from feature_lineage.api.refs import KeySource
from feature_lineage.errors import NotFound
from feature_lineage.reasons import Reason

ObjectKind = Literal["Secret", "ConfigMap"]


class Objects(Protocol):
    """Read access to Secrets and ConfigMaps."""

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        """Every key of one object.

        Raises:
            NotFound: the object does not exist.
            AccessRefused: this process is not permitted to read it.
        """
        ...


async def value_of(objects: Objects, kind: ObjectKind, namespace: str, name: str, key: str) -> str:
    """One key, as text.

    Raises:
        NotFound: the object does not exist or has no such key.
    """
    contents = await objects.contents(kind, namespace, name)
    if key not in contents:
        raise NotFound(
            f"{kind} {namespace}/{name} has no key {key}", reason=Reason.SECRET_NOT_FOUND
        )
    return contents[key].decode(errors="replace")


async def text_of(objects: Objects, namespace: str, source: KeySource) -> str:
    """The text that a `KeySource` refers to.

    Raises:
        NotFound: the object does not exist or has no such key.
    """
    kind: ObjectKind = "Secret" if source.secret_key_ref is not None else "ConfigMap"
    return await value_of(objects, kind, namespace, source.ref.name, source.ref.key)
