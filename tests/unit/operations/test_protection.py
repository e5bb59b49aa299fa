"""Which versions are protected, and which facts about them a job gets."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.operations.build import NOW, model, registry, view

from feature_lineage.api.project_spec import NameFilter
from feature_lineage.features.refs import FeatureRef
from feature_lineage.operations.protection import (
    Guard,
    GuardedModel,
    build_guard,
    guard_digest,
    is_stale,
    protected_aliases,
)

BASELINE = registry({"stats": view({"conv_rate": "FLOAT", "acc_rate": "FLOAT"})})
CHAMPION = model(BASELINE, ["stats:conv_rate", "stats:acc_rate"])
STRANGER = FeatureRef("orders", "total")


def names(*include: str, exclude: tuple[str, ...] = ()) -> NameFilter:
    return NameFilter(include=include, exclude=exclude)


@pytest.mark.parametrize(
    ("aliases", "models", "expected"),
    [
        pytest.param(names("*"), names("*"), ("challenger", "champion"), id="all, by default"),
        pytest.param(names("champ*"), names("*"), ("champion",), id="included by glob"),
        pytest.param(
            names("*", exclude=("chall*",)), names("*"), ("champion",), id="an exclude wins"
        ),
        pytest.param(names("Champion"), names("*"), (), id="case counts"),
        pytest.param(names("*"), names("rider_*"), (), id="another model"),
        pytest.param(
            names("*"), names("*", exclude=("driver_*",)), (), id="a model that is excluded"
        ),
        pytest.param(NameFilter(include=()), names("*"), (), id="nothing included"),
    ],
)
def test_protected_aliases(
    aliases: NameFilter, models: NameFilter, expected: tuple[str, ...]
) -> None:
    found = protected_aliases(["champion", "challenger"], aliases, "driver_model", models)

    assert expected == found


def protected(version: str, *, known: bool = True) -> GuardedModel:
    refs = (STRANGER, *(item.ref for item in CHAMPION.features)) if known else ()
    features = CHAMPION.features if known else ()
    return GuardedModel("driver_model", version, ("champion",), "activity", features, refs)


def test_guard_has_protected_and_unknown_versions() -> None:
    guard = build_guard(
        NOW,
        [
            protected("5", known=False),
            protected("4", known=False),
            protected("3"),
            protected("2"),
        ],
    )

    assert guard.models == (protected("2"), protected("3"))
    assert guard.unknown == ("driver_model/4", "driver_model/5")
    assert guard.read_at == NOW


def test_guard_digest_ignores_time_and_order() -> None:
    other = model(BASELINE, ["stats:conv_rate"], name="other", aliases=("a", "b"))
    swapped = GuardedModel("other", "3", ("b", "a"), "", other.features)
    reversed_features = GuardedModel(
        CHAMPION.model, CHAMPION.version, CHAMPION.aliases, "", CHAMPION.features[::-1]
    )

    assert guard_digest(Guard(NOW, (CHAMPION, other), ("x/1", "y/2"))) == guard_digest(
        Guard(NOW + timedelta(days=1), (swapped, reversed_features), ("y/2", "x/1"))
    )


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Guard(NOW), id="without the model"),
        pytest.param(Guard(NOW, (CHAMPION,), ("x/1",)), id="with an unknown one"),
        pytest.param(
            Guard(NOW, (model(BASELINE, ["stats:conv_rate", "stats:acc_rate"], version="4"),)),
            id="with another version",
        ),
        pytest.param(Guard(NOW, (model(BASELINE, ["stats:conv_rate"]),)), id="with less features"),
        pytest.param(
            Guard(NOW, (replace(CHAMPION, refs=(STRANGER,)),)), id="with an undefined feature"
        ),
        pytest.param(
            Guard(
                NOW,
                (
                    model(
                        registry({"stats": view({"conv_rate": "INT64", "acc_rate": "FLOAT"})}),
                        ["stats:conv_rate", "stats:acc_rate"],
                    ),
                ),
            ),
            id="with another baseline",
        ),
    ],
)
def test_another_guard_has_another_digest(other: Guard) -> None:
    assert guard_digest(other) != guard_digest(Guard(NOW, (CHAMPION,)))


@pytest.mark.parametrize(
    ("age", "stale"),
    [
        pytest.param(timedelta(minutes=10), False, id="as old as is allowed"),
        pytest.param(timedelta(minutes=10, seconds=1), True, id="older"),
        pytest.param(timedelta(minutes=-1), False, id="read by a clock that is ahead"),
    ],
)
def test_staleness(age: timedelta, stale: bool) -> None:
    assert stale is is_stale(Guard(NOW - age), timedelta(minutes=10), NOW)
