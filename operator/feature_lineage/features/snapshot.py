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

ON_DEMAND: Final = "on_demand_feature_view"
VIEW_KINDS: Final = (
    "feature_view",
    "stream_feature_view",
    ON_DEMAND,
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
_TEXTS: Final = rb"\{(?:%b:%b,?)*+\}" % (_TEXT, _TEXT)
_HEAD: Final = re.compile(rb'\{(?:"answers":(%b),)?"closures":(%b),' % (_TEXTS, _TEXTS))


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
        answers: what Feast does not serve, by `signatures.question_key`, in its words; None if
            Feast was not asked.
    """

    project: str
    objects: Mapping[str, Mapping[str, JsonObject]]
    closures: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] | None = None

    @cached_property
    def objects_digest(self) -> str:
        """Hex sha256 of project and objects, which is all that a registry stores."""
        return digest_of({"project": self.project, "objects": self.objects})

    @cached_property
    def digest(self) -> str:
        """Identity of the snapshot: its objects, the code of its functions, what is not served.

        Equal to `objects_digest` where no code is known and nothing fails. The same registry with
        other code is another snapshot: a model trained before a helper changed is compared with
        the old code.
        """
        parts = {"answers": self.answers, "closures": self.closures}
        known = {name: part for name, part in parts.items() if part}
        return (
            digest_of({"objects": self.objects_digest, **known}) if known else self.objects_digest
        )

    def knowing(self, other: "RegistrySnapshot") -> "RegistrySnapshot":
        """This snapshot with what `other` knows: the code of equal views, answers if all is equal.

        A registry read without its repo has no closures; not each job asks Feast.
        """
        closures = {
            name: other.closures[name]
            for _, name, _ in self.views()
            if name in other.closures and other.view(name) == self.view(name)
        }
        closures.update(self.closures)
        answers = self.answers
        if answers is None and self.objects_digest == other.objects_digest:
            answers = other.answers
        if (closures, answers) == (self.closures, self.answers):
            return self
        return replace(self, closures=closures, answers=answers)

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

    @property
    def has_views(self) -> bool:
        return any(self.objects.get(kind) for kind in VIEW_KINDS)

    def view(self, name: str) -> tuple[str, JsonObject] | None:
        """(kind, spec) of the view of that name, or None. View names are unique across kinds."""
        for kind in VIEW_KINDS:
            spec = self.objects.get(kind, {}).get(name)
            if spec is not None:
                return kind, spec
        return None

    def to_json(self) -> str:
        """Canonical JSON, in which a snapshot is stored, sent and recorded."""
        return canonical_json(self.as_value())

    def as_value(self) -> dict[str, Any]:
        """The snapshot as a JSON value, which `from_value` reads."""
        value = {"project": self.project, "objects": self.objects, "closures": self.closures}
        return value if self.answers is None else {**value, "answers": self.answers}

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
        answers = value.get("answers")
        for name, texts in (("closures", closures), ("answers", answers or {})):
            if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
                raise ValueError(f"{name} must map names to texts")
        return cls(value["project"], objects, closures, answers)


def _digest_of_text(text: bytes) -> str:
    """`RegistrySnapshot.digest` of what `to_json` wrote; another value for any other text.

    The text begins with the answers and closures. What follows is the text of `objects_digest`.
    """
    found = _HEAD.match(text)
    if found is None:
        return hashlib.sha256(text).hexdigest()
    objects = hashlib.sha256(b"{")
    objects.update(memoryview(text)[found.end() :])
    parts = [
        b'"%b":%b,' % (name, part)
        for name, part in ((b"answers", found[1]), (b"closures", found[2]))
        if part not in (None, b"{}")
    ]
    if not parts:
        return objects.hexdigest()
    both = b'{%b"objects":"%b"}' % (b"".join(parts), objects.hexdigest().encode())
    return hashlib.sha256(both).hexdigest()
