"""Registry snapshots in ConfigMaps: the newest few, and the timeline of all of them.

    feature-lineage-registry-<project>                    timeline: one row a snapshot, newest last
    feature-lineage-registry-<project>-<digest>-<piece>   one snapshot, gzipped

Older snapshots are in the ops runs in MLflow, where the reconciler finds them. The project owns the
ConfigMaps. Only the leader writes them, so it reads a timeline once and keeps it. A deleted
ConfigMap is written again after the next job that reads the registry.
"""

import base64
import gzip
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.errors import InvalidReport, NotFound, TooManyDependencies
from feature_lineage.features.bounds import read_stored
from feature_lineage.features.history import SnapshotRecord, extended, rows_of
from feature_lineage.features.snapshot import MAX_BYTES, RegistrySnapshot
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import snapshot_name, timeline_name
from feature_lineage.kube.jobs.owned_objects import apply_owned, owned_config_map
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.large_parses import in_parser_thread
from feature_lineage.operations.pod_protocol import PIECES
from feature_lineage.shorten import cut
from feature_lineage.untrusted import inflate, parse_json

KEPT_SNAPSHOTS: Final = 8
KEPT_RECORDS: Final = 1000
PIECE_BYTES: Final = 700 * 1024
MOST_PIECES: Final = PIECES + 1
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The snapshots of one project.

    Attributes:
        history: oldest first.
        pieces: digest and number of ConfigMaps, in the order in which they were written.
    """

    history: tuple[SnapshotRecord, ...] = ()
    pieces: tuple[tuple[str, int], ...] = ()


class KubeSnapshots:
    """`SnapshotStore` of the cluster host.

    Args:
        project: finds the resource that owns the ConfigMaps.
    """

    def __init__(self, api: Api, project: Callable[[Key], FeatureStoreProject | None]) -> None:
        self._api = api
        self._project = project
        self._stored: dict[tuple[Key, str], _Stored] = {}
        self._damage: dict[Key, str] = {}
        self._refused: dict[Key, set[str]] = {}

    async def put(self, key: Key, snapshot: RegistrySnapshot, record: SnapshotRecord) -> None:
        project = self._project(key)
        if project is None:
            raise NotFound(f"{key} is deleted: its snapshot is not kept")
        stored = await self._read_once(key)
        # Also an existing one: it may have been deleted or changed.
        pieces = {**dict(stored.pieces), snapshot.digest: await self._write(project, snapshot)}
        history = extended(stored.history, record)[-KEPT_RECORDS:]
        dropped = list(pieces.items())[:-KEPT_SNAPSHOTS]
        stored = _Stored(history, tuple(pieces.items())[-KEPT_SNAPSHOTS:])
        await apply_owned(self._api, CONFIG_MAPS, project, _timeline(project, stored))
        self._stored[key, project.metadata.uid] = stored
        self._damage.pop(key, None)
        self._refused.get(key, set()).intersection_update(dict(stored.pieces))
        for digest, count in dropped:
            for number in range(count):
                name = snapshot_name(key.name, digest, number)
                await self._api.delete(CONFIG_MAPS, key.namespace, name)

    async def get(self, key: Key, digest: str) -> RegistrySnapshot | None:
        stored = await self._read_once(key)
        count = dict(stored.pieces).get(digest)
        if count is None or digest in self._refused.get(key, ()):
            return None
        pieces = []
        for number in range(count):
            found = await self._api.find(
                CONFIG_MAPS, key.namespace, snapshot_name(key.name, digest, number)
            )
            data = (found or {}).get("binaryData") or {}
            pieces.append(data.get("snapshot.json.gz", ""))
        try:
            return await in_parser_thread(_unpacked, pieces, digest)
        except TooManyDependencies as error:  # whole, and perhaps read by another version
            self._note(key, snapshot_name(key.name, digest, 0), error)
            self._refused.setdefault(key, set()).add(digest)
            return None
        except (ValueError, InvalidReport) as error:
            self._note(key, snapshot_name(key.name, digest, 0), error)
            self._drop(key, digest)
            return None

    async def history(self, key: Key) -> tuple[SnapshotRecord, ...]:
        return (await self._read_once(key)).history

    def damage(self, key: Key) -> str:
        return self._damage.get(key, "")

    def forget(self, key: Key) -> None:
        """The project is deleted; the garbage collector deletes its ConfigMaps."""
        for name in [name for name in self._stored if name[0] == key]:
            del self._stored[name]
        self._damage.pop(key, None)
        self._refused.pop(key, None)

    async def _read_once(self, key: Key) -> _Stored:
        project = self._project(key)
        if project is None:
            return _Stored()
        name = (key, project.metadata.uid)
        known = self._stored.get(name)
        if known is not None:
            return known
        found = await self._api.find(CONFIG_MAPS, key.namespace, timeline_name(key.name))
        # None, or that of a deleted project with this name: then there are no snapshots yet.
        own = found is not None and _owned(found, project)
        stored = self._read(found, key) if own and found is not None else _Stored()
        return self._stored.setdefault(name, stored)  # another call may have stored one

    def _read(self, timeline: Object, key: Key) -> _Stored:
        """Parse a timeline; a damaged one starts again, since MLflow has the older snapshots."""
        try:
            return _parsed(timeline)
        except (AttributeError, KeyError, ValueError, TypeError) as error:
            self._note(key, timeline_name(key.name), error)
            return _Stored()

    def _note(self, key: Key, name: str, error: Exception) -> None:
        """Keep the first damage since the last `put`."""
        fact = f"ConfigMap {key.namespace}/{name} cannot be used: {cut(str(error), 200)}"
        _log.warning("%s: %s", key, fact)
        self._damage.setdefault(key, fact)

    def _drop(self, key: Key, digest: str) -> None:
        """Forget a damaged snapshot."""
        project = self._project(key)
        name = (key, project.metadata.uid if project is not None else "")
        stored = self._stored.get(name)
        if stored is not None:
            pieces = tuple(each for each in stored.pieces if each[0] != digest)
            self._stored[name] = _Stored(stored.history, pieces)

    async def _write(self, project: FeatureStoreProject, snapshot: RegistrySnapshot) -> int:
        packed = gzip.compress(snapshot.to_json().encode(), mtime=0)
        pieces = [packed[i : i + PIECE_BYTES] for i in range(0, len(packed), PIECE_BYTES)]
        for number, piece in enumerate(pieces):
            name = snapshot_name(project.metadata.name, snapshot.digest, number)
            data = {"snapshot.json.gz": base64.b64encode(piece).decode()}
            body = {**owned_config_map(project, name), "binaryData": data}
            await apply_owned(self._api, CONFIG_MAPS, project, body)
        return len(pieces)


def _unpacked(pieces: list[str], digest: str) -> RegistrySnapshot:
    packed = b"".join(map(base64.b64decode, pieces))
    return read_stored(inflate(packed, MAX_BYTES), digest)


def _timeline(project: FeatureStoreProject, stored: _Stored) -> Object:
    return {
        **owned_config_map(project, timeline_name(project.metadata.name)),
        "data": {
            "history.json": json.dumps(rows_of(stored.history)),
            "snapshots.json": json.dumps(stored.pieces),
        },
    }


def _owned(config_map: Object, project: FeatureStoreProject) -> bool:
    owners = config_map["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == project.metadata.uid for owner in owners)


def _parsed(timeline: Object) -> _Stored:
    data = timeline.get("data") or {}
    history = tuple(
        SnapshotRecord(_moment(at), _digest(digest), str(revision), _moment(seen) if seen else None)
        for at, digest, revision, seen in parse_json(data["history.json"].encode())
    )
    pieces = tuple(
        (_digest(digest), _count(count))
        for digest, count in parse_json(data["snapshots.json"].encode())
    )
    return _Stored(history[-KEPT_RECORDS:], pieces[-KEPT_SNAPSHOTS:])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("a digest is 64 hexadecimal digits")
    return text


def _count(number: object) -> int:
    if not isinstance(number, int) or not 1 <= number <= MOST_PIECES:
        raise ValueError(f"a snapshot has 1 to {MOST_PIECES} pieces")
    return number
