"""kill -9 at any moment of an apply: the registry is the old one or the new one, never a mixture.

Some kills happen before or after critical calls; the others at random moments of the apply phase,
with a fixed seed. After each kill, one more run must complete the apply.
"""

import random
import signal
from typing import Any

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, simple

from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.protocol import ApplyRequest, MaterializeRequest

RANDOM_KILLS = 4
OLD = {
    **{f"stay{n}": "trips:Int64" for n in range(2)},
    **{f"turn{n}": "trips:Int64" for n in range(3)},
    **{f"go{n}": "trips:Int64" for n in range(3)},
}
NEW = {
    **{f"stay{n}": "trips:Int64" for n in range(2)},
    **{f"turn{n}": "trips:Int64 conv_rate:Float32" for n in range(3)},
    **{f"come{n}": "conv_rate:Float32" for n in range(3)},
}
RUNNER = "feature_lineage.runner"
POINTS: dict[str, list[dict[str, Any]]] = {
    "file": [
        {"target": "feast.infra.registry.registry:Registry.apply_feature_view", "when": "after"},
        {"target": f"{RUNNER}.online:OnlineTables.create", "when": "after"},
        {"target": "feast.infra.registry.file:FileRegistryStore._write_registry", "when": "after"},
        {"target": f"{RUNNER}.commit:replace_file", "when": "after"},
    ],
    "sql": [
        {"target": f"{RUNNER}.commit:lock_tables", "when": "after"},
        {
            "target": "feast.infra.registry.sql:SqlRegistry.delete_feature_view",
            "when": "after",
            "call": 2,
        },
        {
            "target": "feast.infra.registry.sql:SqlRegistry.apply_feature_view",
            "when": "after",
            "call": 3,
        },
        {"target": f"{RUNNER}.online:OnlineTables.create", "when": "after"},
    ],
    "both": [
        {"target": f"{RUNNER}.online:drop_tables", "when": "before"},
        {"target": f"{RUNNER}.online:drop_tables", "when": "after"},
    ],
}


@pytest.mark.parametrize("kind", ["file", "sqlite", "postgres"])
def test_a_killed_apply_leaves_old_or_new_and_heals(
    kind: str, build: Build, zygote: Zygote
) -> None:
    neighbour = build(kind, "neighbour").views(go1="trips:Int64")
    zygote.run(request("apply", neighbour.path, project="neighbour"))
    filled = MaterializeRequest(all_views_end=NOW)
    zygote.run(request("materialize", neighbour.path, filled, project="neighbour"))
    other = zygote.run(request("observe", neighbour.path, project="neighbour"))
    other_rows = build(kind).stores.rows("neighbour", "go1")
    repo = build(kind)
    stores = repo.stores

    def apply(views: dict[str, str], kill: dict[str, Any] | None = None) -> dict[str, Any]:
        repo.write(simple(**views))
        remembered = ApplyRequest(last_views=tuple(OLD))
        return zygote.send(request("apply", repo.path, remembered), kill)

    old = apply(OLD)["report"]["snapshot"]
    whole = apply(NEW)
    new = whole["report"]["snapshot"]
    duration = whole["report"]["seconds"]["apply"]
    dice = random.Random(f"{kind} 1")
    moments = [{"after": dice.uniform(0, duration)} for _ in range(RANDOM_KILLS)]
    points = POINTS["file" if kind == "file" else "sql"] + POINTS["both"]
    struck, seen = 0, set()

    for kill in [*points, *moments]:
        assert apply(OLD)["report"]["snapshot"] == old
        assert stores.tables("ranking") == set(OLD), kill

        answer = apply(NEW, kill)
        died = answer["status"] == signal.SIGKILL
        assert died or kill in moments, f"{kill} never struck"
        struck += died

        left = zygote.run(request("observe", repo.path)).snapshot
        assert left is not None
        assert left.objects in (old["objects"], new["objects"]), f"{kill} left a mixture"
        seen.add(left.objects == new["objects"])
        assert {name for _, name, _ in left.views()} <= stores.tables("ranking"), kill

        healed = apply(NEW)["report"]
        assert healed["outcome"] == Outcome.SUCCEEDED, healed["message"]
        assert healed["snapshot"] == new
        assert stores.tables("ranking") == set(NEW), kill

    assert seen == {True, False}, "kills before and after the commit"
    assert struck >= len(points) + 1
    after = zygote.run(request("observe", neighbour.path, project="neighbour"))
    assert after.snapshot == other.snapshot
    assert stores.rows("neighbour", "go1") == other_rows
