"""A run that is too large is named by the first bytes of the answer, or the listing fails."""

from typing import Any

import pytest

from feature_lineage.tracking.mlflow_errors import AnswerTooLarge
from feature_lineage.tracking.oversized_runs import OversizedRun, runs_of

HEAD = b'{"runs": [{"info": {"run_id": "r1", "start_time": 1700000000000, "end_time": 5}, "data"'


def told(head: bytes) -> Any:
    """The runs of a server with one run, which is too large and begins with these bytes."""

    async def search(filter_string: str, size: int, token: str) -> tuple[list[Any], str]:
        if "r1" in filter_string:
            return [], ""
        raise AnswerTooLarge("too large", head)

    return runs_of(search, "", 1)


@pytest.mark.parametrize("start", [b"1700000000000", b'"1700000000000"'])
async def test_a_large_run_has_its_id_and_start(start: bytes) -> None:
    runs = [run async for run in told(HEAD.replace(b"1700000000000", start))]

    assert runs == [OversizedRun("r1", 1_700_000_000_000)]


@pytest.mark.parametrize("end", ["r1", "start_time", "17000", ", "])
async def test_a_head_without_id_or_start_ends_the_listing(end: str) -> None:
    """A run with a wrong start would be told again and again to who follows the cursor."""
    with pytest.raises(AnswerTooLarge) as raised:
        [run async for run in told(HEAD[: HEAD.index(end.encode()) + len(end)])]

    assert ("run r1: delete this run" in raised.value.message) == (end != "r1")
