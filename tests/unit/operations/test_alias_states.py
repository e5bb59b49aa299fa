"""What the records of aliases say together, if more than one process has written them."""

from datetime import UTC, datetime

import pytest

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.alias_history import Aliases, AliasMove, AliasRecord, state_of

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def moved(record: str, previous: str, before: str, after: str) -> AliasRecord:
    move = AliasMove("m", "champion", before, after)
    return AliasRecord(record, previous, AT, record, (move,), None)


def whole(record: str, previous: str, version: str) -> AliasRecord:
    aliases: Aliases = {"m": {"champion": version}}
    return AliasRecord(record, previous, AT, record, (), aliases)


FIRST = whole("first", "", "1")
OLD = moved("old", "first", "1", "2")


def version_of(*records: AliasRecord) -> str:
    state = state_of(records)
    assert state is not None
    return state.aliases["m"]["champion"]


def test_one_record_of_a_second_writer_does_not_count() -> None:
    assert version_of(FIRST, OLD, moved("other", "first", "1", "3")) == "2"


def test_a_second_writer_that_goes_on_is_a_gap() -> None:
    """Which of the two is right is not known."""
    others = moved("other", "first", "1", "3"), moved("next", "other", "3", "4")
    with pytest.raises(InvalidReport, match="follows the record other of"):
        state_of([FIRST, OLD, *others])


def test_the_whole_record_of_a_new_process_wins() -> None:
    new = whole("new", "first", "3"), moved("next", "new", "3", "4")
    assert version_of(FIRST, OLD, *new) == "4"
    assert version_of(new[0], OLD, new[1]) == "4"
