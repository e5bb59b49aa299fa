"""Reports and snapshots in ConfigMaps: the largest legitimate ones."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from tests.fuzz.reports import JOBS, SCENARIOS, Written
from tests.fuzz.reports import ConfigMaps as ReportMaps
from tests.fuzz.snapshots import KEY, PROJECT, ConfigMaps
from tests.unit.decide.build import NOW, view_report
from tests.unit.operations.build import registry, view

from feature_lineage.features import bounds
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.jobs.report import read_report
from feature_lineage.kube.snapshots import KubeSnapshots
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.pod_protocol import pack_report
from feature_lineage.operations.protocol import encode


def snapshot_of(views: int, features: int) -> RegistrySnapshot:
    named = {f"feature_with_a_long_name_{number}": "FLOAT" for number in range(features)}
    tags = {"team": "ranking", "description": "x" * 200}
    return registry({f"view_{number}": view(named, tags=tags) for number in range(views)})


def written(report: JobReport) -> Written:
    text = encode(report).encode()
    manifest, pieces = pack_report(text, JOBS[0])
    encoded = tuple(base64.b64encode(piece).decode() for piece in pieces)
    return Written(JOBS[0], text, encode(manifest), encoded, "")


async def test_a_snapshot_of_5000_features_in_700_views_is_read() -> None:
    api: Any = ConfigMaps({})
    large = snapshot_of(700, 8)
    assert sum(len(spec["features"]) for _, _, spec in large.views()) > 5000

    store = KubeSnapshots(api, lambda key: PROJECT)
    await store.put(KEY, large, SnapshotRecord(NOW, large.digest, "c0ffee"))

    assert await KubeSnapshots(api, lambda key: PROJECT).get(KEY, large.digest) == large


async def test_a_snapshot_of_too_many_dependencies_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An earlier version stored it: the state says why it is not used, and goes on."""
    api: Any = ConfigMaps({})
    large, small = snapshot_of(9, 1), snapshot_of(1, 1)
    await KubeSnapshots(api, lambda key: PROJECT).put(KEY, large, SnapshotRecord(NOW, large.digest))
    monkeypatch.setattr(bounds, "MAX_DEPENDENCIES", 100)
    store = KubeSnapshots(api, lambda key: PROJECT)

    for _ in range(2):
        assert await store.get(KEY, large.digest) is None

    assert "has too many dependencies" in store.damage(KEY)
    await store.put(KEY, small, SnapshotRecord(NOW + timedelta(hours=1), small.digest))
    assert store.damage(KEY) == ""
    monkeypatch.undo()
    assert await KubeSnapshots(api, lambda key: PROJECT).get(KEY, large.digest) == large


async def test_a_report_of_500_views_is_read() -> None:
    snapshot = snapshot_of(500, 10)
    views = tuple(
        view_report(
            name,
            "Failed",
            start=NOW - timedelta(hours=1),
            end=NOW,
            rows=1_000_000,
            seconds=1.5,
            materialized_until=NOW,
        ).model_copy(update={"error": "x" * 1000})
        for _, name, _ in snapshot.views()
    )
    report = SCENARIOS[0].report("Partial", snapshot=snapshot, views=views)
    api: Any = ReportMaps(written(report))

    assert await read_report(api, "ml", JOBS[0]) == report
