"""Keys that materializations wrote, and what follows from the answers of a probe."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.feature_server import ServerAnswer
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer, ProbeCause
from feature_lineage.operations.probe_record import MAX_RECORD_BYTES, ProbeRecord
from feature_lineage.operations.probe_request import MAX_QUESTIONS
from feature_lineage.operations.sampled_keys import SampledKey, SampledKeys
from feature_lineage.reasons import Reason

OFFLINE = ProbeCause.UNAVAILABLE
URL = "http://features.ml.svc:6566"
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def sampled(*values: int, columns: tuple[str, ...] = ("driver_id",)) -> SampledKeys:
    keys = tuple(SampledKey(values=(value,), at=AT) for value in values)
    return SampledKeys(columns=columns, keys=keys)


def answer(question: str = "service ranking", **fields: Any) -> ProbeAnswer:
    return ProbeAnswer(question=question, **{"keys": 100, "known": 100, **fields})


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
        ({"keys": 4, "missing": 3}, Reason.SUCCEEDED),
        ({"keys": 4, "missing": 4}, Reason.NOT_SERVED),
        ({"keys": 4, "nulls": 4}, Reason.SUCCEEDED),
        ({"keys": 9, "missing": 1}, Reason.SUCCEEDED),
        ({"keys": 9, "missing": 2}, Reason.NOT_SERVED),
        ({"keys": 0}, Reason.SUCCEEDED),
    ],
)
def test_what_follows_from_the_values(counts: dict[str, Any], finding: Reason) -> None:
    assert answer(features=(feature(**counts),)).finding is finding


@pytest.mark.parametrize(
    ("cause", "finding"),
    [
        (ProbeCause.SERVING, Reason.SERVING_FAILS),
        (ProbeCause.UNAVAILABLE, Reason.PROBE_UNAVAILABLE),
        (ProbeCause.VALUES, Reason.NOT_PROBED),
    ],
)
def test_what_follows_from_an_error(cause: ProbeCause, finding: Reason) -> None:
    assert answer(cause=cause, error="no").finding is finding


def test_without_a_known_key_nothing_is_said() -> None:
    assert answer(known=0, features=(feature(keys=0),)).finding is Reason.NOT_PROBED


def test_the_column_that_decides_is_named() -> None:
    worst = feature(column="stats__rate", missing=20)
    found = answer(features=(feature(nulls=90), worst))

    assert (found.finding, found.worst) == (Reason.NOT_SERVED, worst)


def test_a_bad_answer_is_confirmed_by_a_second_one() -> None:
    bad, good = answer(features=(feature(missing=50),)), answer(features=(feature(),))
    failing, offline = (answer(cause=cause) for cause in (ProbeCause.SERVING, OFFLINE))
    record = ProbeRecord()
    confirmed = []
    for each in (bad, bad, good, bad, failing, good, offline):
        record = record.with_answers((each,), AT, ())
        confirmed.append(record.answers["service ranking"].confirmed)

    assert confirmed == [False, True, True, False, True, True, False]
    assert record.unconfirmed


def written(*each: SampledKeys) -> ProbeRecord:
    """The record after materializations of the view stats."""
    record = ProbeRecord()
    for keys in each:
        before = record.digest
        record = record.with_keys({"stats": keys}, ("stats",))
        assert record.digest != before
    return record


def test_a_few_new_keys_do_not_replace_the_sample() -> None:
    record = written(sampled(1, 2, 3), sampled(9))

    assert [key.values for key in record.keys["stats"].keys] == [(9,), (1,), (2,)]


def test_a_backfill_of_old_rows_replaces_no_key() -> None:
    old = SampledKeys(
        columns=("driver_id",),
        keys=tuple(
            SampledKey(values=(n,), at=AT - timedelta(days=365), nulls=("trips",)) for n in (2, 9)
        ),
    )
    live = sampled(1, 2)

    assert set(written(live, old).keys["stats"].keys) == set(live.keys)


def test_a_record_always_fits_into_a_config_map() -> None:
    nulls = tuple(f"feature_{n}" for n in range(60))
    keys = tuple(SampledKey(values=(f"{n:0200}",), at=AT, nulls=nulls) for n in range(999))
    many = {f"view_{n}": SampledKeys(columns=("id",), keys=keys) for n in range(9)}
    record = ProbeRecord().with_keys(many, many)

    assert 0 < len(record.text.encode()) <= MAX_RECORD_BYTES
    assert all(each.keys for each in record.keys.values())
    assert ProbeRecord.parse(record.text.encode(), record.digest) == record


def test_keys_of_other_columns_are_dropped() -> None:
    moved = sampled(7, columns=("courier_id",))

    assert written(sampled(1, 2), moved).keys["stats"] == moved


def test_keys_of_a_view_that_is_gone_are_dropped() -> None:
    both = {"stats": sampled(1), "old": sampled(2)}
    record = ProbeRecord().with_keys(both, both)

    assert set(record.with_answers((), AT, ("stats",)).keys) == {"stats"}


def test_a_record_is_read_as_it_was_written() -> None:
    first = written(sampled(1, 2))
    record = first.with_answers((answer(),), AT + timedelta(microseconds=7), ("stats",))

    assert ProbeRecord.parse(record.text.encode(), record.digest) == record
    assert ProbeRecord.parse(record.text.encode(), record.digest).digest == record.digest
    with pytest.raises(InvalidReport):
        ProbeRecord.parse(record.text.replace("ranking", "other").encode(), record.digest)


def many(questions: int, columns: int = 20, name: str = "service {}", **more: Any) -> Any:
    """Answers of as many questions, each with a column of which most keys are missing."""
    good = tuple(feature(column=f"stats__column_{n}", nulls=9) for n in range(columns - 1))
    gone = feature(column="stats__gone", missing=50)
    listed = (*good, gone) if more.pop("last", True) else (gone, *good)
    return tuple(answer(name.format(n), features=listed, **more) for n in range(questions))


@pytest.mark.parametrize("columns", [3, 20])
@pytest.mark.parametrize("last", [True, False])
def test_a_record_of_many_questions_keeps_all_answers(columns: int, last: bool) -> None:
    server = ServerAnswer(url=URL, version="0.67.0 " * 20, lacks="x, " * 150, adds="y, " * 150)
    asked = many(MAX_QUESTIONS, columns, last=last, server=server)
    keys = {f"view_{n}": sampled(*range(100)) for n in range(300)}
    before = ProbeRecord().with_keys(keys, keys)

    record = before.with_answers(asked, AT, keys, server=URL)

    assert len(record.text.encode()) <= MAX_RECORD_BYTES
    assert record.answers.keys() == {each.question for each in asked}
    assert {each.answer.finding for each in record.answers.values()} == {Reason.NOT_SERVED}
    assert all(each.keys for each in record.keys.values())
    assert (record.keys.keys(), record.server) == (keys.keys(), URL)
    assert ProbeRecord.parse(record.text.encode(), record.digest) == record


def test_answers_that_never_fit_are_not_asked_again() -> None:
    asked = many(MAX_QUESTIONS, 1, "service " + "long" * 200 + "{}")
    unread = {f"{n:0900}": "no" for n in range(900)}

    record = ProbeRecord(unread=unread).with_answers(asked, AT, unread)

    assert len(record.text.encode()) <= MAX_RECORD_BYTES
    assert record.answers
    assert record.answered({each.question for each in asked})
    assert not record.answered({"service another"})


def test_a_record_of_an_older_operator_is_read() -> None:
    """It has all fields, and the address of the server in each answer."""
    server = ServerAnswer(url=URL, compared=9)
    record = written(sampled(1)).with_answers((answer(server=server),), AT, ("stats",), server=URL)
    value = record.model_dump(mode="json", exclude={"asked"})
    text = canonical_json(value)

    found = ProbeRecord.parse(text.encode(), digest_of(text))

    assert found == record.changed(asked="")
    assert found.answered({"service ranking"})
