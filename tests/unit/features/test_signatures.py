"""The serving signature: what is asked for in a request, and what comes back."""

from hypothesis import given
from tests import strategies as some
from tests.strategies import edited

from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot

REAL = some.real_snapshot()


def twice(**maps: dict[str, str]) -> RegistrySnapshot:
    """A registry with a service that has one view under several names."""
    columns = [some.field("trips", "INT64")]
    view = {"name": "driver_hourly_stats"}
    members = [
        some.projection(view, columns, feature_view_name_alias=name, join_key_map=renames)
        for name, renames in maps.items()
    ]
    return edited(
        REAL, lambda o: o["feature_service"].update(routes={"name": "routes", "features": members})
    )


def test_a_service_has_the_keys_of_the_request_under_their_new_names() -> None:
    registry = twice(origin={"driver_id": "origin_id"}, dest={"driver_id": "dest_id"})
    signature = signature_of(registry, "routes", ())

    assert signature is not None
    assert signature.keys == (("dest_id", "INT64"), ("origin_id", "INT64"))
    assert [(p.name, p.view, p.keys) for p in signature.projections] == [
        ("origin", "driver_hourly_stats", (("driver_id", "origin_id"),)),
        ("dest", "driver_hourly_stats", (("driver_id", "dest_id"),)),
    ]
    assert [(p.name, feature) for p, feature in signature.columns] == [
        ("origin", "trips"),
        ("dest", "trips"),
    ]


def test_on_demand_columns_come_last_with_the_request_they_need() -> None:
    refs = map(FeatureRef.parse, ("transformed:conv_plus", "driver_hourly_stats:conv_rate"))
    signature = signature_of(REAL, "", refs)

    assert signature is not None
    assert [p.name for p in signature.projections] == ["driver_hourly_stats", "transformed"]
    assert signature.request
    assert signature.projections[1].keys == ()
    assert dict(signature.keys)["driver_id"] == "INT64"


def test_a_missing_service_or_view_has_no_signature() -> None:
    assert signature_of(REAL, "none", ()) is None
    assert signature_of(REAL, "", [FeatureRef("none", "trips")]) is None


def test_a_view_says_why_it_is_not_served() -> None:
    def edit(objects: some.Objects) -> None:
        objects["feature_view"]["driver_hourly_stats"].pop("online", None)
        objects["feature_view"]["driver_hourly_stats"]["disabled"] = True
        objects["entity"].pop("driver")

    signature = signature_of(
        edited(REAL, edit), "", [FeatureRef.parse("driver_hourly_stats:conv_rate")]
    )

    assert signature is not None
    assert signature.offline == ("driver_hourly_stats",)
    assert signature.disabled == ("driver_hourly_stats",)
    assert signature.no_entity == (("driver_hourly_stats", "driver"),)


@given(some.snapshots())
def test_every_service_that_has_its_views_has_a_signature(snapshot: RegistrySnapshot) -> None:
    for service, spec in snapshot.objects.get("feature_service", {}).items():
        signature = signature_of(snapshot, service, ())

        assert signature is not None
        assert sorted(feature for _, feature in signature.columns) == sorted(
            column["name"] for member in spec["features"] for column in member["feature_columns"]
        )
