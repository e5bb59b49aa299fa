"""Registry snapshots in ConfigMaps: a later process finds them by digest."""

import base64
import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.features import snapshot as snapshots
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import CONFIG_MAPS, PROJECT_LABEL, PROJECTS, Kind
from feature_lineage.kube.snapshots import (
    KEPT_RECORDS,
    KEPT_SNAPSHOTS,
    PIECE_BYTES,
    KubeSnapshots,
)

TIMELINE = "feature-lineage-registry-ranking"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def registry(*features: str) -> RegistrySnapshot:
    columns = [{"name": name, "value_type": "FLOAT"} for name in features]
    views = {"stats": {"name": "stats", "features": columns}}
    return RegistrySnapshot("ranking", {"feature_view": views})


def record(snapshot: RegistrySnapshot, hours: int = 0, revision: str = "a") -> SnapshotRecord:
    return SnapshotRecord(NOW + timedelta(hours=hours), snapshot.digest, revision)


class StoredProject:
    """A project on the API server, and stores without a cache."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.key = Key("FeatureStoreProject", namespace, "ranking")
        self.project: FeatureStoreProject | None = None

    async def create(self) -> None:
        body = {
            "apiVersion": PROJECTS.api_version,
            "kind": PROJECTS.kind,
            "metadata": {"name": "ranking"},
            "spec": {"project": "ranking", "source": {"image": {"path": "/repo"}}},
        }
        made = await self.api.create(PROJECTS, self.key.namespace, body)
        self.project = FeatureStoreProject.model_validate(made)

    def store(self) -> KubeSnapshots:
        return KubeSnapshots(self.api, lambda _: self.project)

    async def names(self) -> list[str]:
        labels = f"{PROJECT_LABEL}=ranking"
        found = self.api.list(CONFIG_MAPS, self.key.namespace, labels=labels)
        return sorted([each["metadata"]["name"] async for each in found])

    async def versions(self) -> dict[str, str]:
        """Return the version of each ConfigMap that is kept."""
        namespace = self.key.namespace
        found = {
            name: await self.api.get(CONFIG_MAPS, namespace, name) for name in await self.names()
        }
        return {name: each["metadata"]["resourceVersion"] for name, each in found.items()}


@pytest.fixture
async def stored_project(admin: Api, namespace: str) -> StoredProject:
    found = StoredProject(admin, namespace)
    await found.create()
    return found


async def test_snapshot_is_found_by_its_digest_after_a_restart(
    stored_project: StoredProject,
) -> None:
    first, second = registry("a"), registry("a", "b")
    store = stored_project.store()
    await store.put(stored_project.key, first, record(first))
    await store.put(stored_project.key, second, record(second, hours=1))

    for each in (store, stored_project.store()):
        assert await each.get(stored_project.key, first.digest) == first
        assert await each.get(stored_project.key, second.digest) == second
        assert await each.get(stored_project.key, "0" * 64) is None
        assert await each.history(stored_project.key) == (record(first), record(second, hours=1))


async def test_repeated_snapshot_extends_its_record(
    stored_project: StoredProject,
) -> None:
    snapshot, store = registry("a"), stored_project.store()
    await store.put(stored_project.key, snapshot, record(snapshot))
    await store.put(stored_project.key, snapshot, record(snapshot, hours=3, revision=""))

    (kept,) = await stored_project.store().history(stored_project.key)
    assert (kept.at, kept.revision, kept.seen_until) == (NOW, "a", NOW + timedelta(hours=3))
    assert len(await stored_project.names()) == 2


async def test_the_newest_few_are_kept_and_the_timeline_has_all(
    stored_project: StoredProject,
) -> None:
    store = stored_project.store()
    made = [registry(f"f{number}") for number in range(KEPT_SNAPSHOTS + 2)]
    for hours, snapshot in enumerate(made):
        await store.put(stored_project.key, snapshot, record(snapshot, hours))

    after = stored_project.store()
    assert [await after.get(stored_project.key, s.digest) for s in made[:2]] == [None, None]
    assert [await after.get(stored_project.key, s.digest) for s in made[2:]] == made[2:]
    assert len(await after.history(stored_project.key)) == len(made)
    assert len(await stored_project.names()) == KEPT_SNAPSHOTS + 1


async def test_large_registry_is_kept_in_pieces(stored_project: StoredProject) -> None:
    # Digests do not compress: each feature has about sixty random bytes.
    large = registry(*(record(registry(str(n))).digest for n in range(25_000)))
    await stored_project.store().put(stored_project.key, large, record(large))

    assert await stored_project.store().get(stored_project.key, large.digest) == large
    assert len(await stored_project.names()) > 2
    assert len(large.to_json()) > PIECE_BYTES


async def test_damaged_snapshot_is_kept_again(
    stored_project: StoredProject,
) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    (piece,) = (name for name in await stored_project.names() if snapshot.digest[:16] in name)
    changed = {"binaryData": {"snapshot.json.gz": "AAAA"}}
    await stored_project.api.patch(CONFIG_MAPS, stored_project.key.namespace, piece, changed)

    store = stored_project.store()
    assert await store.get(stored_project.key, snapshot.digest) is None
    assert piece in store.damage(stored_project.key)
    await store.put(stored_project.key, snapshot, record(snapshot, hours=1))
    assert store.damage(stored_project.key) == ""
    assert await stored_project.store().get(stored_project.key, snapshot.digest) == snapshot


async def test_a_damaged_snapshot_is_read_once(
    stored_project: StoredProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    (piece,) = (name for name in await stored_project.names() if snapshot.digest[:16] in name)
    changed = {"binaryData": {"snapshot.json.gz": "AAAA"}}
    await stored_project.api.patch(CONFIG_MAPS, stored_project.key.namespace, piece, changed)
    store, read = stored_project.store(), stored_project.api.find
    names: list[str] = []

    async def find(kind: Kind, namespace: str, name: str) -> Object | None:
        names.append(name)
        return await read(kind, namespace, name)

    monkeypatch.setattr(stored_project.api, "find", find)
    for _ in range(3):
        assert await store.get(stored_project.key, snapshot.digest) is None

    assert names == [TIMELINE, piece]


async def test_a_snapshot_that_is_too_large_is_not_decompressed(
    stored_project: StoredProject, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    (piece,) = (name for name in await stored_project.names() if snapshot.digest[:16] in name)
    poison = base64.b64encode(gzip.compress(bytes(200_000_000))).decode()
    changed = {"binaryData": {"snapshot.json.gz": poison}}
    await stored_project.api.patch(CONFIG_MAPS, stored_project.key.namespace, piece, changed)

    assert await stored_project.store().get(stored_project.key, snapshot.digest) is None
    assert f"more than {snapshots.MAX_BYTES} bytes when decompressed" in caplog.text


async def test_a_timeline_that_is_too_long_keeps_its_newest_rows(
    stored_project: StoredProject,
) -> None:
    """A tenant may write it; and each new snapshot adds a row."""
    first, second = registry("a"), registry("a", "b")
    await stored_project.store().put(stored_project.key, first, record(first))
    at = [(NOW + timedelta(minutes=n)).isoformat() for n in range(KEPT_RECORDS + 500)]
    digests = [f"{n:064x}" for n in range(len(at))]
    data = {
        "history.json": json.dumps([[*each, "", None] for each in zip(at, digests, strict=True)]),
        "snapshots.json": json.dumps([[digest, 1] for digest in digests]),
    }
    await stored_project.api.patch(
        CONFIG_MAPS, stored_project.key.namespace, TIMELINE, {"data": data}
    )

    store = stored_project.store()
    found = await store.history(stored_project.key)
    assert [each.digest for each in found] == digests[-KEPT_RECORDS:]
    await store.put(stored_project.key, second, record(second, hours=100))
    found = await stored_project.store().history(stored_project.key)
    assert [each.digest for each in found] == [*digests[1 - KEPT_RECORDS :], second.digest]
    written = await stored_project.api.get(CONFIG_MAPS, stored_project.key.namespace, TIMELINE)
    assert len(json.loads(written["data"]["history.json"])) == KEPT_RECORDS
    assert len(json.loads(written["data"]["snapshots.json"])) == KEPT_SNAPSHOTS


async def test_a_snapshot_with_another_content_is_not_parsed(
    stored_project: StoredProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    (piece,) = (name for name in await stored_project.names() if snapshot.digest[:16] in name)
    poison = gzip.compress(b"[" + b"[]," * 10_000_000 + b"[]]")
    changed = {"binaryData": {"snapshot.json.gz": base64.b64encode(poison).decode()}}
    await stored_project.api.patch(CONFIG_MAPS, stored_project.key.namespace, piece, changed)
    parsed: list[int] = []
    monkeypatch.setattr(snapshots, "parse_json", lambda text: parsed.append(len(text)))

    assert await stored_project.store().get(stored_project.key, snapshot.digest) is None
    assert parsed == []
    assert f"has digest {hashlib.sha256(gzip.decompress(poison)).hexdigest()}" in caplog.text


@pytest.mark.parametrize(
    "data",
    [
        {"history.json": "[[1]]"},
        {"history.json": "no JSON"},
        {"history.json": f'[["2026-11-26T12:00:00", "{"0" * 64}", "", null]]'},
        {"snapshots.json": f'[["{"0" * 64}", 1000000000]]'},
        {"snapshots.json": '[["../secret", 1]]'},
        {"history.json": "[" * 100_000 + "]" * 100_000},
        {"snapshots.json": "[" * 100_000 + "]" * 100_000},
    ],
    ids=[
        *("shape", "no JSON", "no time zone", "a billion pieces", "no digest"),
        *("a deep history", "a deep list"),
    ],
)
async def test_a_damaged_timeline_starts_again(
    stored_project: StoredProject, data: dict[str, str]
) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    await stored_project.api.patch(
        CONFIG_MAPS, stored_project.key.namespace, TIMELINE, {"data": data}
    )

    store = stored_project.store()
    assert await store.history(stored_project.key) == ()
    assert f"{TIMELINE} cannot be used" in store.damage(stored_project.key)
    await store.put(stored_project.key, snapshot, record(snapshot, hours=1))
    assert await stored_project.store().history(stored_project.key) == (record(snapshot, hours=1),)


async def test_a_timeline_of_another_owner_is_not_used(stored_project: StoredProject) -> None:
    """Such as that of a deleted project with this name, until it is collected."""
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    theirs = {"metadata": {"ownerReferences": []}}
    await stored_project.api.patch(CONFIG_MAPS, stored_project.key.namespace, TIMELINE, theirs)

    assert await stored_project.store().history(stored_project.key) == ()
    assert await stored_project.store().get(stored_project.key, snapshot.digest) is None


async def test_recreated_project_inherits_nothing(stored_project: StoredProject) -> None:
    snapshot = registry("a")
    await stored_project.store().put(stored_project.key, snapshot, record(snapshot))
    await stored_project.api.delete(PROJECTS, stored_project.key.namespace, "ranking")
    await stored_project.create()

    store = stored_project.store()
    assert await store.history(stored_project.key) == ()
    assert await store.get(stored_project.key, snapshot.digest) is None


async def test_a_put_that_changes_nothing_writes_nothing(stored_project: StoredProject) -> None:
    snapshot, store = registry("a"), stored_project.store()
    await store.put(stored_project.key, snapshot, record(snapshot))
    before = await stored_project.versions()
    await store.put(stored_project.key, snapshot, record(snapshot))

    assert await stored_project.versions() == before
    assert len(before) == 2


@pytest.mark.parametrize("gone", ["timeline", "piece", "all"])
@pytest.mark.parametrize("hours", [0, 3], ids=["the same", "later"])
async def test_deleted_snapshot_is_written_again(
    stored_project: StoredProject, gone: str, hours: int
) -> None:
    first, second = registry("a"), registry("a", "b")
    store = stored_project.store()
    await store.put(stored_project.key, first, record(first))
    await store.put(stored_project.key, second, record(second, hours=1))
    history = await store.history(stored_project.key)
    doomed = {
        "timeline": [TIMELINE],
        "piece": [name for name in await stored_project.names() if second.digest[:16] in name],
        "all": await stored_project.names(),
    }[gone]
    for name in doomed:
        await stored_project.api.delete(CONFIG_MAPS, stored_project.key.namespace, name)
    await store.put(stored_project.key, second, record(second, hours=1 + hours))

    after = stored_project.store()
    assert doomed
    kept = await after.history(stored_project.key)
    assert [(r.at, r.digest) for r in kept] == [(r.at, r.digest) for r in history]
    assert await after.get(stored_project.key, second.digest) == second
    # Only the time of an older snapshot is known here; the ops runs in MLflow contain it.
    assert await after.get(stored_project.key, first.digest) == (None if gone == "all" else first)
