"""Operation ids: fit to name a Job, and another one for every other operation."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.operations.identity import (
    MAX_ID_LENGTH,
    apply_inputs_digest,
    inputs_digest,
    operation_id,
)
from feature_lineage.operations.protocol import OperationKind, Override

INPUTS: dict[str, Any] = {
    "revision": "a" * 40,
    "feature_store_yaml": "project: driver_ranking",
    "protection": {"mode": "Enforce", "blockOn": ["Broken"]},
    "runtime": {"image": "runner:1", "env": [{"name": "A", "value": "1"}]},
    "overrides": {},
    "mode": "Auto",
    "prune": True,
}


@given(st.sampled_from(OperationKind), st.text(), st.integers(0, 10**12 - 1), st.text())
def test_an_id_is_a_dns_label_that_leaves_room_for_a_pods_suffix(
    kind: OperationKind, uid: str, sequence: int, digest: str
) -> None:
    found = operation_id(kind, uid, sequence, digest)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= MAX_ID_LENGTH == 52


def test_an_id_is_the_same_after_a_restart() -> None:
    assert operation_id(OperationKind.APPLY, "uid", 3, "d") == operation_id(
        OperationKind.APPLY, "uid", 3, "d"
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((OperationKind.PLAN, "uid", 3, "digest"), id="of another kind"),
        pytest.param((OperationKind.APPLY, "uid2", 3, "digest"), id="of another project"),
        pytest.param((OperationKind.APPLY, "uid", 4, "digest"), id="later, as in a revert A→B→A"),
        pytest.param((OperationKind.APPLY, "uid", 3, "digest2"), id="with other inputs"),
    ],
)
def test_another_operation_has_another_id(other: tuple[OperationKind, str, int, str]) -> None:
    assert operation_id(*other) != operation_id(OperationKind.APPLY, "uid", 3, "digest")


@pytest.mark.parametrize("sequence", [-1, 10**12])
def test_a_sequence_that_is_no_counter_is_refused(sequence: int) -> None:
    with pytest.raises(ValueError, match="sequence"):
        operation_id(OperationKind.APPLY, "uid", sequence, "digest")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": "b" * 40}, id="another commit"),
        pytest.param({"feature_store_yaml": None}, id="the repo's own feature_store.yaml"),
        pytest.param({"feature_store_yaml": "project: x"}, id="another feature_store.yaml"),
        pytest.param({"protection": {"mode": "Warn"}}, id="another protection policy"),
        pytest.param({"runtime": {"image": "runner:2"}}, id="another runtime"),
        pytest.param(
            {"overrides": {"allow-breaking": Override(plan_digest="a" * 12, why="planned")}},
            id="a permission",
        ),
        pytest.param({"mode": "PlanOnly"}, id="another mode"),
        pytest.param({"prune": False}, id="pruning switched off"),
    ],
)
def test_an_apply_depends_on(change: dict[str, Any]) -> None:
    assert apply_inputs_digest(**INPUTS) != apply_inputs_digest(**{**INPUTS, **change})


def test_the_order_of_keys_is_no_input() -> None:
    runtime = dict(reversed(INPUTS["runtime"].items()))

    assert apply_inputs_digest(**INPUTS) == apply_inputs_digest(**{**INPUTS, "runtime": runtime})


def test_no_text_of_feature_store_yaml_shows_in_the_digest() -> None:
    assert re.fullmatch("[0-9a-f]{64}", apply_inputs_digest(**INPUTS))


def test_inputs_of_other_kinds_are_told_apart_by_kind() -> None:
    assert inputs_digest(OperationKind.OBSERVE, "x") != inputs_digest(OperationKind.DELETE, "x")
