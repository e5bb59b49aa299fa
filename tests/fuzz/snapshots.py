"""Registry snapshots and their timeline, as the leader reads them from ConfigMaps."""

import asyncio
import base64
import copy
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hypothesis import strategies as st
from tests.fuzz.harness import Target
from tests.fuzz.mutations import json_texts, packed
from tests.strategies import all_refs, real_snapshot
from tests.unit.decide.build import NOW, STATS, ProjectScenario

from feature_lineage.decide.facts import Key
from feature_lineage.errors import InvalidReport
from feature_lineage.features.definitions import define_all
from feature_lineage.features.diff import diff
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import KINDS, RegistrySnapshot, _digest_of_text
from feature_lineage.kube.jobs.names import owned_by_project, snapshot_name, timeline_name
from feature_lineage.kube.snapshots import KEPT_RECORDS, KEPT_SNAPSHOTS, KubeSnapshots
from feature_lineage.models.baseline import choose_baseline
from feature_lineage.models.facts import TrainingRun

RUNNER: Final = asyncio.Runner()
PROJECT: Final = ProjectScenario().project
KEY: Final = Key("FeatureStoreProject", "ml", "ranking")
KNOWN: Final = real_snapshot()
DOCUMENTS: Final = tuple(
    json.loads(RegistrySnapshot(each.project, each.objects, closures).to_json())
    for each in (KNOWN, STATS)
    for closures in ({}, {"stats": "0" * 64})
)
NAMES: Final = (*KINDS, "project", "objects", "closures", "name", "features", "value_type")


class ConfigMaps:
    """An API server that has some ConfigMaps, and takes any."""

    def __init__(self, found: dict[str, dict[str, Any]]) -> None:
        owner = {"ownerReferences": owned_by_project(PROJECT)}
        self.found = {name: {"metadata": owner, **each} for name, each in found.items()}

    async def find(self, kind: Any, namespace: str, name: str) -> Any:
        return copy.deepcopy(self.found.get(name))

    async def apply(self, kind: Any, namespace: str, body: Any) -> None:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
        self.found[body["metadata"]["name"]] = body

    async def delete(self, kind: Any, namespace: str, name: str) -> None:
        self.found.pop(name, None)


@dataclass(frozen=True)
class Stored:
    """A snapshot as it was stored under a digest: its text, and the gzip of that text."""

    digest: str
    text: bytes
    content: bytes


@st.composite
def stored(draw: st.DrawFn) -> Stored:
    text = draw(json_texts(DOCUMENTS, NAMES))
    digest = _digest_of_text(text) if draw(st.integers(0, 4)) else KNOWN.digest
    return Stored(digest, text, draw(packed(st.just(text))))


def read_snapshot(given: Stored) -> None:
    half = len(given.content) // 2
    pieces = [given.content[:half], given.content[half:]]
    found: dict[str, dict[str, Any]] = {
        snapshot_name(KEY.name, given.digest, number): {
            "binaryData": {"snapshot.json.gz": base64.b64encode(piece).decode()}
        }
        for number, piece in enumerate(pieces)
    }
    rows = [[NOW.isoformat(), given.digest, "", None]]
    found[timeline_name(KEY.name)] = {
        "data": {
            "history.json": json.dumps(rows),
            "snapshots.json": json.dumps([[given.digest, len(pieces)]]),
        }
    }
    api: Any = ConfigMaps(found)
    read = RUNNER.run(KubeSnapshots(api, lambda key: PROJECT).get(KEY, given.digest))
    if read is None:
        return
    assert _digest_of_text(given.text) == given.digest, "a text of another digest was parsed"
    again = RegistrySnapshot.from_json(read.to_json().encode(), read.digest)
    assert again.to_json() == read.to_json()
    use(read)


def use(snapshot: RegistrySnapshot) -> None:
    """What a reconcile computes from a snapshot that it read."""
    hash((snapshot.digest, snapshot.memory))
    assert diff(snapshot, snapshot) == ()
    diff(snapshot, KNOWN)
    diff(KNOWN, snapshot)
    for name in snapshot.objects.get("feature_service", {}):
        refs = (*all_refs(snapshot), *(service_refs(snapshot, name) or ()))
        define_all(snapshot, list(refs), name)


ROWS: Final = tuple(
    [
        [(NOW + timedelta(hours=number)).isoformat(), str(number) * 64, "abc", seen]
        for number, seen in enumerate((None, NOW.isoformat(), None)[:count])
    ]
    for count in (0, 1, 3)
)
PIECES: Final = ([], [["0" * 64, 1], ["1" * 64, 3]], [[str(n) * 64, 1] for n in range(9)])


@dataclass(frozen=True)
class Timeline:
    """Both texts of the ConfigMap of a timeline."""

    history: str
    snapshots: str


def _as_sent(text: bytes) -> str:
    return text.decode(errors="replace")  # an API server sends no other text


timelines = st.builds(
    Timeline,
    json_texts(ROWS).map(_as_sent),
    json_texts(PIECES).map(_as_sent),
)


def read_timeline(given: Timeline) -> None:
    data = {"history.json": given.history, "snapshots.json": given.snapshots}
    api: Any = ConfigMaps({timeline_name(KEY.name): {"data": data}})
    store = KubeSnapshots(api, lambda key: PROJECT)
    history = RUNNER.run(store.history(KEY))
    assert len(history) <= KEPT_RECORDS
    for started_at in (NOW, NOW + timedelta(hours=2)):
        run = TrainingRun("run", started_at)
        choose_baseline({}, run, started_at, history, history[-1] if history else None)
    record = SnapshotRecord(NOW, STATS.digest, "abc")
    RUNNER.run(store.put(KEY, STATS, record))
    written = RUNNER.run(KubeSnapshots(api, lambda key: PROJECT).history(KEY))
    assert written == RUNNER.run(store.history(KEY))
    # A forged timeline that is full of later records leaves no room; it is its author's own.
    full = len(history) == KEPT_RECORDS
    assert full or any(each.digest == STATS.digest for each in written)
    assert len(api.found) <= 1 + KEPT_SNAPSHOTS


SNAPSHOT: Final = Target("snapshot", stored(), read_snapshot, (InvalidReport,), examples=60)
TIMELINE: Final = Target("timeline", timelines, read_timeline, (), examples=60)
