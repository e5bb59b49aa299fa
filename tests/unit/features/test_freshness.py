"""Freshness: a view becomes stale by time alone, but never because of old facts."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH as NOW
from tests.unit.operations.build import registry, view

from feature_lineage.features.freshness import (
    ViewState,
    is_served,
    judge_model,
    judge_view,
    served_views,
    with_sources,
)
from feature_lineage.features.refs import FeatureRef
from feature_lineage.reasons import Reason

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
FRESH, STALE = Reason.SUCCEEDED, Reason.STALE
NEVER, SELDOM = Reason.NEVER_MATERIALIZED, Reason.OBSERVED_TOO_SELDOM
NO_OBJECTIVE = Reason.NO_OBJECTIVE
AHEAD = Reason.WATERMARK_IN_FUTURE
ELSEWHERE = Reason.NOT_IN_ONLINE_STORE
REAL = some.real_snapshot()


def _state(
    age: timedelta | None, max_age: timedelta | None = HOUR, name: str = "driver_hourly_stats"
) -> ViewState:
    until = None if age is None else NOW - age
    return ViewState(name, "feature_view", until, max_age=max_age)


@pytest.mark.parametrize(
    ("age", "max_age", "fact_age", "expected"),
    [
        pytest.param(MINUTE, HOUR, MINUTE, (True, FRESH), id="within its objective"),
        pytest.param(HOUR, HOUR, MINUTE, (False, STALE), id="exactly at its objective"),
        pytest.param(2 * HOUR, HOUR, MINUTE, (False, STALE), id="over its objective"),
        pytest.param(-HOUR, HOUR, MINUTE, (False, AHEAD), id="materialized into the future"),
        pytest.param(-MINUTE, HOUR, MINUTE, (True, FRESH), id="by a clock that is ahead"),
        pytest.param(None, HOUR, MINUTE, (False, NEVER), id="never materialized"),
        pytest.param(2 * HOUR, None, MINUTE, (None, NO_OBJECTIVE), id="no objective"),
        pytest.param(None, None, MINUTE, (None, NO_OBJECTIVE), id="never, and no objective"),
        pytest.param(2 * HOUR, HOUR, 31 * MINUTE, (None, SELDOM), id="over it by old facts"),
        pytest.param(2 * HOUR, HOUR, 30 * MINUTE, (False, STALE), id="facts of just half"),
        pytest.param(None, HOUR, 31 * MINUTE, (None, SELDOM), id="never, by old facts"),
        pytest.param(45 * MINUTE, HOUR, 40 * MINUTE, (True, FRESH), id="fresh even by old facts"),
    ],
)
def test_a_view_is_judged(
    age: timedelta | None,
    max_age: timedelta | None,
    fact_age: timedelta,
    expected: tuple[bool | None, Reason],
) -> None:
    actual = judge_view(_state(age, max_age), NOW, observed_at=NOW - fact_age)

    assert expected == (actual.fresh, actual.reason)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_without_news_a_view_never_becomes_fresh_again(
    max_age: int, first: int, later: int
) -> None:
    state = _state(HOUR, timedelta(seconds=max_age))
    early = judge_view(state, NOW + timedelta(seconds=first)).fresh
    late = judge_view(state, NOW + timedelta(seconds=first + later)).fresh

    assert early or not late


def _refs(*texts: str) -> list[FeatureRef]:
    return [FeatureRef.parse(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("driver_hourly_stats:conv_rate", ("driver_hourly_stats",), id="a plain view"),
        pytest.param(
            "transformed:conv_plus", ("driver_hourly_stats",), id="on demand: its sources"
        ),
        pytest.param("mixed:mix", ("driver_hourly_stats",), id="a source view that is not online"),
        pytest.param("driver_customer:clicks", (), id="a view that is not online"),
        pytest.param("gone:x", (), id="a view that is gone"),
    ],
)
def test_features_are_served_from_views_that_are_online(
    text: str, expected: tuple[str, ...]
) -> None:
    assert expected == served_views(REAL, _refs(text))


BOTH = _refs("transformed:conv_plus", "driver_stream:trips", "driver_customer:clicks")


@pytest.mark.parametrize(
    ("stats", "stream", "expected"),
    [
        pytest.param(
            (MINUTE, HOUR), (2 * MINUTE, HOUR), (True, FRESH, "driver_stream"), id="both fresh"
        ),
        pytest.param(
            (3 * HOUR, None),
            (2 * HOUR, HOUR),
            (False, STALE, "driver_stream"),
            id="the oldest has no objective",
        ),
        pytest.param(
            (None, HOUR), (2 * HOUR, HOUR), (False, NEVER, "driver_hourly_stats"), id="one never"
        ),
        pytest.param(
            (MINUTE, None),
            (2 * HOUR, None),
            (None, NO_OBJECTIVE, "driver_stream"),
            id="no objectives",
        ),
    ],
)
def test_a_model_is_as_fresh_as_its_least_fresh_view(
    stats: tuple[timedelta | None, timedelta | None],
    stream: tuple[timedelta | None, timedelta | None],
    expected: tuple[bool | None, Reason, str],
) -> None:
    states = {
        name: _state(age, max_age, name)
        for name, (age, max_age) in {"driver_hourly_stats": stats, "driver_stream": stream}.items()
    }

    actual = judge_model(REAL, BOTH, states, NOW)

    assert expected == (actual.fresh, actual.reason, actual.oldest_view)
    decides = states[actual.oldest_view]
    assert (actual.materialized_until, actual.max_age) == (
        decides.materialized_until,
        decides.max_age,
    )


def test_a_models_own_objective_counts_where_it_is_stricter() -> None:
    states = {"driver_hourly_stats": _state(30 * MINUTE)}
    refs = _refs("driver_hourly_stats:conv_rate")

    strict = judge_model(REAL, refs, states, NOW, max_age=10 * MINUTE)
    loose = judge_model(REAL, refs, states, NOW, max_age=10 * HOUR)

    assert (strict.fresh, strict.max_age) == (False, 10 * MINUTE)
    assert (loose.fresh, loose.max_age, loose.next_stale_at) == (True, HOUR, NOW + 30 * MINUTE)


def test_a_view_that_was_not_observed_is_not_stale() -> None:
    actual = judge_model(REAL, BOTH, {}, NOW, max_age=HOUR)

    assert (actual.fresh, actual.reason) == (None, SELDOM)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        pytest.param(None, (False, AHEAD), id="nothing else was materialized"),
        pytest.param(NOW - MINUTE, (True, FRESH), id="materialized again since then"),
        pytest.param(NOW - 2 * HOUR, (False, AHEAD), id="materialized again too long ago"),
    ],
)
def test_a_window_into_the_future_proves_nothing(
    until: datetime | None, expected: tuple[bool, Reason]
) -> None:
    state = ViewState("a", "feature_view", until, max_age=HOUR, future_until=NOW + 1000 * HOUR)

    actual = judge_view(state, NOW)

    assert expected == (actual.fresh, actual.reason)


def test_a_view_that_is_not_served_is_not_fresh() -> None:
    served = _state(MINUTE)
    states = {"driver_hourly_stats": replace(served, not_served=True)}

    model = judge_model(REAL, _refs("driver_hourly_stats:conv_rate"), states, NOW)

    assert judge_view(served, NOW).fresh
    assert (model.fresh, model.reason) == (False, Reason.NOT_SERVED)
    without_objective = replace(served, not_served=True, max_age=None)
    assert judge_view(without_objective, NOW).reason is Reason.NOT_SERVED


STORED = registry(
    {"stats": {**view({"trips": "INT64"}), "online": True}},
    on_demand_feature_view={
        "doubled": {
            "features": [{"name": "twice", "value_type": "INT64"}],
            "sources": {"stats": {"feature_view_projection": {"feature_view_name": "stats"}}},
            "write_to_online_store": True,
        }
    },
    label_view={"labels": {**view({"label": "STRING"}), "online": True}},
)


@pytest.mark.parametrize(
    ("own", "source", "by_other", "expected"),
    [
        pytest.param(None, MINUTE, True, (True, FRESH), id="as fresh as its sources"),
        pytest.param(None, 2 * HOUR, True, (False, STALE), id="as stale as its sources"),
        pytest.param(None, None, True, (False, NEVER), id="its sources were never materialized"),
        pytest.param(None, MINUTE, False, (False, NEVER), id="this product wrote only its sources"),
        pytest.param(MINUTE, 2 * HOUR, True, (True, FRESH), id="this product materialized it"),
    ],
)
def test_a_stored_view_is_judged_by_its_job_or_sources(
    own: timedelta | None, source: timedelta | None, by_other: bool, expected: tuple[bool, Reason]
) -> None:
    known = {
        "stats": replace(_state(source, name="stats"), by_other=by_other),
        "doubled": replace(_state(own, name="doubled"), kind="on_demand_feature_view"),
    }

    actual = judge_view(with_sources(known, STORED)["doubled"], NOW)

    assert expected == (actual.fresh, actual.reason)


@pytest.mark.parametrize(
    ("by_other", "until", "expected"),
    [
        pytest.param(True, MINUTE, (True, FRESH), id="with its sources, by another tool"),
        pytest.param(True, HOUR, (False, ELSEWHERE), id="before the view was"),
        pytest.param(False, MINUTE, (False, ELSEWHERE), id="its sources alone, by this product"),
    ],
)
def test_a_stored_view_of_a_moved_store_is_written_again(
    by_other: bool, until: timedelta, expected: tuple[bool, Reason]
) -> None:
    moved = replace(_state(HOUR / 2, name="doubled"), kind="on_demand_feature_view", elsewhere=True)
    known = {"stats": replace(_state(until, name="stats"), by_other=by_other), "doubled": moved}

    actual = judge_view(with_sources(known, STORED)["doubled"], NOW)

    assert expected == (actual.fresh, actual.reason)


@pytest.mark.parametrize(
    ("ref", "reason", "name"),
    [
        pytest.param("offline:x", Reason.NOT_SERVED_ONLINE, "offline", id="never online"),
        pytest.param("derived:x", Reason.NOT_SERVED_ONLINE, "offline", id="of a view never online"),
        pytest.param("gone:x", Reason.FEATURES_UNKNOWN, "gone", id="not in the registry"),
        pytest.param("labels:label", NO_OBJECTIVE, "", id="labels are pushed"),
        pytest.param("asked:x", NO_OBJECTIVE, "", id="of request data only"),
        pytest.param("mixed:x", NO_OBJECTIVE, "", id="one of its views is online, and pushed"),
    ],
)
def test_a_model_says_why_it_has_no_freshness(ref: str, reason: Reason, name: str) -> None:
    source = {"feature_view_projection": {"feature_view_name": "offline"}}
    of_labels = {"feature_view_projection": {"feature_view_name": "labels"}}
    known = registry(
        {"offline": view({"x": "INT64"})},
        on_demand_feature_view={
            "derived": {"sources": {"offline": source}},
            "asked": {"sources": {"request": {"request_data_source": {}}}},
            "mixed": {"sources": {"offline": source, "labels": of_labels}},
        },
        label_view={"labels": {**view({"label": "STRING"}), "online": True}},
    )

    actual = judge_model(known, _refs(ref), {}, NOW, max_age=HOUR)

    assert (actual.fresh, actual.reason, actual.oldest_view) == (None, reason, name)


def test_a_disabled_view_is_not_materialized() -> None:
    stats = {**view({"trips": "INT64"}), "online": True}
    known = registry({"on": stats, "off": {**stats, "disabled": True}})

    assert (is_served(known, "on"), is_served(known, "off")) == (True, False)


def test_nobody_materializes_a_view_of_labels() -> None:
    assert not is_served(STORED, "labels")
    assert is_served(STORED, "doubled")
    assert judge_model(STORED, _refs("labels:label"), {}, NOW, max_age=HOUR).reason is NO_OBJECTIVE
