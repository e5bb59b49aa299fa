"""Runs of the history, which other users of an MLflow server may have written."""

from contextlib import suppress
from typing import Any, Final

from hypothesis import strategies as st
from tests.fuzz.harness import Target
from tests.fuzz.mutations import json_texts
from tests.unit.decide.build import NOW

from feature_lineage.cli.history_output import entry_json, entry_rows
from feature_lineage.errors import InvalidReport
from feature_lineage.operations.alias_history import (
    ALIASES_TAG,
    MOVES_TAG,
    PREVIOUS_TAG,
    WHOLE_TAG,
    AliasFold,
    read_record,
)
from feature_lineage.operations.past_operations import (
    VIEWS_OMITTED_TAG,
    VIEWS_TAG,
    read_operation,
)
from feature_lineage.operations.records import OPERATION_ID_TAG

MOVES: Final = [["m", "champion", "1", "2", ""], ["m", "shadow", "3", "", "VersionGone"]]
STATE: Final = {"m": {"champion": "1", "shadow": "3"}}
VIEWS: Final[list[Any]] = [
    {
        "name": "stats",
        "result": "Failed",
        "rows": 5,
        "newest_event": "2026-11-30T12:00:00+00:00",
        "seconds": 1.5,
        "nulls": {"trips": 2},
        "error": "no file",
    }
]


def _pieces(key: str, document: Any) -> st.SearchStrategy[dict[str, str]]:
    texts = json_texts([document]).map(lambda text: text.decode(errors="replace"))
    return st.lists(texts, max_size=2).map(
        lambda found: {f"{key}-{n:04}": text for n, text in enumerate(found)}
    )


def read_history(given: tuple[dict[str, str], ...]) -> None:
    """Read each run as a record and as an operation, show it, and put the records together."""
    moves, aliases, views, others = given
    tags = {**others, **moves, **aliases, **views}
    with suppress(InvalidReport):
        operation = read_operation("run", NOW, NOW, tags)
        entry_json(operation), list(entry_rows(operation))
    record = read_record("run", NOW, tags)
    entry_json(record), list(entry_rows(record))
    if record.aliases is not None:
        state = AliasFold(record).state
        assert state is not None
        assert state.aliases == record.aliases


TARGET: Final = Target(
    "history",
    st.tuples(
        _pieces(MOVES_TAG, MOVES),
        _pieces(ALIASES_TAG, STATE),
        _pieces(VIEWS_TAG, VIEWS),
        st.fixed_dictionaries(
            {OPERATION_ID_TAG: st.text(max_size=9)},
            optional={
                WHOLE_TAG: st.sampled_from(("true", "false", "")),
                PREVIOUS_TAG: st.text(max_size=9),
                VIEWS_OMITTED_TAG: st.sampled_from(("3", "-1", "9" * 5000, "many")),
            },
        ),
    ),
    read_history,
    (InvalidReport,),
)
