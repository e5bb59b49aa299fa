"""The reverse index on 10,000 model versions of 20 features each.

* build: compared with one plain dictionary from reference to versions, filled in one loop;
* the query of a pull request (one view changed: which versions, with which aliases?): compared with
  a search in all versions, which gives the answer without an index;
* memory: the memory of the index, and of a process with all facts and the index.
"""

import gc
import multiprocessing
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row, Size, timed_in_turn
from benchmarks.project_fixture import SyntheticProject, view_name
from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.graph import LineageGraph
from feature_lineage.lineage.nodes import Node, NodeKind
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.index import build
from feature_lineage.models.links import Link, resolve_link

Linked = list[tuple[ModelVersion, Link]]
MEMORY_GOAL = 256 * 2**20 / 1e6
QUERIES = 20


def index(size: Size) -> Iterator[Row]:
    """Build, query and memory of the reverse index."""
    synthetic = SyntheticProject(20, 200, 5) if size.quick else SyntheticProject()
    snapshot, view = synthetic.snapshot(), synthetic.view()
    linked = link_all(view, snapshot)
    name = f"index {synthetic.versions:,} versions x {synthetic.features}"
    floor, ours = timed_in_turn(size, lambda: _plain(linked), lambda: build(linked))
    yield Row(f"{name}, build", ours, floor, "one dict of lists, one loop")

    graph = LineageGraph(snapshot, build(linked))
    asked = [view_name(n) for n in range(0, synthetic.views, 20)]
    nodes = [Node(NodeKind.VIEW, name) for name in asked[:QUERIES]]
    for changed in asked:
        users, _ = graph.users_of(Node(NodeKind.VIEW, changed))
        reached = {(item.model, item.version) for item in users}
        if reached != set(_scan(linked, snapshot, changed)):
            raise RuntimeError(f"index and scan disagree about {changed}")
    floor, ours = timed_in_turn(
        size,
        lambda: [list(_scan(linked, snapshot, changed)) for changed in asked[:QUERIES]],
        lambda: [graph.users_of(node) for node in nodes],
    )
    each = [[value / len(asked[:QUERIES]) for value in side] for side in (floor, ours)]
    yield Row(f"{name}, impact of one view, whole", each[1], each[0], "looking through all")
    yield from _memory(synthetic, name)


def link_all(view: RegistryView, snapshot: RegistrySnapshot) -> Linked:
    """Return every version with its features, parsed from its run's tags as the operator does."""
    return [
        (version, resolve_link(version, view.run_of(version), snapshot, trained_on=snapshot))
        for versions in view.versions.values()
        for version in versions.values()
    ]


def _plain(linked: Linked) -> dict[FeatureRef, list[tuple[str, str]]]:
    found: dict[FeatureRef, list[tuple[str, str]]] = {}
    for version, link in linked:
        key = (version.name, version.version)
        for ref in link.refs:
            found.setdefault(ref, []).append(key)
    return found


def _scan(linked: Linked, snapshot: RegistrySnapshot, changed: str) -> Iterator[tuple[str, str]]:
    reached = {name for _, name, _ in snapshot.views() if changed in feeding_views(snapshot, name)}
    for version, link in linked:
        if any(ref.view in reached for ref in link.refs):
            yield version.name, version.version


def _memory(synthetic: SyntheticProject, name: str) -> Iterator[Row]:
    """In a separate process: freed memory of earlier work would hide new memory."""
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        traced = pool.apply(traced_memory, (synthetic,))
    with spawn.Pool(1) as pool:
        added, whole = pool.apply(resident_memory, (synthetic,))
    yield Row(f"{name}, index alone, tracemalloc", [traced], unit="MB")
    yield Row(f"{name}, index alone, RSS", [added], unit="MB")
    yield Row(f"{name}, process with all facts, RSS", [whole], unit="MB", limit=MEMORY_GOAL)


def traced_memory(synthetic: SyntheticProject) -> float:
    """Return the MB of the index itself."""
    snapshot = synthetic.snapshot()
    linked = link_all(synthetic.view(), snapshot)
    gc.collect()
    tracemalloc.start()
    kept = LineageGraph(snapshot, build(linked))
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] / 1e6
    del kept
    return used


def resident_memory(synthetic: SyntheticProject) -> tuple[float, float]:
    """Return the MB that the index adds to the process, and those of the process with the facts."""
    snapshot, view = synthetic.snapshot(), synthetic.view()
    linked = link_all(view, snapshot)
    gc.collect()
    before = resident()
    kept = LineageGraph(snapshot, build(linked))
    gc.collect()
    after = resident()
    del kept
    return after - before, after


def resident() -> float:
    """Resident set size of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
