"""The definitions that a model depends on, for each kind of view."""

import json
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import Objects, edited

from feature_lineage.features.definitions import (
    GONE,
    FeatureDefinition,
    Missing,
    define_all,
    feeding_views,
    look_up,
    schema_digest,
)
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_members, service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.features.views import source_data

REAL = some.real_snapshot()
CONV_PLUS = FeatureRef("transformed", "conv_plus")


def _defined(snapshot: RegistrySnapshot, text: str) -> FeatureDefinition:
    found = look_up(snapshot, FeatureRef.parse(text))
    assert isinstance(found, FeatureDefinition)
    return found


def test_a_plain_view_gives_type_keys_source_and_ttl() -> None:
    actual = _defined(REAL, "driver_hourly_stats:conv_rate")

    assert actual.dtype == "FLOAT"
    assert actual.join_keys == (("driver_id", "INT64"),)
    assert actual.source.startswith("hourly_source#")
    assert (actual.ttl, actual.version, actual.transformation) == ("86400s", "", "")


def test_a_stream_view_has_both_its_sources_and_its_function() -> None:
    actual = _defined(REAL, "driver_stream:trips")

    assert actual.source.startswith("hourly_source, kafka_source#")
    assert actual.transformation


def _configured(configuration: bytes) -> str:
    """The digest of the data of a view with this custom source."""
    options = {"configuration": b64encode(configuration).decode()}
    return source_data({"batch_source": {"type": "CUSTOM_SOURCE", "custom_options": options}})


def _postgres(**fields: str) -> str:
    return _configured(json.dumps(fields).encode())


def test_another_name_of_a_postgres_source_is_the_same_data() -> None:
    named = _postgres(name="a", query="", table="t")

    assert named == _postgres(name="b", query="", table="t")
    assert named != _postgres(name="a", query="", table="u")
    assert _postgres(name="a", query="SELECT 1") == _postgres(name="b", query="SELECT 1")
    assert _postgres(name="a", query="SELECT 1") != _postgres(name="a", query="SELECT 2")


def test_a_name_that_alone_says_where_the_data_is_counts() -> None:
    assert _postgres(name="a", query="", table="") != _postgres(name="b", query="", table="")
    assert _postgres(name="a", path="p") != _postgres(name="b", path="p")


@pytest.mark.parametrize(
    "odd",
    [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b'{"table": "\\ud800", "name": "a"}'],
    ids=["empty", "binary", "list", "half", "deep", "surrogate"],
)
def test_a_configuration_that_is_none_counts_as_it_is(odd: bytes) -> None:
    assert _configured(odd) != _configured(b"other")
    assert source_data({"batch_source": {"type": "CUSTOM_SOURCE", "custom_options": [1]}})


def test_a_view_without_entity_has_no_join_keys() -> None:
    assert _defined(REAL, "globals_view:g").join_keys == ()


def test_a_pinned_view_says_its_version() -> None:
    assert _defined(REAL, "pinned_view:p").version == "v0"


def test_an_on_demand_view_has_the_keys_of_its_source_views() -> None:
    actual = _defined(REAL, "mixed:mix")

    assert actual.join_keys == (("customer_id", "STRING"), ("driver_id", "INT64"))
    assert [name for name, _ in actual.inputs] == [
        "driver_customer:clicks",
        "driver_hourly_stats:conv_rate",
    ]


def test_a_request_field_is_an_input_with_its_type() -> None:
    assert ("vals:val_to_add", "INT64") in _defined(REAL, "transformed:conv_plus").inputs


@pytest.mark.parametrize(
    ("text", "what", "view"),
    [
        pytest.param("gone:x", "view", "gone", id="the view"),
        pytest.param("driver_hourly_stats:x", "feature", "driver_hourly_stats", id="the feature"),
    ],
)
def test_it_is_said_what_is_missing(text: str, what: str, view: str) -> None:
    ref = FeatureRef.parse(text)

    assert look_up(REAL, ref) == Missing(ref, what, view)  # type: ignore[arg-type]
    assert define_all(REAL, [ref]) == ()


def test_an_on_demand_view_reports_a_missing_source_view() -> None:
    now = edited(REAL, lambda o: o["feature_view"].pop("driver_hourly_stats"))

    assert look_up(now, CONV_PLUS) == Missing(CONV_PLUS, "view", "driver_hourly_stats")


def test_an_input_that_is_gone_from_its_view_is_marked() -> None:
    now = edited(REAL, lambda o: o["feature_view"]["driver_hourly_stats"]["features"].pop(0))

    assert ("driver_hourly_stats:acc_rate", GONE) in _defined(now, str(CONV_PLUS)).inputs


def _set(**changes: object) -> Callable[[Objects], object]:
    return lambda objects: objects["feature_view"]["driver_hourly_stats"].update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(_set(ttl="1s"), id="its TTL"),
        pytest.param(_set(batch_source=some.source("other")), id="its source"),
        pytest.param(_set(version="v3"), id="its version"),
        pytest.param(
            _set(features=[some.field(f, "STRING") for f in ("acc_rate", "conv_rate")]),
            id="its types",
        ),
    ],
)
def test_a_change_in_a_source_view_changes_the_on_demand_view(
    edit: Callable[[Objects], object],
) -> None:
    was, now = _defined(REAL, str(CONV_PLUS)), _defined(edited(REAL, edit), str(CONV_PLUS))

    assert was.inputs != now.inputs
    assert (was.dtype, was.join_keys, was.transformation) == (
        now.dtype,
        now.join_keys,
        now.transformation,
    )


