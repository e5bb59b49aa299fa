"""The registry snapshot: the definitions of a Feast project as canonical JSON.

The runner writes it from protobuf messages without unpickling. It has definitions only: no
timestamps, no materialization intervals, no pickled functions, and no order where order has no
meaning. Two registries with equal definitions have the same digest, whatever their type.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from feature_lineage.errors import InvalidReport
from feature_lineage.untrusted import parse_bytes, parse_json

JsonObject = Mapping[str, Any]

VIEW_KINDS: Final = (
    "feature_view",
    "stream_feature_view",
    "on_demand_feature_view",
    "label_view",
)
KINDS: Final = (
    "entity",
    "data_source",
    *VIEW_KINDS,
    "feature_service",
    "permission",
    "saved_dataset",
    "validation_reference",
)
MAX_BYTES: Final = 32 * 1024 * 1024
_TEXT: Final = rb'"(?:[^"\\]|\\.)*+"'
_CLOSURES: Final = re.compile(rb'\{"closures":(\{(?:%b:%b,?)*+\}),' % (_TEXT, _TEXT))


def canonical_json(value: object) -> str:
    """The canonical text of a JSON value: sorted keys, no blanks, non-ASCII unescaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: object) -> str:
    """Hex sha256 of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class RegistrySnapshot:
    """All definitions of one Feast project.

    Attributes:
        project: the Feast project.
        objects: kind (one of `KINDS`) → name → canonical spec, in Feast's protobuf field names.
        closures: view → hex sha256 of the repo code that its user-defined function reaches
            (helpers, constants, modules). The registry does not store it, so it is known only for
            a snapshot taken with the repo; a missing view means unknown.
    """

    project: str
    objects: Mapping[str, Mapping[str, JsonObject]]
    closures: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def objects_digest(self) -> str:
        """Hex sha256 of project and objects, which is all that a registry stores."""
        return digest_of({"project": self.project, "objects": self.objects})

    @cached_property
    def digest(self) -> str:
        """Identity of the snapshot: of the registry's objects and the code of its functions.

        Equal to `objects_digest` where no code is known. The same registry with other code is
        another snapshot: a model trained before a helper changed is compared with the old code.
        """
        if not self.closures:
            return self.objects_digest
        return digest_of({"objects": self.objects_digest, "closures": self.closures})

    def knowing(self, other: "RegistrySnapshot") -> "RegistrySnapshot":
        """This snapshot with the closures of `other` for views that are equal in both.

        A registry read without its repo has no closures; unchanged views keep the known ones.
        """
        closures = {
            name: other.closures[name]
            for _, name, _ in self.views()
            if name in other.closures and other.view(name) == self.view(name)
        }
        closures.update(self.closures)
        return self if closures == self.closures else replace(self, closures=closures)

    @cached_property
    def derived(self) -> dict[Any, Any]:
        """Cache of values computed from this snapshot, which never changes."""
        return {}

    @cached_property
    def memory(self) -> int:
        """Upper bound of the memory that the objects take, in bytes."""
        return parse_bytes(self.to_json().encode())

    def views(self) -> Iterator[tuple[str, str, JsonObject]]:
        """Every feature view as (kind, name, spec)."""
        for kind in VIEW_KINDS:
            for name, spec in self.objects.get(kind, {}).items():
                yield kind, name, spec

    def view(self, name: str) -> tuple[str, JsonObject] | None:
        """(kind, spec) of the view of that name, or None. View names are unique across kinds."""
        for kind in VIEW_KINDS:
            spec = self.objects.get(kind, {}).get(name)
            if spec is not None:
                return kind, spec
        return None

    def to_json(self) -> str:
        """Canonical JSON, in which a snapshot is stored, sent and recorded."""
        return canonical_json(
            {"project": self.project, "objects": self.objects, "closures": self.closures}
        )

    @classmethod
    def from_json(cls, text: bytes, digest: str) -> "RegistrySnapshot":
        """Parse what `to_json` wrote, if it has this digest; the input is untrusted.

        The digest is computed from the text, before anything of the text is parsed: who may change
        a ConfigMap or a run cannot make the operator parse anything but a snapshot that it wrote.

        Raises:
            InvalidReport: the text has another digest, would take too much memory to parse, or is
                not a snapshot.
        """
        if (found := _digest_of_text(text)) != digest:
            raise InvalidReport(f"registry snapshot has digest {found}, not {digest}")
        try:
            return cls.from_value(parse_json(text))
        except (ValueError, TypeError) as error:
            raise InvalidReport(f"registry snapshot does not parse: {error}") from error

    @classmethod
    def from_value(cls, value: Any) -> "RegistrySnapshot":
        """Check the shape of a decoded snapshot.

        Raises:
            ValueError: the value is of another shape.
        """
        if not isinstance(value, dict) or not isinstance(value.get("project"), str):
            raise ValueError("a snapshot is an object with a project")
        objects, closures = value.get("objects"), value.get("closures", {})
        if not isinstance(objects, dict) or not set(objects) <= set(KINDS):
            raise ValueError("objects must map known kinds to objects")
        for kind, named in objects.items():
            if not isinstance(named, dict) or not all(isinstance(s, dict) for s in named.values()):
                raise ValueError(f"objects.{kind} must map names to specs")
        if not isinstance(closures, dict) or not all(isinstance(v, str) for v in closures.values()):
            raise ValueError("closures must map views to digests")
        return cls(value["project"], objects, closures)


def _digest_of_text(text: bytes) -> str:
    """`RegistrySnapshot.digest` of what `to_json` wrote; another value for any other text.

    The text begins with the closures. What follows is the text of `objects_digest`.
    """
    found = _CLOSURES.match(text)
    if found is None:
        return hashlib.sha256(text).hexdigest()
    objects = hashlib.sha256(b"{")
    objects.update(memoryview(text)[found.end() :])
    if found[1] == b"{}":
        return objects.hexdigest()
    both = b'{"closures":%b,"objects":"%b"}' % (found[1], objects.hexdigest().encode())
    return hashlib.sha256(both).hexdigest()
