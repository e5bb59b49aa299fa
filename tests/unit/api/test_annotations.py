"""Annotations that permit a plan: only that plan, and never without a reason."""

import pytest

from feature_lineage.api.annotations import ALLOW_BREAKING, ALLOW_DELETE, Override, override
from feature_lineage.api.enums import OverrideKind
from feature_lineage.errors import InvalidManifest


@pytest.mark.parametrize("digest", ["0f1e2d", "sha256:0f1e2d"])
def test_a_plan_is_allowed_by_its_digest_with_a_reason(digest):
    annotations = {ALLOW_BREAKING: f"{digest}: driver_model retires: see ML-12"}

    found = override(annotations, OverrideKind.ALLOW_BREAKING)

    assert found == Override(
        OverrideKind.ALLOW_BREAKING, digest, why="driver_model retires: see ML-12"
    )


def test_a_deletion_is_allowed_with_a_reason_alone():
    found = override({ALLOW_DELETE: "moved away"}, OverrideKind.ALLOW_DELETE)

    assert found == Override(OverrideKind.ALLOW_DELETE, "", why="moved away")


def test_no_annotation_is_no_permission():
    assert override({ALLOW_DELETE: "moved"}, OverrideKind.ALLOW_BREAKING) is None


@pytest.mark.parametrize("value", ["", "0f1e2d", "0f1e2d:", "0f1e2d: ", ": why", "why not"])
def test_bad_permission_explains_its_format(value):
    with pytest.raises(InvalidManifest, match='"<plan digest>: <why>"'):
        override({ALLOW_BREAKING: value}, OverrideKind.ALLOW_BREAKING)


def test_a_deletion_without_a_reason_is_refused():
    with pytest.raises(InvalidManifest, match="gives no reason"):
        override({ALLOW_DELETE: " "}, OverrideKind.ALLOW_DELETE)


def test_an_error_shows_the_beginning_of_a_long_annotation():
    with pytest.raises(InvalidManifest) as caught:
        override({ALLOW_BREAKING: "x" * 200_000}, OverrideKind.ALLOW_BREAKING)

    assert len(caught.value.message) < 500
