"""A small registry from which lineage would be computed for minutes is refused."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from tests.fuzz.reports import SCENARIOS
from tests.unit.kube.test_hostile_objects import snapshot_of

from feature_lineage.api.enums import Verdict
from feature_lineage.errors import InvalidReport
from feature_lineage.features import bounds, definitions
from feature_lineage.features.bounds import check_dependencies, read_stored
from feature_lineage.features.definitions import Missing, define_all, look_up
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import renamed_keys
from feature_lineage.features.snapshot import RegistrySnapshot
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
PROJECTION = {"feature_view_name": "many", "feature_columns": fields("f")}


def refused(hostile: RegistrySnapshot) -> None:
    with pytest.raises(InvalidReport, match="more than 200000 dependencies") as error:
        check_dependencies(hostile)
    assert error.value.reason is Reason.REPORT_TOO_LARGE


def test_views_that_read_all_of_each_other_are_refused() -> None:
    refused(
        snapshot({name: of_views(*numbered("v", n)) for n, name in enumerate(numbered("v", 120))})
    )


def test_levels_of_views_that_feed_each_other_are_refused() -> None:
    refused(levels(300))


def test_many_views_that_read_a_wide_view_are_refused() -> None:
    refused(WHOLE)


def test_many_views_of_many_join_keys_are_refused() -> None:
    refused(snapshot({name: of_views("many") for name in numbered("v", 100)}, KEYS))


def test_projections_of_a_view_of_many_join_keys_are_refused() -> None:
    refused(snapshot({}, KEYS, feature_service={"s": {"features": [PROJECTION] * 100}}))


def test_such_a_registry_is_refused_in_a_report_and_where_it_is_stored() -> None:
    hostile = WHOLE
    text = encode(SCENARIOS[0].report("Succeeded", snapshot=hostile)).encode()

    with pytest.raises(InvalidReport, match="more than 200000 dependencies"):
        decode_report(text)
    with pytest.raises(InvalidReport, match="more than 200000 dependencies"):
        read_stored(hostile.to_json().encode(), hostile.digest)


def test_a_large_registry_is_far_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """700 views, of which 100 on-demand views read three others as a whole."""
    large = snapshot_of(700, 8)
    names = list(large.objects["feature_view"])
    on_demand = {f"o{n}": of_whole(*names[n : n + 3]) for n in range(100)}
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", 10_000)

    check_dependencies(snapshot(on_demand, large.objects["feature_view"]))


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
