"""Keys that materializations wrote, and what follows from the answers of a probe."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.probe import (
    FeatureAnswer,
    ProbeAnswer,
    ProbeCause,
    ProbeRecord,
    SampledKey,
    SampledKeys,
)
from feature_lineage.reasons import Reason

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def sampled(*values: int, columns: tuple[str, ...] = ("driver_id",)) -> SampledKeys:
    keys = tuple(SampledKey(values=(value,), at=AT) for value in values)
    return SampledKeys(columns=columns, keys=keys)


def answer(question: str = "service ranking", **fields: Any) -> ProbeAnswer:
    return ProbeAnswer(question=question, keys=100, **fields)


def feature(**counts: Any) -> FeatureAnswer:
    return FeatureAnswer(**{"column": "stats__trips", "keys": 100, "source_nulls": 0, **counts})


@pytest.mark.parametrize(
    ("counts", "finding"),
    [
        ({}, Reason.SUCCEEDED),
        ({"missing": 10}, Reason.SUCCEEDED),
        ({"missing": 11}, Reason.NOT_SERVED),
        ({"missing": 100}, Reason.NOT_SERVED),
        ({"nulls": 50}, Reason.SUCCEEDED),
        ({"nulls": 51}, Reason.MOSTLY_NULL),
        ({"nulls": 80, "source_nulls": 55}, Reason.SUCCEEDED),
        ({"nulls": 81, "source_nulls": 55}, Reason.MOSTLY_NULL),
        ({"nulls": 100, "source_nulls": 100}, Reason.SUCCEEDED),
        ({"nulls": 100, "source_nulls": None}, Reason.SUCCEEDED),
        ({"keys": 4, "missing": 4}, Reason.NOT_PROBED),
        ({"keys": 0}, Reason.NOT_PROBED),
    ],
)
def test_what_follows_from_the_values(counts: dict[str, Any], finding: Reason) -> None:
    assert answer(features=(feature(**counts),)).finding is finding


@pytest.mark.parametrize(
    ("cause", "finding"),
    [
        (ProbeCause.SERVING, Reason.SERVING_FAILS),
        (ProbeCause.UNAVAILABLE, Reason.PROBE_UNAVAILABLE),
    ],
)
def test_what_follows_from_an_error(cause: ProbeCause, finding: Reason) -> None:
    assert answer(cause=cause, error="no").finding is finding


def test_the_column_that_decides_is_named() -> None:
    worst = feature(column="stats__rate", missing=20)
    found = answer(features=(feature(nulls=90), worst))

    assert (found.finding, found.worst) == (Reason.NOT_SERVED, worst)


def test_a_bad_answer_is_confirmed_by_a_second_one() -> None:
    bad, good = answer(features=(feature(missing=50),)), answer(features=(feature(),))
    record = ProbeRecord()
    confirmed = []
    for each in (bad, bad, good, bad, answer(cause=ProbeCause.SERVING)):
        record = record.with_answers((each,), AT, ())
        confirmed.append(record.answers["service ranking"].confirmed)

    assert confirmed == [False, True, True, False, False]
    assert record.unconfirmed


def test_a_few_new_keys_do_not_replace_the_sample() -> None:
    record = ProbeRecord().with_keys({"stats": sampled(1, 2, 3)}).with_keys({"stats": sampled(9)})

    assert [key.values for key in record.keys["stats"].keys] == [(9,), (1,), (2,)]


def test_keys_of_other_columns_are_dropped() -> None:
    moved = sampled(7, columns=("courier_id",))
    record = ProbeRecord().with_keys({"stats": sampled(1, 2)}).with_keys({"stats": moved})

    assert record.keys["stats"] == moved


def test_keys_of_a_view_that_is_gone_are_dropped() -> None:
    record = ProbeRecord().with_keys({"stats": sampled(1), "old": sampled(2)})

    assert set(record.with_answers((), AT, ("stats",)).keys) == {"stats"}


def test_a_record_is_read_as_it_was_written() -> None:
    first = ProbeRecord().with_keys({"stats": sampled(1, 2)})
    record = first.with_answers((answer(),), AT + timedelta(microseconds=7), ("stats",))

    assert ProbeRecord.parse(record.text.encode(), record.digest) == record
    assert ProbeRecord.parse(record.text.encode(), record.digest).digest == record.digest
    with pytest.raises(InvalidReport):
        ProbeRecord.parse(record.text.replace("ranking", "other").encode(), record.digest)
