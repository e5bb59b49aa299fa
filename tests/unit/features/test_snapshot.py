"""The registry snapshot: a digest that does not depend on order, and a strict reader."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some

from feature_lineage.errors import InvalidReport
from feature_lineage.features.definitions import define_all
from feature_lineage.features.diff import diff
from feature_lineage.features.services import service_refs
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@given(some.snapshots())
def test_the_digest_does_not_depend_on_the_order_of_keys(snapshot: RegistrySnapshot) -> None:
    turned = RegistrySnapshot(snapshot.project, _reversed(snapshot.objects))

    assert snapshot.digest == turned.digest


texts = st.dictionaries(st.text(), st.text(), max_size=3)


@given(some.snapshots(), texts, st.none() | texts)
def test_a_snapshot_survives_being_written_and_read(
    plain: RegistrySnapshot, closures: dict[str, str], answers: dict[str, str] | None
) -> None:
    snapshot = RegistrySnapshot(plain.project, plain.objects, closures, answers)

    actual = RegistrySnapshot.from_json(snapshot.to_json().encode(), snapshot.digest)

    assert snapshot == actual
    assert snapshot.digest == actual.digest


def test_other_code_under_the_same_registry_is_another_snapshot() -> None:
    """A registry does not store the difference and stays the same; a baseline must detect it."""
    plain, real = some.real_snapshot(), some.real_snapshot()
    known = RegistrySnapshot(real.project, real.objects, {"transformed": "0" * 64})

    assert plain.objects_digest == known.objects_digest
    assert plain.digest == plain.objects_digest != known.digest


def test_a_registry_that_feast_serves_has_the_digest_it_always_had() -> None:
    real = some.real_snapshot()

    served = RegistrySnapshot(real.project, real.objects, answers={})
    refused = RegistrySnapshot(real.project, real.objects, answers={"service a": "ValueError"})

    assert served.digest == real.digest == real.objects_digest
    assert refused.objects_digest == real.objects_digest != refused.digest


def test_answers_are_kept_while_nobody_asks_again() -> None:
    real = some.real_snapshot()
    refused = RegistrySnapshot(real.project, real.objects, answers={"service a": "ValueError"})
    served = RegistrySnapshot(real.project, real.objects, answers={})
    changed = RegistrySnapshot(real.project, {**real.objects, "entity": {}})

    assert real.knowing(refused).answers == {"service a": "ValueError"}
    assert served.knowing(refused).answers == {}
    assert changed.knowing(refused).answers is None


def test_a_registry_without_repo_keeps_code_of_unchanged_views() -> None:
    read = some.real_snapshot()
    name = next(name for _, name, _ in read.views())
    known = RegistrySnapshot(read.project, read.objects, {name: "0" * 64, "gone": "1" * 64})
    changed = {
        kind: {
            n: {**spec, "description": "new"} if n == name else spec for n, spec in named.items()
        }
        for kind, named in read.objects.items()
    }

    assert read.knowing(known).closures == {name: "0" * 64}
    assert RegistrySnapshot(read.project, changed).knowing(known).closures == {}


@given(some.snapshots(), st.data())
def test_a_changed_text_is_refused_before_it_is_parsed(
    snapshot: RegistrySnapshot, data: st.DataObject
) -> None:
    text = snapshot.to_json().encode()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))

    changed = text[:at] + bytes([other]) + text[at + 1 :]

    with pytest.raises(InvalidReport, match="has digest"):
        RegistrySnapshot.from_json(changed, snapshot.digest)


@pytest.mark.parametrize("text", [b"", b"[" * 200_000, b'{"closures":{},', b'{"closures":{"a'])
def test_a_text_that_is_no_snapshot_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidReport, match="has digest"):
        RegistrySnapshot.from_json(text, "0" * 64)


def test_a_snapshot_above_the_limit_of_memory_is_not_parsed() -> None:
    lists: list[list[object]] = [[]] * 400_000
    snapshot = RegistrySnapshot("p", {"entity": {"e": {"tags": lists}}})

    with pytest.raises(InvalidReport, match="MiB of memory"):
        RegistrySnapshot.from_json(snapshot.to_json().encode(), snapshot.digest)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="no object"),
        pytest.param({"project": 1, "objects": {}}, id="a project that is no name"),
        pytest.param({"project": "p"}, id="no objects"),
        pytest.param({"project": "p", "objects": {"models": {}}}, id="an unknown kind"),
        pytest.param({"project": "p", "objects": {"entity": {"a": 1}}}, id="a spec that is none"),
        pytest.param({"project": "p", "objects": {}, "closures": {"v": 1}}, id="a bad closure"),
        pytest.param({"project": "p", "objects": {}, "answers": {"v": 1}}, id="a bad answer"),
    ],
)
def test_a_value_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"must map|is an object"):
        RegistrySnapshot.from_value(value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["features", "sources", "entities", "name", "ttl"]), _json))
def test_a_spec_of_any_shape_is_read_without_an_error(spec: dict[str, Any]) -> None:
    """The reader checks objects but not their content; reading the content must not fail."""
    objects = {
        "on_demand_feature_view": {"v": spec},
        "feature_view": {"w": spec},
        "feature_service": {"s": spec},
        "entity": {"e": spec},
    }
    snapshot = RegistrySnapshot.from_value({"project": "p", "objects": objects})

    define_all(snapshot, [*some.all_refs(snapshot), *(service_refs(snapshot, "s") or ())], "s")
    for service in ("", "s"):
        signature_of(snapshot, service, some.all_refs(snapshot))
    diff(snapshot, RegistrySnapshot("p", {"feature_view": {"w": {}}}))
    assert diff(snapshot, snapshot) == ()
