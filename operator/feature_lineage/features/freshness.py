"""Freshness of feature views, and of the models that are served from them.

Fresh means materialized within `max_age`. A registry snapshot older than half of `max_age` may miss
a materialization by another process. So an old snapshot can prove Fresh, but not Stale.

A window that ends in the future was materialized when its rows did not exist yet: it proves nothing
about the time since then.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import ON_DEMAND, RegistrySnapshot, digest_of
from feature_lineage.features.views import entity_join_keys
from feature_lineage.reasons import Reason

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clock of another writer may be ahead: a window may end so much after now."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """Materialization of one view.

    Attributes:
        name: feature view.
        kind: section of the snapshot.
        materialized_until: end of its newest interval that is not in the future; None: never
            materialized.
        future_until: end of an interval that was in the future when the registry was read.
        newest_event_time: newest event timestamp written; None if the engine does not report it.
        max_age: the objective; None: no objective.
        not_served: Feast refuses to serve it, since a job died while it was materialized, or
            another tool materializes it.
        elsewhere: its rows are in another online store, or under other join keys.
        by_other: another tool materialized it last.
    """

    name: str
    kind: str
    materialized_until: datetime | None = None
    newest_event_time: datetime | None = None
    max_age: timedelta | None = None
    future_until: datetime | None = None
    not_served: bool = False
    elsewhere: bool = False
    by_other: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether a view meets its objective.

    Attributes:
        fresh: None if unknown or without an objective: see `reason`.
        next_stale_at: when the view becomes stale without a materialization; None if it is not
            fresh.
    """

    fresh: bool | None
    reason: Reason
    next_stale_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverallFreshness:
    """Freshness of all views that serve a model's features.

    Attributes:
        oldest_view: the view that decides: of the least fresh views, the one materialized longest
            ago; if none is materialized, a view that is gone or not online, else "".
        materialized_until: of that view; None: never materialized.
        max_age: objective of that view.
        next_stale_at: when the first view becomes stale; None if none is fresh.
    """

    fresh: bool | None
    reason: Reason
    oldest_view: str = ""
    materialized_until: datetime | None = None
    max_age: timedelta | None = None
    next_stale_at: datetime | None = None


def place_of(snapshot: RegistrySnapshot, name: str, online_store: str) -> str:
    """Where the online store keeps the rows of a view: the store's id, and a digest of the keys.

    "" if the store or the view is not known.
    """
    found = snapshot.view(name)
    if found is None or not online_store:
        return ""
    keys = entity_join_keys(snapshot, found[1])
    return f"{online_store}-{_digest_of_keys(tuple(sorted(keys.items())))}"


@lru_cache(maxsize=1024)
def _digest_of_keys(keys: tuple[tuple[str, str], ...]) -> str:
    return digest_of([list(key) for key in keys])[:8]


def judge_view(state: ViewState, now: datetime, observed_at: datetime | None = None) -> Freshness:
    """Whether a view meets its objective at `now`; one that is not served is fresh for nobody.

    Args:
        observed_at: when the registry was read; None: now.
    """
    if state.not_served:
        return Freshness(False, Reason.NOT_SERVED)
    if state.elsewhere:
        return Freshness(False, Reason.NOT_IN_ONLINE_STORE)
    if state.max_age is None:
        return Freshness(None, Reason.NO_OBJECTIVE)
    until, ahead = state.materialized_until, state.future_until
    if until is not None and is_future(until, now):  # a status of an earlier version
        until, ahead = None, until
    if until is not None:
        stale_at = until + state.max_age
        if now < stale_at:
            return Freshness(True, Reason.SUCCEEDED, stale_at)
    if observed_at is not None and now - observed_at > state.max_age / 2:
        return Freshness(None, Reason.OBSERVED_TOO_SELDOM)
    if ahead is not None:
        return Freshness(False, Reason.WATERMARK_IN_FUTURE)
    return Freshness(False, Reason.NEVER_MATERIALIZED if until is None else Reason.STALE)


def is_future(until: datetime, now: datetime) -> bool:
    """Whether a window ends after now, by more than clocks differ."""
    return until > now + CLOCK_SKEW


def with_sources(
    states: Mapping[str, ViewState], snapshot: RegistrySnapshot | None
) -> Mapping[str, ViewState]:
    """The states, with those of stored on-demand views that Feast does not record.

    Feast writes no interval for an on-demand view. If another tool materialized all views from
    which it is computed, and this product not the view since, it is as fresh as these: `feast
    materialize` writes it together with them. This product writes each view on its own.
    """
    if snapshot is None:
        return states
    unknown = {}
    for name, state in states.items():
        if state.kind == ON_DEMAND and is_served(snapshot, name):
            feeding = feeding_views(snapshot, name) - {name}
            sources = [states[n] for n in feeding if n in states and is_served(snapshot, n)]
            if _written_with(sources, state.materialized_until):
                unknown[name] = _as_sources(state, sources)
    return {**states, **unknown} if unknown else states


