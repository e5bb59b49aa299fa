"""What the records of aliases say together, if more than one process has written them."""

from datetime import UTC, datetime

import pytest

from feature_lineage.errors import InvalidReport
from feature_lineage.operations import alias_history
from feature_lineage.operations.alias_history import (
    MAX_MOVES_TEXT,
    MOVES_TAG,
    AliasChange,
    Aliases,
    AliasFold,
    AliasMove,
    AliasRecord,
    AliasState,
    alias_run,
    read_record,
)
from feature_lineage.operations.records import OPERATION_ID_TAG, in_pieces

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def moved(record: str, previous: str, before: str, after: str) -> AliasRecord:
    move = AliasMove("m", "champion", before, after)
    return AliasRecord(record, previous, AT, record, (move,), None)


def whole(record: str, previous: str, version: str) -> AliasRecord:
    aliases: Aliases = {"m": {"champion": version}}
    return AliasRecord(record, previous, AT, record, (), aliases)


FIRST = whole("first", "", "1")
OLD = moved("old", "first", "1", "2")


def folded(*records: AliasRecord) -> AliasState:
    state = AliasFold(*records).state
    assert state is not None
    return state


def version_of(*records: AliasRecord) -> str:
    return folded(*records).aliases["m"]["champion"]


def test_one_record_of_a_second_writer_does_not_count() -> None:
    assert version_of(FIRST, OLD, moved("other", "first", "1", "3")) == "2"


def test_a_second_writer_that_goes_on_is_a_gap() -> None:
    """Which of the two is right is not known."""
    others = moved("other", "first", "1", "3"), moved("next", "other", "3", "4")
    with pytest.raises(InvalidReport, match="follows the record other of"):
        folded(FIRST, OLD, *others)


def test_the_whole_record_of_a_new_process_wins() -> None:
    new = whole("new", "first", "3"), moved("next", "new", "3", "4")
    assert version_of(FIRST, OLD, *new) == "4"
    assert version_of(new[0], OLD, new[1]) == "4"


def test_a_record_copies_no_other_aliases() -> None:
    """500 small records after one with many aliases must not take 500 times as long."""
    more = AliasRecord("b", "first", AT, "b", (AliasMove("other", "a", "", "1"),), None)
    fold = AliasFold(FIRST, more)
    assert fold.state is not None
    other = fold.state.aliases["other"]

    fold.add(moved("c", "b", "1", "2"))

    assert fold.state.aliases == {"m": {"champion": "2"}, "other": {"a": "1"}}
    assert fold.state.aliases["other"] is other


def test_more_aliases_than_are_recorded_are_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alias_history, "MAX_ALIASES", 2)
    more = AliasMove("m", "a", "", "1"), AliasMove("n", "b", "", "1")
    gone = AliasMove("m", "champion", "1", "")

    assert folded(FIRST, AliasRecord("b", "first", AT, "b", (*more, gone), None)).deltas == 1
    with pytest.raises(InvalidReport, match="after MLflow run b there are 3 aliases; at most 2"):
        folded(FIRST, AliasRecord("b", "first", AT, "b", more, None))


@pytest.mark.parametrize(("over", "is_read"), [(0, True), (1, False)])
def test_a_record_of_moves_is_as_small_as_written(*, over: int, is_read: bool) -> None:
    """A larger change is written with all aliases; records of moves only may be many."""
    blanks = " " * (MAX_MOVES_TEXT - 2 + over)
    tags = {OPERATION_ID_TAG: "r", **in_pieces(MOVES_TAG, f"[{blanks}]")}
    if is_read:
        assert read_record("r", AT, tags).moves == ()
        return
    with pytest.raises(InvalidReport, match="its moves have 8001 characters; at most 8000"):
        read_record("r", AT, tags)


def test_a_large_change_is_read_with_all_aliases() -> None:
    moves = tuple(AliasMove(f"m{n}", "a", "", "1") for n in range(1000))
    aliases = {move.model: {"a": "1"} for move in moves}
    run = alias_run(AliasChange(moves, "", AliasState("r", AT, aliases, "", 0)), "p", "n/p", "e")

    record = read_record("r", AT, {OPERATION_ID_TAG: "r", **run.tags})

    assert (record.moves, record.aliases) == (moves, aliases)
