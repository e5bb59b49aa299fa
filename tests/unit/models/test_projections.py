"""Recorded lists cost a step for each item, whoever wrote them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests import strategies as some

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models import projections, recorded
from feature_lineage.models.facts import TrainingRun
from feature_lineage.models.projections import Projections
from feature_lineage.models.recorded import MAX_ITEMS, FeatureRecord

NO_REGISTRY = Projections((), ())


class _Piece(str):
    """A part of a list that counts the characters that are copied when it grows."""

    __slots__ = ()
    copied = 0

    def __add__(self, more: str) -> "_Piece":
        _Piece.copied += len(self) + len(more)
        return _Piece(str(self) + more)


class _Text(str):
    """The text of a list that counts the parts that are read."""

    __slots__ = ()
    parts = 0

    def split(self, *args: object) -> Iterator[str]:  # type: ignore[override]
        del args
        for part in str(self).split(","):
            _Text.parts += 1
            yield _Piece(part)


def _run(refs: tuple[str, ...]) -> TrainingRun:
    return replace(some.training_run([]), features_artifact=refs)


def record(text: str, count: int) -> FeatureRecord:
    return FeatureRecord(Origin.ARTIFACT, tuple(text.split(",")), count, False, _Text(text))


def test_commas_in_a_name_are_joined_once() -> None:
    _Piece.copied = 0

    assert not NO_REGISTRY.precise(record("view:feature" + ",x" * 1000, 1))
    assert _Piece.copied == 0


def test_a_list_with_more_items_than_recorded_is_left_early() -> None:
    _Text.parts = 0

    assert not NO_REGISTRY.precise(record(",".join(["view:feature"] * 1000), 3))
    assert _Text.parts == 4


def test_a_longer_list_than_any_is_not_whole() -> None:
    refs = tuple(f"view:f{number}" for number in range(MAX_ITEMS + 1))
    longer = recorded.artifact_record(_run(refs), len(refs))
    longest = recorded.artifact_record(_run(refs[:-1]), len(refs) - 1)

    assert longer is not None
    assert (len(longer.items), longer.cut, longer.precise) == (MAX_ITEMS, True, False)
    assert longest is not None
    assert longest.precise


def test_each_view_is_read_once_for_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"f{number}" for number in range(20))
    views = {
        f"v{name}": {"name": f"v{name}", "features": [some.field(name, "FLOAT")]} for name in names
    }
    registry = RegistrySnapshot("p", {"feature_view": views})
    refs = ",".join(f"v{name}:{name}" for name in names)
    read: list[object] = []
    types = projections.field_types

    def counted(value: object) -> dict[str, str]:
        read.append(value)
        return types(value)

    monkeypatch.setattr(projections, "field_types", counted)

    assert Projections((registry,), ()).read_by(names, record(refs, len(names)))
    assert len(read) == len(views)
