"""Stored registry snapshots that a hostile tenant changes by hand; the next leader reads them."""

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any, Final

from tests.cluster.host.hostile import HostileTenant, forged, report_text
from tests.cluster.host.polling import until
from tests.cluster.host.resources import Holds

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.names import snapshot_name, timeline_name
from feature_lineage.kube.kinds import CONFIG_MAPS, PROJECTS

Change = Callable[[RegistrySnapshot], bytes]
"""What replaces the gzip of a snapshot."""
KEY: Final = "snapshot.json.gz"


def snapshot_of(project: str, *features: str) -> RegistrySnapshot:
    """A small valid registry; each project has another digest."""
    columns = [{"name": name, "value_type": "FLOAT"} for name in ("rating", *features)]
    view = {"stats": {"name": "stats", "features": columns}}
    return RegistrySnapshot(project.replace("-", "_"), {"feature_view": view})


async def applied(tenant: HostileTenant, name: str) -> RegistrySnapshot:
    """A project whose forged report says that it applied a registry, which is then stored."""
    snapshot = snapshot_of(name)
    said = {"project": snapshot.project, "registry_id": name, "snapshot": snapshot}
    report = forged(lambda job: report_text(job, verified=True, **said).encode())
    await tenant.forge(name, report)
    await until(tenant.admin, PROJECTS, tenant.namespace, name, _stored(snapshot), 120)
    return snapshot


def _stored(snapshot: RegistrySnapshot) -> Holds:
    def holds(body: Object | None) -> bool:
        status = (body or {}).get("status", {})
        digest = (status.get("registry") or {}).get("digest")
        return digest == snapshot.digest and "operation" not in status

    return holds


async def change(
    tenant: HostileTenant, name: str, snapshot: RegistrySnapshot, foreign: RegistrySnapshot
) -> None:
    """Do what `HOSTILE_SNAPSHOTS` or `HOSTILE_TIMELINES` has under this name."""
    piece = snapshot_name(name, snapshot.digest, 0)
    if name in HOSTILE_TIMELINES:
        await tenant.write(timeline_name(name), {"data": HOSTILE_TIMELINES[name][0]})
    elif name == "a-deleted-snapshot":
        await tenant.api.delete(CONFIG_MAPS, tenant.namespace, piece)
    else:
        packed = HOSTILE_SNAPSHOTS[name][0](foreign if name == "of-a-team" else snapshot)
        await tenant.write(piece, {"binaryData": {KEY: base64.b64encode(packed).decode()}})


def words_of(name: str, snapshot: RegistrySnapshot) -> tuple[str, ...]:
    """What the condition of the author says."""
    if name in HOSTILE_TIMELINES:
        fact = HOSTILE_TIMELINES[name][1]
        return (fact,) if name == "an-old-timeline" else (timeline_name(name), fact)
    return snapshot_name(name, snapshot.digest, 0), HOSTILE_SNAPSHOTS[name][1]


def _text(snapshot: RegistrySnapshot) -> bytes:
    return gzip.compress(snapshot.to_json().encode())


def _arrays(_: RegistrySnapshot) -> bytes:
    return gzip.compress(b"[" + b"[]," * 20_000_000 + b"[]]")


HOSTILE_SNAPSHOTS: Final[dict[str, tuple[Change, str]]] = {
    "snapshot-of-arrays": (_arrays, "bytes when decompressed"),
    "snapshot-of-a-gigabyte": (
        lambda _: gzip.compress(bytes(100_000_000)),
        "more than 33554432 bytes",
    ),
    "snapshot-with-many-objects": (
        lambda _: gzip.compress(b"[" + b"{}," * 3_000_000 + b"{}]"),
        "has digest",
    ),
    "nested-snapshot": (
        lambda s: gzip.compress(b'{"closures":{},"objects":' + b"[" * 200_000),
        "has digest",
    ),
    "no-gzip-in-a-snapshot": (lambda _: b"no gzip", "not gzip"),
    "half-a-snapshot": (lambda s: _text(s)[:-9], "truncated"),
    "bytes-behind-a-snapshot": (lambda s: _text(s) + b"x" * 500_000, "trailing bytes"),
    "an-old-snapshot": (lambda s: _text(snapshot_of(s.project, "older")), "has digest"),
    "of-a-team": (_text, "has digest"),
    "a-deleted-snapshot": (lambda _: b"", "truncated"),
}
"""By the name of the project: the content, and what the condition FactsCurrent says."""

_RECORD: Final = ["2026-11-26T12:00:00+00:00", "0" * 64, "", None]


def _timeline(**data: Any) -> dict[str, str]:
    whole = {"history": [_RECORD], "snapshots": [["0" * 64, 1]], **data}
    return {
        f"{name}.json": value if isinstance(value, str) else json.dumps(value)
        for name, value in whole.items()
    }


HOSTILE_TIMELINES: Final[dict[str, tuple[dict[str, str], str]]] = {
    "timeline-of-arrays": (_timeline(history="[" + "[]," * 300_000 + "[]]"), "MiB of memory"),
    "nested-timeline": (_timeline(history="[" * 500_000), "nested deeper"),
    "a-billion-pieces": (_timeline(snapshots=[["0" * 64, 10**9]]), "pieces"),
    "a-path-for-a-digest": (_timeline(snapshots=[["../../secrets", 1]]), "64 hexadecimal digits"),
    "no-timeline": (_timeline(history="no JSON"), "expected ident"),
    "an-old-timeline": (_timeline(), "nothing of it is stored"),
}
"""By the name of the project: the data of its timeline, and what FactsCurrent says."""
