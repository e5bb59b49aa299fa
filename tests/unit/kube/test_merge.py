"""RFC 7386 merge patches."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.kube.merge import merge_diff

KEYS = st.sampled_from(["a", "b", "c", "価格", ""])
SCALARS = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from(["", "x"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def applied(target: Any, patch: Any) -> Any:
    """MergePatch of RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


def exact(value: Any) -> Any:
    """A value that is equal to another one only if JSON says so: True is not 1."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return type(value), value


@given(OBJECTS, OBJECTS)
def test_the_patch_turns_one_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    kept = copy.deepcopy((before, after))

    assert exact(applied(before, merge_diff(before, after))) == exact(after)
    assert (before, after) == kept


@given(OBJECTS, OBJECTS)
def test_it_is_empty_only_between_equals(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert (merge_diff(before, after) == {}) == (exact(before) == exact(after))


@given(OBJECTS, OBJECTS)
def test_it_names_nothing_that_stays(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = merge_diff(before, after)

    for key in before.keys() & after.keys():
        assert (key in patch) == (exact(before[key]) != exact(after[key]))


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        pytest.param({"a": 1}, {}, {"a": None}, id="what is gone is null"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}, id="deep"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, {"a": [1]}, id="a list is replaced whole"),
        pytest.param({"a": 1}, {"a": True}, {"a": True}, id="true is not one"),
        pytest.param({"a": [1]}, {"a": [True]}, {"a": [True]}, id="not in a list either"),
        pytest.param({"a": 1}, {"a": {}}, {"a": {}}, id="an object in place of a number"),
        pytest.param({}, {"a": {}}, {"a": {}}, id="an empty object is something"),
        pytest.param({"a": {"b": 1}}, {"a": {}}, {"a": {"b": None}}, id="emptied"),
        pytest.param({"a": {"x": 1}}, {"a": {"x": 1}}, {}, id="nothing"),
    ],
)
def test_cases(before: dict[str, Any], after: dict[str, Any], patch: dict[str, Any]) -> None:
    found = merge_diff(before, after)

    assert exact(found) == exact(patch)
