"""A small registry from which lineage would be computed for minutes is refused."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from tests.fuzz.reports import SCENARIOS

from feature_lineage.api.enums import Verdict
from feature_lineage.errors import TooManyDependencies
from feature_lineage.features import bounds, definitions, views
from feature_lineage.features.bounds import check_dependencies, read_stored
from feature_lineage.features.definitions import (
    Missing,
    define_all,
    feeding_views,
    look_up,
    schema_digest,
)
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import renamed_keys
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot, digest_of
from feature_lineage.features.views import ViewInput, inputs
from feature_lineage.models import problems
from feature_lineage.models.links import Link
from feature_lineage.models.problems import ProblemKind, compare
from feature_lineage.models.verdicts import judge
from feature_lineage.operations.job_report import decode_report
from feature_lineage.operations.protocol import encode
from feature_lineage.reasons import Reason

Spec = dict[str, Any]


def fields(names: Iterable[str]) -> list[Spec]:
    return [{"name": name, "value_type": "INT64"} for name in names]


def numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def of_views(*sources: str, features: Iterable[str] = ("f",)) -> Spec:
    """An on-demand view that reads the feature `f` of others."""
    found = {
        name: {"feature_view_projection": {"feature_view_name": name, "feature_columns": columns}}
        for name in sources
        for columns in [fields(["f"])]
    }
    return {"sources": found, "features": fields(features)}


def of_whole(*sources: str, features: Iterable[str] = ("f",)) -> Spec:
    found = {name: {"feature_view": {"spec": {"name": name}}} for name in sources}
    return {"sources": found, "features": fields(features)}


def snapshot(
    on_demand: Mapping[str, Spec], plain: Mapping[str, Spec] | None = None, **more: Any
) -> RegistrySnapshot:
    objects = {"on_demand_feature_view": on_demand, "feature_view": plain or {}, **more}
    return RegistrySnapshot("p", objects)


def levels(count: int) -> RegistrySnapshot:
    """Two views on each level, which both read both views of the next one."""
    names = [(f"a{n}", f"b{n}") for n in range(count)]
    found = {each: of_views(*below) for n, below in enumerate(names[1:]) for each in names[n]}
    return snapshot({**found, **{each: of_views() for each in names[-1]}})


WIDE = {"wide": {"features": fields(numbered("f", 2000))}}
KEYS = {"many": {"entity_columns": fields(numbered("k", 2000)), "features": fields("f")}}
WHOLE = snapshot({name: of_whole("wide") for name in numbered("v", 101)}, WIDE)
ALL = fields(numbered("f", 4000))
PROJECTION = {"feature_view_name": "many", "feature_columns": fields("f")}


MESSAGE = "its views and services have more than 2,000,000 on views"


def refused(hostile: RegistrySnapshot) -> None:
    with pytest.raises(TooManyDependencies, match=MESSAGE) as error:
        check_dependencies(hostile)
    assert error.value.reason is Reason.REPORT_TOO_LARGE


def test_views_that_read_all_of_each_other_are_refused() -> None:
    refused(
        snapshot({name: of_views(*numbered("v", n)) for n, name in enumerate(numbered("v", 250))})
    )


def test_levels_of_views_that_feed_each_other_are_refused() -> None:
    refused(levels(400))


def test_many_views_that_read_a_wide_view_are_refused() -> None:
    refused(WHOLE)


def test_many_views_of_many_join_keys_are_refused() -> None:
    refused(snapshot({name: of_views("many") for name in numbered("v", 400)}, KEYS))


def test_projections_of_a_view_of_many_join_keys_are_refused() -> None:
    refused(snapshot({}, KEYS, feature_service={"s": {"features": [PROJECTION] * 1000}}))


def test_join_keys_that_many_sources_bring_are_refused() -> None:
    """Each of them brings all the keys of one view, which feeds them all."""
    sources = {name: of_views("many") for name in numbered("a", 100)}
    readers = {name: of_views(*sources) for name in numbered("r", 10)}

    refused(snapshot({**sources, **readers}, KEYS))


@pytest.mark.parametrize(
    ("on_demand", "plain"),
    [
        pytest.param(
            {},
            {"v": {"entity_columns": fields(numbered("k", 4000)), "features": ALL}},
            id="many keys",
        ),
        pytest.param(
            {}, {"v": {"entity_columns": fields(["k" * 10**5]), "features": ALL}}, id="a long key"
        ),
        pytest.param({"o": of_whole("wide", features=numbered("f", 4000))}, WIDE, id="inputs"),
        pytest.param(
            {
                "o": of_views("many", features=numbered("f", 4000)),
                "many": of_views(*numbered("v", 300)),
            },
            {
                name: {"entity_columns": fields(numbered(f"k{name}", 20)), "features": fields("f")}
                for name in numbered("v", 300)
            },
            id="keys of views that feed it",
        ),
    ],
)
def test_keys_and_inputs_that_many_features_repeat(
    on_demand: Mapping[str, Spec], plain: Mapping[str, Spec]
) -> None:
    """The digest of the features of a model has them once for each feature."""
    refused(snapshot(on_demand, plain))


def test_the_digest_of_features_is_that_of_one_list() -> None:
    """Baselines that older versions recorded have it."""
    registry = snapshot({"o": of_whole("v")}, {"v": {"features": fields(numbered("f", 3))}})
    found = define_all(registry, [FeatureRef("v", "f2"), FeatureRef("o", "f")])
    input_digest = found[1].inputs[0][1]
    inputs = [[f"v:f{n}", input_digest] for n in range(3)]
    rows = [
        ["o:f", "INT64", [], "", "", "", "", inputs, []],
        ["v:f2", "INT64", [], "", "", "", "", [], []],
    ]

    assert schema_digest(found) == digest_of(rows)
    assert schema_digest(()) == digest_of([])


def test_what_a_list_repeats_counts() -> None:
    """It is read again for each view that is fed by the view that has it."""
    repeated = {"many": {"entity_columns": fields(["k"] * 8000), "features": fields("f")}}

    refused(snapshot({name: of_views("many") for name in numbered("v", 3000)}, repeated))


def test_empty_sources_of_a_view_count() -> None:
    empty: Spec = {"request_data_source": {}}
    hostile = {"sources": dict.fromkeys(numbered("s", 8000), empty), "features": fields("f")}
    readers = {name: of_views("hostile") for name in numbered("v", 3000)}

    refused(snapshot({**readers, "hostile": hostile}))


def test_a_spec_is_read_once_however_many_views_it_feeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, source_views = [], views.source_views

    def counted(spec: Any) -> frozenset[str]:
        read.append(id(spec))
        return source_views(spec)

    monkeypatch.setattr(views, "source_views", counted)
    registry = levels(10)

    check_dependencies(registry)
    for _, name, _ in registry.views():
        assert len(feeding_views(registry, name)) % 2
        look_up(registry, FeatureRef(name, "f"))

    assert len(read) == len(set(read)) == 20


def test_such_a_registry_is_refused_in_a_report_and_where_it_is_stored() -> None:
    hostile = WHOLE
    text = encode(SCENARIOS[0].report("Succeeded", snapshot=hostile)).encode()

    with pytest.raises(TooManyDependencies, match=MESSAGE):
        decode_report(text)
    with pytest.raises(TooManyDependencies, match=MESSAGE):
        read_stored(hostile.to_json().encode(), hostile.digest)


def test_a_large_registry_is_far_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """725 views; 100 on-demand views read two of 200 features; 1,000 services have 50 of them."""
    keys = {"entities": ["driver"], "entity_columns": fields(["driver_id"])}
    plain = {f"v{n}": {"features": fields(numbered("f", 200)), **keys} for n in range(25)}
    plain |= {f"w{n}": {"features": fields(numbered("f", 8)), **keys} for n in range(600)}
    on_demand = {f"o{n}": of_whole(f"v{n % 25}", f"v{(n + 1) % 25}") for n in range(100)}
    projected = [{"feature_view_name": n, "feature_columns": fields("f")} for n in on_demand]
    services = {f"s{n}": {"features": projected[n % 50 :][:50]} for n in range(1000)}
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", bounds.MAX_DEPENDENCIES // 2)

    check_dependencies(snapshot(on_demand, plain, feature_service=services))


def test_a_service_reads_the_request_fields_of_a_view_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its features of other views are not looked through for each service."""
    asked = {"request_data_options": {"schema": fields(["x"])}}
    view = of_whole("wide")
    view["sources"]["asked"] = {"request_data_source": asked}
    names = numbered("s", 20)
    projected = {"features": [{"feature_view_name": "o", "feature_columns": fields("f")}]}
    services = dict.fromkeys(names, projected)
    registry = snapshot({"o": view}, WIDE, feature_service=services)
    read, listed = [], views.listed_inputs

    def counted(spec: Any) -> Any:
        read.append(spec)
        return listed(spec)

    monkeypatch.setattr(views, "listed_inputs", counted)
    signatures = [signature_of(registry, name, ()) for name in names]

    assert {each.request for each in signatures if each} == {(("x", "INT64"),)}
    assert len(read) == 1