def test_views_that_feed_each_other_in_a_cycle_are_read() -> None:
    def circle(objects: Objects) -> None:
        source = {"feature_view_projection": some.projection({"name": "mixed"}, [])}
        objects["on_demand_feature_view"]["transformed"]["sources"] = {"mixed": source}
        source = {"feature_view_projection": some.projection({"name": "transformed"}, [])}
        objects["on_demand_feature_view"]["mixed"]["sources"] = {"transformed": source}

    now = edited(REAL, circle)

    assert isinstance(look_up(now, CONV_PLUS), Missing)
    assert feeding_views(now, "mixed") == {"mixed", "transformed"}


def test_the_latest_definition_does_not_change_a_pinned_one() -> None:
    """Feast keeps versions of views; the snapshot contains the latest one only."""
    was = _defined(REAL, "driver_hourly_stats@v1:conv_rate")
    now = _defined(edited(REAL, _set(ttl="1s", features=[])), "driver_hourly_stats@v1:conv_rate")

    assert was == now
    assert (was.dtype, was.version) == ("", "v1")


def test_pinned_reference_has_the_type_projected_by_its_service() -> None:
    def pin(objects: Objects) -> None:
        objects["feature_service"]["driver_activity_v1"]["features"][0]["version_tag"] = 1

    assert _defined(edited(REAL, pin), "driver_hourly_stats@v1:conv_rate").dtype == "FLOAT"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"feast:nested_inner_type": "Array(Int32)"}, "VALUE_LIST<Array(Int32)>"),
        ({"team": "x"}, "VALUE_LIST"),
    ],
)
def test_an_inner_type_in_a_feast_tag_is_part_of_the_type(
    tags: dict[str, str], expected: str
) -> None:
    nested = {"name": "n", "value_type": "VALUE_LIST", "tags": tags}

    now = edited(REAL, _set(features=[nested]))

    assert _defined(now, "driver_hourly_stats:n").dtype == expected


def test_code_of_a_feeding_view_counts_once_all_code_is_known() -> None:
    def feed(objects: Objects) -> None:
        stream = objects["stream_feature_view"]["driver_stream"]
        source = {"feature_view_projection": some.projection(stream, stream["features"])}
        objects["on_demand_feature_view"]["transformed"]["sources"]["driver_stream"] = source

    def closure(**closures: str) -> str:
        fed = edited(REAL, feed)
        return _defined(RegistrySnapshot("p", fed.objects, closures), str(CONV_PLUS)).closure

    assert closure(transformed="a") == ""
    assert closure(transformed="a", driver_stream="b") not in (
        "",
        closure(transformed="a", driver_stream="c"),
    )


class TestService:
    """The projections of a service, by the real names of the views."""

    def test_a_partial_projection_in_its_order(self) -> None:
        assert list(map(str, service_refs(REAL, "driver_activity_v1") or ())) == [
            "driver_hourly_stats:conv_rate",
            "driver_hourly_stats:acc_rate",
            "transformed:conv_plus",
            "transformed:acc_plus",
        ]

    def test_an_alias_is_how_feast_spells_it_and_not_what_it_is(self) -> None:
        (actual,) = [
            member
            for member in service_members(REAL, "driver_activity_v2") or ()
            if member.ref.view == "driver_customer"
        ]

        assert actual.spelled == "dc_alias:clicks"
        assert actual.ref == FeatureRef("driver_customer", "clicks")

    def test_a_version_is_kept_and_v0_is_a_version(self) -> None:
        def pin(objects: Objects) -> None:
            objects["feature_service"]["driver_activity_v1"]["features"][1]["version_tag"] = 0

        refs = service_refs(edited(REAL, pin), "driver_activity_v1") or ()

        assert "transformed@v0:conv_plus" in map(str, refs)

    def test_a_view_projected_twice_has_two_members_per_reference(self) -> None:
        def twice(objects: Objects) -> None:
            projections = objects["feature_service"]["driver_activity_v2"]["features"]
            projections.append({**projections[1], "feature_view_name_alias": "other"})

        now = edited(REAL, twice)

        assert len(service_members(now, "driver_activity_v2") or ()) == 8
        assert len(service_refs(now, "driver_activity_v2") or ()) == 7

    def test_a_service_that_is_not_there_is_not_an_empty_one(self) -> None:
        assert service_refs(REAL, "gone") is None

    def test_a_join_key_that_a_service_renames_is_said(self) -> None:
        ref = FeatureRef("driver_customer", "clicks")

        (actual,) = define_all(REAL, [ref], "driver_activity_v2")

        assert actual.join_keys == (("customer_id", "STRING"), ("driver_id", "INT64"))
        assert actual.renamed == (("customer_id", "customer_id"), ("driver_id", "orig_driver"))


@given(some.snapshots(), st.data())
def test_the_schema_digest_does_not_depend_on_the_order(
    snapshot: RegistrySnapshot, data: st.DataObject
) -> None:
    refs = data.draw(some.used_refs(snapshot))
    turned = data.draw(st.permutations(refs))

    assert schema_digest(define_all(snapshot, refs)) == schema_digest(define_all(snapshot, turned))


@given(some.snapshots(), st.data())
def test_tags_owner_and_description_are_no_part_of_a_definition(
    was: RegistrySnapshot, data: st.DataObject
) -> None:
    now, refs = data.draw(some.annotated(was)), some.all_refs(was)

    assert define_all(was, refs) == define_all(now, refs)


@given(some.snapshots())
def test_every_feature_of_a_consistent_registry_is_defined(snapshot: RegistrySnapshot) -> None:
    refs = some.all_refs(snapshot)

    assert len(define_all(snapshot, refs)) == len(refs)
