"""Backfills: each chunk once, together exactly the range."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.schedules import Backfill
from feature_lineage.api.types import Duration
from feature_lineage.errors import InvalidManifest
from feature_lineage.operations.backfills import (
    Chunk,
    Progress,
    chunks,
    content_digest,
    materialization,
    next_chunk,
    progress,
)

START = datetime(2026, 7, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def backfill(
    *,
    name: str = "q3",
    views: tuple[str, ...] = ("driver_hourly_stats",),
    start: datetime = START,
    length: timedelta = timedelta(days=2, hours=12),
    chunk: str = "1d",
) -> Backfill:
    end = start.astimezone(UTC) + length  # an hour that a time zone skips or repeats is no length
    return Backfill(name=name, views=views, start=start, end=end, chunk=Duration(chunk))


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        pytest.param(None, (0, 24), id="begins at the start"),
        pytest.param(hours(24), (24, 48), id="goes on where it was"),
        pytest.param(hours(48), (48, 60), id="ends with the range, not with the chunk"),
        pytest.param(hours(30), (30, 48), id="comes back to the grid from the middle of a chunk"),
        pytest.param(hours(-5), (0, 24), id="never before the start"),
        pytest.param(hours(60), None, id="is over at the end"),
        pytest.param(hours(99), None, id="is over after the end"),
    ],
)
def test_next_chunk(through: datetime | None, expected: tuple[float, float] | None) -> None:
    found = next_chunk(backfill(), through, now=LATER)

    assert found == (Chunk(hours(expected[0]), hours(expected[1])) if expected else None)


def test_a_chunk_that_reaches_into_the_future_waits() -> None:
    assert next_chunk(backfill(), None, now=hours(23)) is None
    assert next_chunk(backfill(), None, now=hours(24)) == Chunk(hours(0), hours(24))


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        pytest.param(None, Progress(0, 3), id="nothing yet"),
        pytest.param(hours(24), Progress(1, 3), id="one of three"),
        pytest.param(hours(30), Progress(1, 3), id="half a chunk is none"),
        pytest.param(hours(60), Progress(3, 3), id="all"),
    ],
)
def test_progress(through: datetime | None, expected: Progress) -> None:
    found = progress(backfill(), through)

    assert expected == found
    assert found.finished is (through == hours(60))


spans = st.builds(
    backfill,
    start=st.datetimes(
        datetime(2020, 1, 1),  # noqa: DTZ001
        datetime(2030, 1, 1),  # noqa: DTZ001
        timezones=st.timezones(),
    ),
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=10)),
    chunk=st.sampled_from(["17m", "1h", "1d", "30d", "25h"]),
)


@given(spans)
def test_chunks_partition_the_range_exactly(given_: Backfill) -> None:
    found = list(chunks(given_))

    assert found[0].start == given_.start
    assert found[-1].end == given_.end
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(timedelta(0) < chunk.end - chunk.start <= given_.chunk for chunk in found)


@given(spans)
def test_progress_counts_the_chunks_one_by_one(given_: Backfill) -> None:
    found = list(chunks(given_))

    assert progress(given_, None) == Progress(0, len(found))
    for done, chunk in enumerate(found, start=1):
        assert progress(given_, chunk.end) == Progress(done, len(found))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(backfill(name="q4"), id="another name"),
        pytest.param(backfill(views=("other",)), id="other views"),
        pytest.param(backfill(views=()), id="all views"),
        pytest.param(backfill(start=hours(1)), id="another range"),
        pytest.param(backfill(length=timedelta(days=9)), id="another end"),
        pytest.param(backfill(chunk="2d"), id="other chunks"),
    ],
)
def test_other_content_is_another_backfill(other: Backfill) -> None:
    assert content_digest(other) != content_digest(backfill())


def test_the_same_content_in_other_words_is_the_same_backfill() -> None:
    assert content_digest(backfill(chunk="24h")) == content_digest(backfill(chunk="1d"))
    assert content_digest(backfill(views=("a", "b"))) == content_digest(backfill(views=("b", "a")))


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        pytest.param({"end": START}, "q3.*after its start", id="a range that ends as it starts"),
        pytest.param({"chunk": timedelta(0)}, "q3.*chunk", id="a chunk without length"),
    ],
)
def test_what_can_never_end_is_refused(broken: dict[str, object], names: str) -> None:
    unchecked = backfill().model_copy(update=broken)

    with pytest.raises(InvalidManifest, match=names):
        next_chunk(unchecked, None, now=LATER)


def test_a_chunk_materializes_the_named_views() -> None:
    request = materialization(backfill(views=("a", "b")), Chunk(hours(0), hours(24)))

    assert [(v.name, v.start, v.end) for v in request.views] == [
        ("a", hours(0), hours(24)),
        ("b", hours(0), hours(24)),
    ]
    assert request.all_views_end is None


def test_a_chunk_of_no_named_views_materializes_all() -> None:
    request = materialization(backfill(views=()), Chunk(hours(0), hours(24)))

    assert (request.views, request.all_views_start, request.all_views_end) == (
        (),
        hours(0),
        hours(24),
    )
