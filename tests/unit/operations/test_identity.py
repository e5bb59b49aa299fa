"""Operation ids: valid as the name of a Job, and different for each operation."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.enums import OperationKind
from feature_lineage.operations.identity import (
    MAX_ID_LENGTH,
    operation_id,
)


@given(st.sampled_from(OperationKind), st.text(), st.integers(0, 10**12 - 1), st.text())
def test_id_is_a_dns_label_with_room_for_a_pod_suffix(
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
