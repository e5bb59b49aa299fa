"""Each parser reads hostile input: a few examples here, ten minutes of each by `make fuzz`."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from tests.fuzz.harness import check
from tests.fuzz.mutations import LARGEST, repeated
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_costs_a_bounded_amount(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=target.examples,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def read(value: object) -> None:
        check(target, value)

    read()


def test_edits_after_each_other_make_no_input_of_gigabytes() -> None:
    value: object = "0" * 64
    for _ in range(3):
        value = repeated(value, 10_000)

    assert len(json.dumps(value)) < 2 * LARGEST
