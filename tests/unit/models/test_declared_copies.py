"""Feast keys that were copied from a declaration are not records."""

from datetime import UTC, datetime

from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.recorded import DECLARED_TAG, own_records, version_tag_record

COPIED = {
    "feast.project": "driver_ranking",
    "feast.feature_service": "driver_activity_v1",
    "feast.feature_refs": "driver_hourly_stats:conv_rate",
    "feast.feature_count": "1",
    "feast.feature_views": "driver_hourly_stats",
}


def version(tags: dict[str, str]) -> ModelVersion:
    return ModelVersion("m", "1", datetime(2026, 11, 21, tzinfo=UTC), tags=tags)


def test_a_copy_of_a_declaration_is_no_record() -> None:
    """Otherwise the declaration could never be changed: its own copy would contradict it."""
    copy = own_records(version({**COPIED, DECLARED_TAG: "driver_activity_v1"}))

    assert version_tag_record(copy, None) is None
    assert "feast.feature_service" not in copy.tags
    assert copy.tags["feast.project"] == "driver_ranking"


def test_tags_by_feast_or_a_user_are_records() -> None:
    written = version(COPIED)

    assert own_records(written) is written
    assert version_tag_record(own_records(written), None) is not None