def test_each_view_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time doubles with each level."""
    built = []
    build = definitions._build

    def counted(of: Any, name: str, *more: Any) -> Any:
        built.append(name)
        return build(of, name, *more)

    monkeypatch.setattr(definitions, "_build", counted)
    registry = levels(10)

    assert len(define_all(registry, [FeatureRef("a0", "f"), FeatureRef("b0", "f")])) == 2
    assert len(built) == len(set(built)) == 20


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a")])
def test_a_cycle_reads_the_same_from_each_view(order: tuple[str, ...]) -> None:
    registry = snapshot({"a": of_views("b"), "b": of_views("a"), "c": of_views("a")})

    found = {view: look_up(registry, FeatureRef(view, "f")) for view in order}

    missing = {view: each.view for view, each in found.items() if isinstance(each, Missing)}
    assert missing == {"a": "b", "b": "a", "c": "a"}


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_name_in_two_kinds_is_the_view_of_the_first_kind(name: str) -> None:
    registry = snapshot(
        {},
        {"a": of_views("b"), "b": of_views("a")},
        label_view={"a": of_views(), "b": of_views()},
    )

    assert isinstance(look_up(registry, FeatureRef(name, "f")), Missing)


def test_an_input_may_be_pinned_beside_the_latest_one() -> None:
    spec = of_views("v")
    pinned = {"feature_view_name": "v", "version_tag": 2, "feature_columns": fields("f")}
    spec["sources"]["old"] = {"feature_view_projection": pinned}

    assert inputs(snapshot({"o": spec}), spec) == (
        ViewInput("v", "f", None, "INT64"),
        ViewInput("v", "f", 2, "INT64"),
    )


class Compared(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    count = 0

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return str.__eq__(self, other) is True

    __hash__ = str.__hash__


def test_a_large_service_is_not_searched_for_each_feature() -> None:
    names = [Compared(name) for name in numbered("f", 300)]
    again = [Compared(name) for name in names]
    columns = [
        {
            "feature_view_name": "v",
            "feature_columns": fields([name]),
            "join_key_map": {"k": "renamed"},
        }
        for name in names
    ]
    view = {"features": fields(again), "entity_columns": fields("k")}
    registry = snapshot({}, {"v": view}, feature_service={"s": {"features": columns}})
    was = define_all(registry, [FeatureRef("v", name) for name in again], "s")
    Compared.count = 0

    assert compare(was, registry, "s") == ()

    assert Compared.count < 300 * 20
    assert renamed_keys(registry, "s", "v", was[0].join_keys) == (("k", "renamed"),)


def test_the_inputs_that_differ_are_told_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 1,000 features of a view with 1,000 inputs has 1,000 problems."""

    def registry(ttl: str) -> RegistrySnapshot:
        view = {"features": fields(numbered("i", 5)), "ttl": ttl}
        return snapshot({"o": of_whole("v", features=numbered("f", 6))}, {"v": view})

    monkeypatch.setattr(problems, "MAX_INPUTS", 12)
    was = define_all(registry("1s"), [FeatureRef("o", name) for name in numbered("f", 6)])

    found = compare(was, registry("2s"))

    assert {each.kind for each in found} == {ProblemKind.SOURCE_CHANGED}
    told = [sum(each.feature == f"o:{name}" for each in found) for name in numbered("f", 6)]
    assert told == [5, 5, 2, 1, 1, 1]


def test_a_judgement_keeps_a_part_of_many_problems() -> None:
    """10,000 versions may each have 10,000 problems with the text of a type of a megabyte."""
    names = numbered("f", 150)
    types = [{"name": name, "value_type": "x" * 5000} for name in names]
    was, now = snapshot({}, {"v": {"features": types}}), snapshot({}, {"v": {"features": ()}})
    retyped = snapshot({}, {"v": {"features": fields(names)}})
    link = Link(refs=tuple(FeatureRef("v", name) for name in names), count=150)

    for current in (now, retyped):
        judgement = judge(link, was, "Training", current)
        assert (judgement.verdict, judgement.problems_total) == (Verdict.BROKEN, 150)
        assert len(judgement.problems) == 100
        assert all(len(each.was) <= 1000 for each in judgement.problems)
        assert len(judgement.message) <= 10_000
