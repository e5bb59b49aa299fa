"""Snapshots in the state folder, also of an earlier version."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.decide.build import NOW, STATS, A

from feature_lineage.decide.facts import Key
from feature_lineage.features import bounds
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.local.file_snapshots import FileSnapshots
from feature_lineage.local.state_folder import StateFolder

KEY = Key("FeatureStoreProject", "ml", "ranking")


async def test_a_repeated_snapshot_extends_its_record(tmp_path: Path) -> None:
    store = FileSnapshots(StateFolder(tmp_path))
    for minutes in (0, 5, 10):
        record = SnapshotRecord(NOW + timedelta(minutes=minutes), STATS.digest)
        await store.put(KEY, STATS, record)

    (only,) = await store.history(KEY)

    assert (only.at, only.seen_until) == (NOW, NOW + timedelta(minutes=10))


async def test_a_snapshot_of_too_many_dependencies_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version stored it: the state says why it is not used, and goes on."""
    store = FileSnapshots(StateFolder(tmp_path))
    await store.put(KEY, STATS, SnapshotRecord(NOW, STATS.digest))
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", 10)

    for _ in range(2):
        assert await store.get(KEY, STATS.digest) is None

    assert "has too many dependencies" in store.damage(KEY)
    monkeypatch.undo()
    assert await FileSnapshots(StateFolder(tmp_path)).get(KEY, STATS.digest) == STATS


async def test_a_timeline_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "snapshots/ml/ranking/history.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([[NOW.isoformat(), STATS.digest, A]]))

    (only,) = await FileSnapshots(StateFolder(tmp_path)).history(KEY)

    assert only == SnapshotRecord(NOW, STATS.digest, A)
    assert only.seen_until is None