def _written_with(sources: Collection[ViewState], until: datetime | None) -> bool:
    """Whether another tool materialized all these views since, and an on-demand view with them."""
    return bool(sources) and all(
        source.by_other
        and (until is None or (source.materialized_until and source.materialized_until > until))
        for source in sources
    )


def _as_sources(state: ViewState, known: Collection[ViewState]) -> ViewState:
    """The state of an on-demand view, with the least fresh window of its sources."""
    untils = [source.materialized_until for source in known]
    oldest = min((until for until in untils if until is not None), default=None)
    aheads = (source.future_until for source in known if source.future_until is not None)
    return replace(
        state,
        materialized_until=None if None in untils else oldest,
        future_until=max(aheads, default=None),
        elsewhere=any(source.elsewhere for source in known),
    )


def served_views(snapshot: RegistrySnapshot, refs: Iterable[FeatureRef]) -> tuple[str, ...]:
    """Views that serve the features, sorted: with the views that feed on-demand views, and without
    views that are not online."""
    names: set[str] = set()
    for view in {ref.view for ref in refs}:
        names |= feeding_views(snapshot, view)
    return tuple(sorted(name for name in names if is_served(snapshot, name)))


def is_served(snapshot: RegistrySnapshot, name: str) -> bool:
    """Whether the view is materialized into the online store."""
    found = snapshot.view(name)
    if found is None or found[0] == "label_view":  # labels are pushed; Feast materializes none
        return False
    kind, spec = found
    if spec.get("disabled") or (kind != ON_DEMAND and not spec.get("batch_source")):
        return False  # Feast refuses to materialize it; without a source, its rows are pushed
    online = "write_to_online_store" if kind == ON_DEMAND else "online"
    return spec.get(online) is True


def judge_model(
    snapshot: RegistrySnapshot,
    refs: Iterable[FeatureRef],
    states: Mapping[str, ViewState],
    now: datetime,
    observed_at: datetime | None = None,
    max_age: timedelta | None = None,
) -> OverallFreshness:
    """Freshness of a model: that of the least fresh view its features are served from.

    Args:
        states: by view, `with_sources`; a view that is missing here was not observed.
        max_age: the model's own objective; the stricter of this and the view's counts.
    """
    needed = []
    for name in served_views(snapshot, refs):
        state = states.get(name)
        seen = replace(state, max_age=_stricter(state.max_age, max_age)) if state else None
        needed.append((name, seen, _judge(seen, now, observed_at)))
    if not needed:
        return _nothing_to_judge(snapshot, {ref.view for ref in refs})
    oldest, state, worst = min(
        needed, key=lambda item: (_RANK[item[2].reason], _until(item[1]), item[0])
    )
    return OverallFreshness(
        worst.fresh,
        worst.reason,
        oldest,
        state.materialized_until if state else None,
        state.max_age if state else max_age,
        min((f.next_stale_at for _, _, f in needed if f.next_stale_at), default=None),
    )


def _nothing_to_judge(snapshot: RegistrySnapshot, views: Iterable[str]) -> OverallFreshness:
    """Why no freshness is known of a model of which no view is materialized."""
    read = sorted({name for view in views for name in feeding_views(snapshot, view)})
    found = {name: snapshot.view(name) for name in read}
    for name, view in found.items():
        if view is None:
            return OverallFreshness(None, Reason.FEATURES_UNKNOWN, name)
    rows = {name: view[1] for name, view in found.items() if view and view[0] != ON_DEMAND}
    if rows and not any(spec.get("online") is True for spec in rows.values()):
        return OverallFreshness(None, Reason.NOT_SERVED_ONLINE, min(rows))
    return OverallFreshness(None, Reason.NO_OBJECTIVE)


_RANK = {
    reason: rank
    for rank, reason in enumerate(
        (
            Reason.NOT_SERVED,
            Reason.NOT_IN_ONLINE_STORE,
            Reason.NEVER_MATERIALIZED,
            Reason.WATERMARK_IN_FUTURE,
            Reason.STALE,
            Reason.OBSERVED_TOO_SELDOM,
            Reason.SUCCEEDED,
            Reason.NO_OBJECTIVE,
        )
    )
}


def _judge(state: ViewState | None, now: datetime, observed_at: datetime | None) -> Freshness:
    if state is None:
        return Freshness(None, Reason.OBSERVED_TOO_SELDOM)
    return judge_view(state, now, observed_at)


def _until(state: ViewState | None) -> float:
    if state is None or state.materialized_until is None:
        return float("-inf")
    return state.materialized_until.timestamp()


def _stricter(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return min((age for age in (one, other) if age is not None), default=None)
