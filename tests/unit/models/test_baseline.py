"""The baseline of a version."""

from datetime import timedelta

import pytest
from tests.strategies import EPOCH

from feature_lineage.api.project_status import AppliedStatus
from feature_lineage.decide.model.link import baseline_of
from feature_lineage.features.history import SnapshotRecord, standing_at
from feature_lineage.models.baseline import (
    BASELINE_DIGEST_TAG,
    BASELINE_FROM_TAG,
    REGISTRY_DIGEST_TAG,
    Baseline,
    choose_baseline,
)
from feature_lineage.models.facts import ModelVersion, RegistryView, TrainingRun

DAY = timedelta(days=1)
OLD, NEW, NOW = "a" * 64, "b" * 64, "c" * 64
HISTORY = [SnapshotRecord(EPOCH + 2 * DAY, NEW, "b1"), SnapshotRecord(EPOCH, OLD, "a1")]
CURRENT = SnapshotRecord(EPOCH + 9 * DAY, NOW)


def _run(day: float) -> TrainingRun:
    return TrainingRun("run", EPOCH + day * DAY)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param(
            _run(1),
            Baseline(OLD, "Training", revision="a1"),
            id="the registry when the run started",
        ),
        pytest.param(
            _run(2), Baseline(NEW, "Training", revision="b1"), id="from the very moment it stood"
        ),
        pytest.param(_run(-1), Baseline(NOW, "FirstSight"), id="before history: first sight"),
        pytest.param(
            None, Baseline(NEW, "FirstSight"), id="no run: the earliest sight is its creation"
        ),
    ],
)
def test_history_gives_the_baseline(run: TrainingRun | None, expected: Baseline) -> None:
    actual = choose_baseline({}, run, EPOCH + 3 * DAY, HISTORY, CURRENT)

    assert expected == actual


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param(
            {REGISTRY_DIGEST_TAG: OLD, BASELINE_FROM_TAG: "Training", BASELINE_DIGEST_TAG: NEW},
            Baseline(OLD, "Training", NEW),
            id="as it was recorded",
        ),
        pytest.param(
            {REGISTRY_DIGEST_TAG: OLD}, Baseline(OLD, "FirstSight"), id="origin not recorded"
        ),
        pytest.param(
            {REGISTRY_DIGEST_TAG: OLD, BASELINE_FROM_TAG: "training", BASELINE_DIGEST_TAG: "../x"},
            Baseline(OLD, "FirstSight"),
            id="untrusted text beside it",
        ),
        pytest.param(
            {REGISTRY_DIGEST_TAG: "../../etc/passwd"},
            Baseline(NEW, "Training", revision="b1"),
            id="no digest: as if it were not there",
        ),
    ],
)
def test_a_recorded_baseline_is_found_again(tags: dict[str, str], expected: Baseline) -> None:
    actual = choose_baseline(tags, _run(3), EPOCH + 3 * DAY, HISTORY, CURRENT)

    assert expected == actual


def test_there_is_no_baseline_before_a_registry_was_seen() -> None:
    assert choose_baseline({}, _run(1), EPOCH, [], None) is None


def test_history_that_starts_later_says_nothing() -> None:
    assert standing_at(HISTORY, EPOCH - DAY) is None


def _seen(day: float, digest: str, until: float | None = None) -> SnapshotRecord:
    """A registry that another tool applied, read at `day` and again at `until`."""
    return SnapshotRecord(
        EPOCH + day * DAY,
        digest,
        seen_until=EPOCH + until * DAY if until is not None else None,
    )


@pytest.mark.parametrize(
    ("day", "history", "expected"),
    [
        pytest.param(
            1, [_seen(0, OLD, 2), _seen(3, NEW)], Baseline(OLD, "Training"), id="seen to stand"
        ),
        pytest.param(
            2.5,
            [_seen(0, OLD, 2), _seen(3, NEW)],
            Baseline(NEW, "FirstSight"),
            id="between two looks that saw different ones",
        ),
        pytest.param(
            2.5,
            [_seen(0, OLD, 2), SnapshotRecord(EPOCH + 3 * DAY, NEW, "b1")],
            Baseline(OLD, "Training"),
            id="the next one is our apply: exact",
        ),
        pytest.param(1, [_seen(0, OLD, 2)], Baseline(OLD, "Training"), id="the newest, seen since"),
        pytest.param(
            3, [_seen(0, OLD, 2)], Baseline(OLD, "FirstSight"), id="the newest, not seen since"
        ),
        pytest.param(
            3,
            [SnapshotRecord(EPOCH, OLD, "a1")],
            Baseline(OLD, "Training", revision="a1"),
            id="the newest is our apply",
        ),
    ],
)
def test_run_between_two_reads_does_not_get_the_older_registry(
    day: float, history: list[SnapshotRecord], expected: Baseline
) -> None:
    assert expected == choose_baseline({}, _run(day), EPOCH + 9 * DAY, history, CURRENT)


def test_a_snapshot_that_is_seen_again_stood_until_then() -> None:
    first, again = _seen(0, OLD), SnapshotRecord(EPOCH + DAY, OLD, "a1")

    actual = first.seen_again(again)

    assert (actual.at, actual.revision, actual.seen_until) == (EPOCH, "a1", EPOCH + DAY)
    assert first.seen_again(first).seen_until is None


class TestRevision:
    """The revision that was in force when the model was trained."""

    RUN = _run(3)
    VIEW = RegistryView(EPOCH, {}, {"run": RUN})
    VERSION = ModelVersion("m", "1", EPOCH + 3 * DAY, run_id="run")

    def revision(self, history: list[SnapshotRecord], applied: AppliedStatus) -> str | None:
        found = baseline_of(self.VIEW, self.VERSION, history, CURRENT, applied)
        return found.revision if found is not None else None

    def applied(self, day: float, digest: str = NEW) -> AppliedStatus:
        return AppliedStatus(revision="c1", registry_digest=digest, at=EPOCH + day * DAY)

    def test_a_later_apply_does_not_count(self) -> None:
        assert self.revision(HISTORY, self.applied(4, NOW)) == "b1"

    def test_of_revisions_with_the_same_registry_the_last_one_counts(self) -> None:
        assert self.revision(HISTORY, self.applied(2.5)) == "c1"
        assert self.revision(HISTORY, self.applied(3.5)) == "b1"

    def test_after_a_change_by_another_tool_there_is_none(self) -> None:
        history = [SnapshotRecord(EPOCH, OLD, "a1"), _seen(2, NEW, 9)]

        assert self.revision(history, self.applied(0, OLD)) == ""

    def test_a_first_sight_has_none(self) -> None:
        assert self.revision([], self.applied(2)) == ""
