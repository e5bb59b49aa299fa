"""The semantic diff: the effect of a change, in one word."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import Objects, edited

from feature_lineage.features.delta import delta
from feature_lineage.features.diff import Change, ChangeClass, diff
from feature_lineage.features.snapshot import RegistrySnapshot

STATS = ("feature_view", "driver_hourly_stats")


def _with(kind: str, name: str, **changes: object) -> Callable[[Objects], object]:
    return lambda objects: objects[kind][name].update(changes)


def _retype_feature(objects: Objects) -> None:
    objects["feature_view"]["driver_hourly_stats"]["features"][0]["value_type"] = "DOUBLE"


def _add_feature(objects: Objects) -> None:
    new = {"name": "rating", "value_type": "FLOAT"}
    objects["feature_view"]["driver_hourly_stats"]["features"].append(new)


def _move(objects: Objects) -> None:
    services = objects["feature_service"]
    column = services["driver_activity_v2"]["features"][0]["feature_columns"].pop()
    services["driver_activity_v1"]["features"][0]["feature_columns"].append(column)


def _pin_member(objects: Objects) -> None:
    objects["feature_service"]["driver_activity_v1"]["features"][1]["version_tag"] = 0


def _tag_everything(objects: Objects) -> None:
    view = objects["feature_view"]["driver_hourly_stats"]
    view["tags"], view["owner"] = {"team": "other"}, "somebody"
    view["features"][0]["description"] = "better"
    view["batch_source"]["tags"] = {"x": "y"}


def _deepen(objects: Objects) -> None:
    for item in objects["feature_view"]["driver_fresh"]["features"]:
        if item["name"] == "emb":
            item["vector_length"] = 384


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(
            _retype_feature,
            [Change(*STATS, ChangeClass.TYPE_CHANGED, "acc_rate", "FLOAT", "DOUBLE")],
            id="a feature's type",
        ),
        pytest.param(
            _add_feature,
            [Change(*STATS, ChangeClass.CREATED, "rating", "", "FLOAT")],
            id="a feature more",
        ),
        pytest.param(
            lambda o: o["feature_view"]["driver_hourly_stats"]["features"].pop(0),
            [Change(*STATS, ChangeClass.DELETED, "acc_rate", "FLOAT", "")],
            id="a feature less",
        ),
        pytest.param(
            lambda o: o["feature_view"].pop("pinned_view"),
            [Change("feature_view", "pinned_view", ChangeClass.DELETED)],
            id="a view less",
        ),
        pytest.param(
            _with("entity", "customer", value_type="INT64"),
            [
                Change(
                    "entity",
                    "customer",
                    ChangeClass.JOIN_KEYS_CHANGED,
                    "",
                    "customer_id STRING",
                    "customer_id INT64",
                ),
                Change(
                    "feature_view",
                    "driver_customer",
                    ChangeClass.JOIN_KEYS_CHANGED,
                    "",
                    "customer_id STRING, driver_id INT64",
                    "customer_id INT64, driver_id INT64",
                ),
            ],
            id="an entity's type shows on the views that use it",
        ),
        pytest.param(
            _with(*STATS, batch_source=some.source("other")),
            [Change(*STATS, ChangeClass.SOURCE_CHANGED, "", "hourly_source", "other")],
            id="another source",
        ),
        pytest.param(
            _with(*STATS, ttl="60s"),
            [Change(*STATS, ChangeClass.TTL_CHANGED, "", "1d", "1m")],
            id="another TTL",
        ),
        pytest.param(
            _with(*STATS, ttl="60s", owner="somebody"),
            [
                Change(*STATS, ChangeClass.TTL_CHANGED, "", "1d", "1m"),
                Change(*STATS, ChangeClass.UPDATED, now="owner: a@b → somebody"),
            ],
            id="another TTL and another owner",
        ),
        pytest.param(
            _with(*STATS, version="version2"),
            [Change(*STATS, ChangeClass.VERSION_PINNED, "", "latest", "v2")],
            id="a pinned version",
        ),
        pytest.param(
            _tag_everything,
            [
                Change(
                    *STATS,
                    ChangeClass.UPDATED,
                    now="batch_source.tags: added; features.acc_rate.description: none → better; "
                    "owner: a@b → somebody; tags.team: ranking → other",
                )
            ],
            id="tags, owner, descriptions only",
        ),
        pytest.param(
            _deepen,
            [
                Change(
                    "feature_view",
                    "driver_fresh",
                    ChangeClass.UPDATED,
                    now="features.emb.vector_length: none → 384",
                )
            ],
            id="a vector length stated for the first time is no other type",
        ),
        pytest.param(
            _move,
            [
                Change(
                    "feature_service",
                    "driver_activity_v1",
                    ChangeClass.MOVED,
                    "driver_hourly_stats:avg_daily_trips",
                    "driver_activity_v2",
                    "driver_activity_v1",
                ),
                Change(
                    "feature_service",
                    "driver_activity_v2",
                    ChangeClass.UPDATED,
                    now="features.driver_hourly_stats.feature_columns.avg_daily_trips: removed",
                ),
            ],
            id="a feature moved between services",
        ),
        pytest.param(
            lambda o: o["feature_service"]["driver_activity_v2"]["features"].pop(),
            [
                Change(
                    "feature_service",
                    "driver_activity_v2",
                    ChangeClass.DELETED,
                    "globals_view:g",
                )
            ],
            id="a feature left a service",
        ),
        pytest.param(
            _pin_member,
            [
                Change(
                    "feature_service",
                    "driver_activity_v1",
                    ChangeClass.VERSION_PINNED,
                    f"transformed:{feature}",
                    "latest",
                    "v0",
                )
                for feature in ("acc_plus", "conv_plus")
            ],
            id="a service pinned to a version of a view",
        ),
        pytest.param(
            lambda o: o["feature_service"]["driver_activity_v2"]["features"][1].pop("join_key_map"),
            [
                Change(
                    "feature_service",
                    "driver_activity_v2",
                    ChangeClass.JOIN_KEYS_CHANGED,
                    "dc_alias:clicks",
                    "driver_id orig_driver",
                    "",
                )
            ],
            id="a service that renames join keys no more",
        ),
        pytest.param(
            lambda o: o["feature_service"]["driver_activity_v2"]["features"].reverse(),
            [
                Change(
                    "feature_service",
                    "driver_activity_v2",
                    ChangeClass.UPDATED,
                    now="features: in another order",
                )
            ],
            id="another order in a service",
        ),
    ],
)
def test_a_change_has_its_class(edit: Callable[[Objects], object], expected: list[Change]) -> None:
    was = some.real_snapshot()

    actual = diff(was, edited(was, edit))

    assert tuple(expected) == actual


def test_function_with_other_inputs_is_a_changed_transformation() -> None:
    was = some.real_snapshot()

    def edit(objects: Objects) -> None:
        objects["on_demand_feature_view"]["transformed"]["feature_transformation"] = some.udf("a")

    (actual,) = diff(was, edited(was, edit))

    assert actual.change is ChangeClass.TRANSFORMATION_CHANGED


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        pytest.param("a", "b", [ChangeClass.TRANSFORMATION_CHANGED], id="both known and different"),
        pytest.param("a", "a", [], id="both known and equal"),
        pytest.param("", "b", [], id="only one known"),
    ],
)
def test_code_of_a_function_counts_only_if_known_on_both_sides(
    was: str, now: str, expected: list[ChangeClass]
) -> None:
    real = some.real_snapshot()
    sides = [
        RegistrySnapshot(real.project, real.objects, {"transformed": text * 64} if text else {})
        for text in (was, now)
    ]

    assert expected == [change.change for change in diff(*sides)]


def test_sources_of_one_name_differ_by_their_digest() -> None:
    was = some.real_snapshot()
    moved = some.source("hourly_source", file_options={"uri": "elsewhere"})

    (actual,) = diff(was, edited(was, _with(*STATS, batch_source=moved)))

    assert actual.was.startswith("hourly_source#")
    assert actual.was != actual.now


def test_a_lost_input_of_an_on_demand_view_is_a_source_change() -> None:
    was = some.real_snapshot()

    def edit(objects: Objects) -> None:
        sources = objects["on_demand_feature_view"]["transformed"]["sources"]
        sources["driver_hourly_stats"]["feature_view_projection"]["feature_columns"].pop(0)

    (actual,) = diff(was, edited(was, edit))

    assert actual == Change(
        "on_demand_feature_view",
        "transformed",
        ChangeClass.SOURCE_CHANGED,
        "",
        "driver_hourly_stats:conv_rate FLOAT",
        "",
    )


@given(some.snapshots())
def test_a_registry_does_not_differ_from_itself(snapshot: RegistrySnapshot) -> None:
    assert diff(snapshot, snapshot) == ()
    assert delta(snapshot, snapshot) == ()


@given(some.snapshots(), st.data())
def test_a_delta_is_all_that_differs(was: RegistrySnapshot, data: st.DataObject) -> None:
    now = data.draw(some.edits(was) | some.snapshots())

    objects = {kind: dict(named) for kind, named in was.objects.items()}
    for item in delta(was, now):
        named = objects.setdefault(item.kind, {})
        assert named.pop(item.name, None) == item.was
        if item.now is not None:
            named[item.name] = item.now
    assert {k: v for k, v in objects.items() if v} == {k: v for k, v in now.objects.items() if v}


@given(some.snapshots(), st.data())
def test_whatever_differs_has_a_change(was: RegistrySnapshot, data: st.DataObject) -> None:
    now = data.draw(some.edits(was))

    changed = {(change.kind, change.name) for change in diff(was, now)}

    assert {(item.kind, item.name) for item in delta(was, now)} <= changed


@given(some.snapshots(), st.data())
def test_tags_owner_and_description_are_an_update_at_most(
    was: RegistrySnapshot, data: st.DataObject
) -> None:
    now = data.draw(some.annotated(was))

    assert {change.change for change in diff(was, now)} <= {ChangeClass.UPDATED}
