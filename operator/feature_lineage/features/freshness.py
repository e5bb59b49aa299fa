"""Freshness of feature views, and of the models that are served from them.

Fresh means materialized within `max_age`. A registry snapshot older than half of `max_age` may miss
a materialization by another process. So an old snapshot can prove Fresh, but not Stale.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.reasons import Reason


@dataclass(frozen=True, slots=True)
class ViewState:
    """Materialization of one view.

    Attributes:
        name: feature view.
        kind: section of the snapshot.
        materialized_until: end of its newest interval; None: never materialized.
        newest_event_time: newest event timestamp written; None if the engine does not report it.
        max_age: the objective; None: no objective.
    """

    name: str
    kind: str
    materialized_until: datetime | None = None
    newest_event_time: datetime | None = None
    max_age: timedelta | None = None


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
            ago; "" if no view is served online.
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


def judge_view(state: ViewState, now: datetime, observed_at: datetime | None = None) -> Freshness:
    """Whether a view meets its objective at `now`.

    Args:
        observed_at: when the registry was read; None: now.
    """
    if state.max_age is None:
        return Freshness(None, Reason.NO_OBJECTIVE)
    if state.materialized_until is not None:
        stale_at = state.materialized_until + state.max_age
        if now < stale_at:
            return Freshness(True, Reason.SUCCEEDED, stale_at)
    if observed_at is not None and now - observed_at > state.max_age / 2:
        return Freshness(None, Reason.OBSERVED_TOO_SELDOM)
    never = state.materialized_until is None
    return Freshness(False, Reason.NEVER_MATERIALIZED if never else Reason.STALE)


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
    if found is None:
        return False
    kind, spec = found
    online = "write_to_online_store" if kind == "on_demand_feature_view" else "online"
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
        states: by view; a view that is missing here was not observed.
        max_age: the model's own objective; the stricter of this and the view's counts.
    """
    needed = []
    for name in served_views(snapshot, refs):
        state = states.get(name)
        seen = replace(state, max_age=_stricter(state.max_age, max_age)) if state else None
        needed.append((name, seen, _judge(seen, now, observed_at)))
    if not needed:
        return OverallFreshness(None, Reason.NO_OBJECTIVE)
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


_RANK = {
    Reason.NEVER_MATERIALIZED: 0,
    Reason.STALE: 1,
    Reason.OBSERVED_TOO_SELDOM: 2,
    Reason.SUCCEEDED: 3,
    Reason.NO_OBJECTIVE: 4,
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
