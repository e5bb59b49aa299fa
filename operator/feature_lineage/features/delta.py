"""The objects that differ between two registry snapshots."""

from dataclasses import dataclass

from feature_lineage.features.snapshot import KINDS, JsonObject, RegistrySnapshot


@dataclass(frozen=True, slots=True)
class ObjectDelta:
    """An object that differs between two snapshots.

    Attributes:
        kind: section of the snapshot.
        name: the object.
        was: its canonical spec, None if it is created.
        now: its canonical spec, None if it is deleted.
    """

    kind: str
    name: str
    was: JsonObject | None
    now: JsonObject | None


def delta(was: RegistrySnapshot, now: RegistrySnapshot) -> tuple[ObjectDelta, ...]:
    """Objects that differ, sorted by kind and name; empty exactly when the objects are equal."""
    found = []
    for kind in sorted(KINDS):
        before, after = was.objects.get(kind, {}), now.objects.get(kind, {})
        found += [
            ObjectDelta(kind, name, before.get(name), after.get(name))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
    return tuple(found)
