"""What a client of a service notices when the service changes, field by field."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests import strategies as some
from tests.strategies import Objects, edited

from feature_lineage.api.enums import ColumnNames
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import Pairs, Projection, ServingSignature, signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.links import Link
from feature_lineage.models.signature_problems import compare_signatures, form_of_names
from feature_lineage.models.verdicts import Verdict, judge

SERVICE = "routes"
TRIPS, CONV = some.field("avg_daily_trips", "INT64"), some.field("conv_rate", "FLOAT")
HOURLY = {"name": "driver_hourly_stats"}


def _base(objects: Objects) -> None:
    members = [
        some.projection(
            HOURLY,
            [dict(TRIPS)],
            feature_view_name_alias=name,
            join_key_map={"driver_id": f"{name}_id"},
        )
        for name in ("origin", "dest")
    ]
    objects["feature_service"][SERVICE] = {"name": SERVICE, "features": members}


BASE = edited(some.real_snapshot(), _base)


def members(objects: Objects) -> list[dict[str, object]]:
    found: list[dict[str, object]] = objects["feature_service"][SERVICE]["features"]
    return found


def _swap_maps(objects: Objects) -> None:
    first, second = members(objects)
    first["join_key_map"], second["join_key_map"] = second["join_key_map"], first["join_key_map"]


def _view(**changes: object) -> Callable[[Objects], object]:
    return lambda objects: objects["feature_view"]["driver_hourly_stats"].update(changes)


def _on_demand(objects: Objects) -> None:
    members(objects).append(
        some.projection({"name": "transformed"}, [some.field("conv_plus", "DOUBLE")])
    )


def _other_entity(objects: Objects) -> None:
    objects["feature_view"]["other"] = {
        **objects["feature_view"]["driver_hourly_stats"],
        "name": "other",
        "entities": ["city"],
        "entity_columns": [some.field("city_id", "INT64")],
    }
    objects["entity"]["city"] = {"name": "city", "join_key": "city_id", "value_type": "INT64"}
    members(objects).append(some.projection({"name": "other"}, [dict(CONV)]))


def _pairs(**renames: str) -> RegistrySnapshot:
    """A service with an on-demand view, whose source has two keys of one type."""

    def edit(objects: Objects) -> None:
        for name in ("start", "end"):
            objects["entity"][name] = {"name": name, "join_key": name, "value_type": "INT64"}
        objects["feature_view"]["pairs"] = {
            **objects["feature_view"]["driver_hourly_stats"],
            "name": "pairs",
            "entities": ["start", "end"],
            "entity_columns": [some.field("start", "INT64"), some.field("end", "INT64")],
        }
        source = some.projection({"name": "pairs"}, [dict(CONV)], join_key_map=renames)
        view = objects["on_demand_feature_view"]["transformed"]
        view["sources"]["pairs"] = {"feature_view_projection": source}
        objects["feature_service"][SERVICE] = {"name": SERVICE, "features": []}
        _on_demand(objects)

    return edited(some.real_snapshot(), edit)


def test_keys_that_are_swapped_within_an_on_demand_view_break() -> None:
    was, now = _pairs(start="x", end="y"), _pairs(start="y", end="x")
    link = Link("m", refs=(FeatureRef.parse("transformed:conv_plus"),), service=SERVICE)

    judgement = judge(link, was, "Training", now)

    assert judgement.verdict is Verdict.BROKEN
    assert [(str(p.kind), p.was, p.now) for p in judgement.problems] == [
        ("JoinKeysChanged", "pairs.end as y, pairs.start as x", "pairs.end as x, pairs.start as y")
    ]
    assert judge(link, was, "Training", _pairs(start="x", end="y")).problems == ()


@pytest.mark.parametrize(
    ("edit", "verdict", "kinds"),
    [
        pytest.param(_swap_maps, "Broken", {"JoinKeysChanged"}, id="the maps are swapped"),
        pytest.param(
            lambda o: members(o).reverse(), "Changed", {"ServiceReordered"}, id="another order"
        ),
        pytest.param(
            lambda o: members(o)[0].update(feature_columns=[TRIPS, CONV]),
            "Changed",
            {"ServiceGrew"},
            id="one more column",
        ),
        pytest.param(
            lambda o: members(o)[0].update(feature_view_name_alias="start"),
            "Broken",
            {"ColumnRenamed"},
            id="another alias",
        ),
        pytest.param(lambda o: members(o).pop(), "Broken", {"ColumnGone"}, id="one view less"),
        pytest.param(_view(online=False), "Broken", {"NotOnline"}, id="not online any more"),
        pytest.param(_view(disabled=True), "Broken", {"ViewDisabled"}, id="disabled"),
        pytest.param(lambda o: o["entity"].pop("driver"), "Broken", {"EntityGone"}, id="no entity"),
        pytest.param(_on_demand, "Broken", None, id="the request needs another field"),
        pytest.param(_other_entity, "Broken", None, id="the request needs another key"),
    ],
)
def test_each_change_of_a_service_is_named(
    edit: Callable[[Objects], object], verdict: str, kinds: set[str] | None
) -> None:
    now = edited(BASE, edit)
    problems = compare_signatures(_signature(BASE), _signature(now), SERVICE)
    found = {str(problem.kind) for problem in problems}
    assert kinds is None or found == kinds
    assert found, "nothing is said"

    refs = tuple(member.ref for member in some.service_members(BASE, SERVICE) or ())
    link = Link("driver_ranking", refs=tuple(dict.fromkeys(refs)), service=SERVICE)
    judgement = judge(link, BASE, "Training", now)
    assert judgement.verdict is Verdict(verdict), judgement
    assert found <= {str(problem.kind) for problem in judgement.problems}


def test_two_columns_with_one_short_name_are_named() -> None:
    alone = edited(BASE, lambda o: members(o).pop())
    problems = compare_signatures(_signature(alone), _signature(BASE), SERVICE)

    assert {str(problem.kind) for problem in problems} >= {"NamesCollide", "ServiceGrew"}


def test_a_model_that_feast_refuses_is_broken_in_its_words() -> None:
    link = Link("driver_ranking", refs=(), service=SERVICE)
    words = "NameError: name 'np' is not defined"
    now = RegistrySnapshot(BASE.project, BASE.objects, answers={f"service {SERVICE}": words})

    judgement = judge(link, BASE, "Training", now)

    assert judgement.verdict is Verdict.BROKEN
    assert words in judgement.message


def test_a_view_that_was_never_online_is_no_problem() -> None:
    offline = edited(BASE, _view(online=False))
    link = Link("driver_ranking", refs=(), service=SERVICE)
    link = replace(link, refs=(FeatureRef.parse("driver_hourly_stats:avg_daily_trips"),))

    judgement = judge(link, offline, "Training", offline)

    assert (judgement.verdict, judgement.reason) == (Verdict.VERIFIED, "NotServedOnline")
    assert "view driver_hourly_stats is not online" in judgement.message


def test_an_unknown_signature_never_breaks_a_verdict() -> None:
    assert compare_signatures(None, _signature(BASE), SERVICE) == ()
    assert compare_signatures(_signature(BASE), None, SERVICE) == ()


class _Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@pytest.mark.parametrize("alias", ["routes", "others"])
def test_columns_are_compared_with_few_others(alias: str) -> None:
    """All columns under another alias, or half of them gone."""

    def signature(name: str, count: int) -> ServingSignature:
        features = tuple(_Counted(f"f{number}") for number in range(count))
        return ServingSignature((), (), (Projection(name, "stats", (), features),))

    was, now = signature("routes", 400), signature(alias, 200)
    _Counted.compared = 0
    compare_signatures(was, now, SERVICE)

    assert _Counted.compared < 5_000


def _signature(snapshot: RegistrySnapshot):  # type: ignore[no-untyped-def]
    return signature_of(snapshot, SERVICE, ())


def _service(*members: tuple[str, str, str]) -> ServingSignature:
    """A signature of (alias, view, feature)."""
    projections = tuple(Projection(alias, view, (), (feature,)) for alias, view, feature in members)
    return ServingSignature((), (), projections)


TRAINED = _service(("stats", "stats", "trips"))


@pytest.mark.parametrize(
    ("now", "found"),
    [
        pytest.param(
            _service(("activity", "stats", "trips")),
            {"Full": {"ColumnRenamed"}, "Short": set(), "Unknown": {"ColumnRenamed"}},
            id="another alias",
        ),
        pytest.param(
            _service(("stats", "stats", "trips"), ("again", "again", "trips")),
            {
                "Full": {"ServiceGrew"},
                "Short": {"NamesCollide"},
                "Unknown": {"ServiceGrew", "NamesCollide"},
            },
            id="two columns of one short name",
        ),
        pytest.param(
            _service(("stats", "stats", "trips"), ("more", "more", "rate")),
            {form: {"ServiceGrew"} for form in ("Full", "Short", "Unknown")},
            id="one more column",
        ),
    ],
)
def test_only_names_that_the_model_reads_count(
    now: ServingSignature, found: dict[str, set[str]]
) -> None:
    for names, kinds in found.items():
        problems = compare_signatures(TRAINED, now, SERVICE, ColumnNames(names))
        assert {str(problem.kind) for problem in problems} == kinds, names


@pytest.mark.parametrize(
    ("inputs", "form"),
    [
        (("stats__trips", "driver_id"), "Full"),
        (("trips", "stats__other"), "Short"),
        (("trips", "stats__trips"), "Unknown"),
        (("something",), "Unknown"),
        ((), "Unknown"),
        (None, "Unknown"),
    ],
)
def test_the_form_is_that_of_the_recorded_names(inputs: tuple[str, ...] | None, form: str) -> None:
    assert form_of_names(inputs, TRAINED) == form
    assert form_of_names(inputs, None) == "Unknown"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        pytest.param((("trips", (("driver_id", "driver_id"),)),), (), id="reads no view any more"),
        pytest.param((), (("trips", (("driver_id", "driver_id"),)),), id="reads a view now"),
    ],
)
def test_an_on_demand_view_that_reads_another_view_keeps_its_kind(
    was: tuple[tuple[str, Pairs], ...], now: tuple[tuple[str, Pairs], ...]
) -> None:
    """One of request data alone has no sources either."""
    before, after = (
        ServingSignature(
            keys=(("driver_id", "INT64"),),
            request=(("x", "INT64"),),
            projections=(Projection("sum", "sum", (), ("plus",), sources),),
        )
        for sources in (was, now)
    )
    assert compare_signatures(before, after, "") == ()
