"""A project from its first plan to its deletion, on every registry, next to another project."""

import dataclasses

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW

from feature_lineage.operations.job_report import ExitCode, JobReport, Outcome, ViewReport
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.protocol import MaterializeRequest

KINDS = ("file", "sqlite", "postgres")
ONLINE = {"driver_stats", "inferred", "pushed", "streamed", "labels"}


def views(report: JobReport) -> dict[str, ViewReport]:
    return {view.name: view for view in report.views}


@pytest.mark.parametrize("kind", KINDS)
def test_life(kind: str, build: Build, zygote: Zygote) -> None:
    neighbour = build(kind, "neighbour").views(other="trips:Int64")
    repo = build(kind).rich()
    stores = repo.stores

    untouched = stores.registry_state()
    planned = zygote.run(request("plan", repo.path))
    assert (planned.outcome, planned.exit_code) == (Outcome.PLANNED, ExitCode.DONE)
    assert planned.plan
    assert planned.plan.verdict is PlanVerdict.CLEAN
    assert planned.counts == {"created": 16, "updated": 0, "deleted": 0}
    assert planned.snapshot
    assert planned.snapshot.objects == {}
    assert stores.registry_state() == untouched, "a plan makes no registry"
    assert not (stores.folder / "online.db").exists() or kind == "postgres"

    zygote.run(request("apply", neighbour.path, project="neighbour"))
    all_of_them = MaterializeRequest(all_views_end=NOW)
    zygote.run(request("materialize", neighbour.path, all_of_them, project="neighbour"))
    other = zygote.run(request("observe", neighbour.path, project="neighbour"))
    other_rows = stores.rows("neighbour", "other")

    applied = zygote.run(request("apply", repo.path))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    assert applied.warnings == ()
    assert applied.snapshot
    assert set(applied.snapshot.objects) == {
        *("entity", "data_source", "feature_view", "stream_feature_view", "label_view"),
        *("on_demand_feature_view", "feature_service", "permission"),
    }
    assert applied.snapshot.objects["entity"]["driver"]["tags"]["project"] == "x"
    assert set(applied.snapshot.closures) == {"plus", "streamed", "batched"}
    assert stores.tables("ranking") == ONLINE

    before = stores.registry_state()
    again = zygote.run(request("apply", repo.path))
    assert again.snapshot == applied.snapshot
    assert again.previous == applied.snapshot.objects_digest
    assert set(again.counts.values()) == {0}
    assert stores.registry_state() == before, "an apply without changes writes nothing"

    done = zygote.run(request("materialize", repo.path, all_of_them))
    assert done.outcome is Outcome.SUCCEEDED, done.message
    found = views(done)
    assert {name for name, view in found.items() if view.result} == {
        *("driver_stats", "inferred", "pushed", "streamed")
    }
    assert found["driver_stats"].rows == 3
    assert found["driver_stats"].materialized_until == NOW
    assert found["driver_stats"].newest_event_time
    assert found["driver_stats"].newest_event_time < NOW
    assert done.snapshot
    assert done.snapshot.objects_digest == applied.snapshot.objects_digest, (
        "a materialization defines nothing"
    )

    after = zygote.run(request("apply", repo.path))
    assert after.plan
    assert after.plan.changes == (), "nor does it make the next plan see changes"

    seen = zygote.run(request("observe", repo.path))
    assert seen.snapshot == dataclasses.replace(applied.snapshot, closures={})
    assert views(seen)["inferred"].materialized_until == NOW

    gone = zygote.run(request("delete", repo.path))
    assert (gone.outcome, gone.counts["deleted"]) == (Outcome.SUCCEEDED, 16)
    assert stores.tables("ranking") == set()
    assert zygote.run(request("delete", repo.path)).outcome is Outcome.SUCCEEDED, "again is fine"

    assert zygote.run(request("observe", neighbour.path, project="neighbour")).views == other.views
    assert stores.rows("neighbour", "other") == other_rows


def test_every_kind_of_registry_says_the_same(build: Build, zygote: Zygote) -> None:
    reports = [zygote.run(request("apply", build(kind).rich().path)) for kind in KINDS]

    snapshots = [report.snapshot for report in reports]
    assert snapshots[0]
    assert snapshots == [snapshots[0]] * 3, "objects and closures, from three directories"
    assert len({report.registry_id for report in reports}) == 3
