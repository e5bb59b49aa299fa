"""The effects of an apply of a changed repo, and what an apply refuses to change."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo

from feature_lineage.features.definitions import define_all
from feature_lineage.features.diff import ChangeClass
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import ExitCode, Outcome
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.protection import Guard, GuardedModel
from feature_lineage.operations.protocol import (
    ApplyRequest,
    DeleteRequest,
    MaterializeRequest,
    PlanOverride,
)

KINDS = ("file", "sqlite", "postgres")


def guard(snapshot: RegistrySnapshot, *refs: str, age: timedelta = timedelta()) -> Guard:
    """A guard with one model that was trained on these features of this registry."""
    features = define_all(snapshot, map(FeatureRef.parse, refs))
    assert len(features) == len(refs)
    model = GuardedModel("driver_model", "3", ("champion",), "", features)
    return Guard(datetime.now(UTC) - age, (model,))


def test_a_breaking_change_is_stopped_and_nothing_is_written(repo: Repo, zygote: Zygote) -> None:
    base = zygote.run(request("apply", repo.views(a="trips:Int64", b="trips:Int64").path)).snapshot
    assert base
    fresh = ApplyRequest(guard=guard(base, "a:trips"))
    repo.views(a="trips:String", b="trips:Int64")
    before = repo.stores.registry_state()

    blocked = zygote.run(request("apply", repo.path, fresh))
    assert (blocked.outcome, blocked.exit_code) == (Outcome.BLOCKED, ExitCode.TERMINAL)
    assert blocked.plan
    assert [impact.model for impact in blocked.plan.impacts] == ["driver_model"]
    assert "driver_model v3 (@champion): a:trips changes type" in blocked.message
    assert repo.stores.registry_state() == before
    assert blocked.snapshot == base

    assert zygote.run(request("plan", repo.path, fresh)).outcome is Outcome.BLOCKED

    stale = ApplyRequest(guard=guard(base, "a:trips", age=timedelta(hours=1)))
    stepped = zygote.run(request("apply", repo.path, stale))
    assert (stepped.outcome, stepped.reason) == (Outcome.STEPPED_BACK, "GuardUnavailable")
    assert stepped.exit_code == ExitCode.TRANSIENT
    assert repo.stores.registry_state() == before

    permission = PlanOverride(plan_digest=blocked.plan.digest, why="planned")
    allowed = fresh.model_copy(update={"allow_breaking": permission})
    through = zygote.run(request("apply", repo.path, allowed))
    assert through.outcome is Outcome.SUCCEEDED
    assert through.plan
    assert through.plan.verdict is PlanVerdict.ALLOWED
    assert through.plan.digest == blocked.plan.digest


def test_a_changed_type_keeps_intervals_and_says_so(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.views(a="trips:Int64", b="trips:Int64").path))
    zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))

    report = zygote.run(
        request("apply", repo.views(a="trips:Int64 conv_rate:Float32", b="trips:Float64").path)
    )

    assert report.counts == {"created": 0, "updated": 2, "deleted": 0}
    assert [warning.partition(" keeps")[0] for warning in report.warnings] == [
        "IntervalsKept: feature view 'a'",
        "IntervalsKept: feature view 'b'",
    ]
    assert {view.materialized_until for view in report.views} == {NOW}


def test_without_pruning_nothing_is_deleted(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.views(a="trips:Int64", b="trips:Int64").path))
    repo.views(c="trips:Int64")

    kept = zygote.run(request("apply", repo.path, ApplyRequest(prune=False)))
    assert kept.counts == {"created": 1, "updated": 0, "deleted": 0}
    assert kept.warnings == ()
    assert repo.stores.tables("ranking") == {"a", "b", "c"}

    stopped = zygote.run(request("apply", repo.path, ApplyRequest(adopted="other")))
    assert (stopped.outcome, stopped.reason) == (Outcome.BLOCKED, "AdoptionWouldDelete")
    assert repo.stores.tables("ranking") == {"a", "b", "c"}

    ours = ApplyRequest(adopted=stopped.registry_id)
    pruned = zygote.run(request("apply", repo.path, ours))
    assert pruned.counts == {"created": 0, "updated": 0, "deleted": 2}
    assert pruned.plan
    assert pruned.plan.online_tables_dropped == ("a", "b")
    assert repo.stores.tables("ranking") == {"c"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_that_moves_between_plan_and_apply(
    kind: str, build: Build, zygote: Zygote
) -> None:
    """The code of the repo acts as another writer, after the plan has read the registry."""
    repo = build(kind).views(a="trips:Int64", b="trips:Int64")
    base = zygote.run(request("apply", repo.path)).snapshot
    stores = repo.stores
    match kind:
        case "file":
            meddle = f"""
            from feast.protos.feast.core.Registry_pb2 import Registry
            registry = Registry.FromString(open("{stores.folder}/registry.db", "rb").read())
            del registry.feature_views[:1]
            open("{stores.folder}/registry.db", "wb").write(registry.SerializeToString())
            """
        case "sqlite":
            meddle = f"""
            import sqlite3
            with sqlite3.connect("{stores.folder}/registry.sqlite") as connection:
                connection.execute("DELETE FROM feature_views WHERE feature_view_name = 'a'")
            connection.close()
            """
        case _:
            meddle = f"""
            import psycopg
            with psycopg.connect("{stores.url}") as connection:
                connection.execute("DELETE FROM feature_views WHERE feature_view_name = 'a'")
            """
    repo.views(a="trips:Int64", b="trips:Int64", c="trips:Int64").write(meddle, "meddle.py")

    report = zygote.run(request("apply", repo.path))

    assert (report.outcome, report.reason) == (Outcome.STEPPED_BACK, "RegistryMoved")
    assert report.exit_code == ExitCode.TRANSIENT
    left = zygote.run(request("observe", repo.path)).snapshot
    assert left
    assert base
    assert len(left.objects["feature_view"]) == 1, "ours is not in, theirs is"
    assert set(left.objects["feature_view"]) < set(base.objects["feature_view"])


def test_a_view_that_becomes_another_kind_keeps_its_table(build: Build, zygote: Zygote) -> None:
    for kind in ("file", "sqlite"):
        repo = build(kind).rich()
        zygote.run(request("apply", repo.path))
        zygote.run(request("materialize", repo.path, MaterializeRequest(all_views_end=NOW)))
        stream = (repo.path / "features.py").read_text()
        view = stream[stream.index("@stream_feature_view(") : stream.index("@on_demand_feature")]
        plain = "streamed = FeatureView(name='streamed', entities=[driver], source=stats)\n\n\n"
        repo.edit(view, plain)

        report = zygote.run(request("apply", repo.path))

        assert report.outcome is Outcome.SUCCEEDED, report.message
        assert report.warnings == ()
        assert report.plan
        assert "streamed" not in report.plan.online_tables_dropped
        assert len(repo.stores.rows("ranking", "streamed")) > 0
        assert report.snapshot
        assert "stream_feature_view" not in report.snapshot.objects


def test_killed_apply_is_repaired_and_its_orphans_dropped(repo: Repo, zygote: Zygote) -> None:
    import sqlite3

    zygote.run(request("apply", repo.views(a="trips:Int64", b="trips:Int64").path))
    with sqlite3.connect(repo.stores.folder / "online.db") as connection:
        connection.execute("DROP TABLE ranking_a")
        connection.execute("CREATE TABLE ranking_left (entity_key BLOB)")
        connection.execute("CREATE TABLE ranking_1_x (entity_key BLOB)")  # of project ranking_1
    connection.close()

    report = zygote.run(request("apply", repo.path, ApplyRequest(last_views=("a", "left"))))

    assert report.counts["created"] == 0
    assert repo.stores.tables("ranking") == {"a", "b", "1_x"}


def test_helpers_and_constants_are_part_of_a_function(repo: Repo, zygote: Zygote) -> None:
    first = zygote.run(request("apply", repo.rich().path)).snapshot
    assert first
    repo.edit("FACTOR = 3", "FACTOR = 4  # more", "helpers.py")

    report = zygote.run(request("apply", repo.path, ApplyRequest(closures=dict(first.closures))))

    assert report.snapshot
    assert report.snapshot.objects_digest == first.objects_digest, (
        "the registry has no place for it"
    )
    assert report.plan
    changed = [(change.name, change.change) for change in report.plan.changes]
    assert changed == [("plus", ChangeClass.TRANSFORMATION_CHANGED)]


def test_a_changed_function_is_in_the_plan_as_a_diff(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.rich().path))
    repo.edit('+ df["x"]', '- df["x"]')

    report = zygote.run(request("plan", repo.path, ApplyRequest()))

    assert report.plan
    (change,) = report.plan.changes
    assert (change.name, change.change) == ("plus", ChangeClass.TRANSFORMATION_CHANGED)
    changed = [line for line in change.code.splitlines() if line[0] in "+-"]
    assert changed == [
        '-    out["conv_plus"] = scaled(df["conv_rate"]) + df["x"]',
        '+    out["conv_plus"] = scaled(df["conv_rate"]) - df["x"]',
    ]


def test_a_view_that_loses_its_function_has_a_diff(repo: Repo, zygote: Zygote) -> None:
    """The spec of a batch view has no field for the function of its own."""
    zygote.run(request("apply", repo.rich().path))
    repo.edit("batched = BatchFeatureView(", "batched = FeatureView(")
    repo.edit('mode="python", udf=lambda x: x, udf_string="x",', "")

    report = zygote.run(request("plan", repo.path, ApplyRequest()))

    assert report.plan, report.message
    change, other = report.plan.changes
    assert (change.name, change.change) == ("batched", ChangeClass.TRANSFORMATION_CHANGED)
    assert change.code.splitlines()[1:] == ["-x"]
    assert (other.name, other.now) == ("batched", "online: none → true")


def test_a_second_difference_of_a_view_is_in_the_plan(repo: Repo, zygote: Zygote) -> None:
    zygote.run(request("apply", repo.rich().path))
    repo.edit('source=stats, tags={"tier": "gold"}', "source=stats, online=False")
    repo.edit("ttl=timedelta(days=365),\n    schema=[Field", "schema=[Field")

    report = zygote.run(request("plan", repo.path, ApplyRequest()))

    assert report.plan, report.message
    found = [(c.change, c.was, c.now) for c in report.plan.changes if c.name == "driver_stats"]
    assert found == [
        (ChangeClass.TTL_CHANGED, "365d", "none"),
        (ChangeClass.UPDATED, "", "online: true → none; tags: removed"),
    ]


def test_what_is_written_does_not_change_the_digest(repo: Repo, zygote: Zygote) -> None:
    first = zygote.run(request("apply", repo.rich().path)).snapshot
    text = (repo.path / "features.py").read_text()
    text = text.replace('out["conv_plus"] = scaled', "# why\n\n    out['conv_plus']  =  scaled")
    repo.write("\n\n# moved down\n" + text)

    report = zygote.run(request("apply", repo.path))

    assert report.snapshot == first
    assert report.plan
    assert report.plan.changes == ()


def test_feature_store_yaml_can_be_replaced(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64")
    text = repo.yaml().replace("registry.db", "other.db")
    (repo.path / "feature_store.yaml").write_text("project: nobody\n")

    report = zygote.run(request("apply", repo.path, feature_store_yaml=text))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert (repo.stores.folder / "other.db").exists()
    found = zygote.run(request("apply", repo.path, feature_store_yaml=repo.yaml("elsewhere")))
    assert (found.outcome, found.reason) == (Outcome.FAILED, "ProjectMismatch")
    assert "'elsewhere'" in found.message
    assert "'ranking'" in found.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_pinned_to_an_old_version(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64")
    zygote.run(request("apply", repo.path))
    zygote.run(request("apply", repo.views(a="trips:Int64 conv_rate:Float32").path))
    repo.edit("ttl=timedelta", 'version="v0", ttl=timedelta')

    report = zygote.run(request("apply", repo.path))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert report.snapshot
    spec = report.snapshot.objects["feature_view"]["a"]
    assert [field["name"] for field in spec["features"]] == ["trips"]
    (warning,) = report.warnings
    fact, _, step = warning.partition(", because ")
    assert fact == (
        "StoredDifferently: feature view 'a': Feast stores another definition than the repository "
        "declares (features.conv_rate: removed there)"
    )
    assert step.startswith("the view is pinned to v0; remove the version from the view to apply")

    followed = zygote.run(request("apply", repo.edit('version="v0", ', "").path))

    assert followed.warnings == ()
    assert followed.snapshot
    spec = followed.snapshot.objects["feature_view"]["a"]
    assert {field["name"] for field in spec["features"]} == {"trips", "conv_rate"}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_change_that_a_registry_does_not_keep(kind: str, build: Build, zygote: Zygote) -> None:
    enabled, disabled = 'FeatureView(name="a", ', 'FeatureView(name="a", enabled=False, '
    repo = build(kind).views(a="trips:Int64", b="trips:Int64")
    zygote.run(request("apply", repo.path))

    report = zygote.run(request("apply", repo.edit(enabled, disabled).path))

    (warning,) = report.warnings
    assert warning == (
        "StoredDifferently: feature view 'a': Feast stores another definition than the repository "
        "declares (disabled: true → none there), because Feast does not keep this change of an "
        "object; declare what is stored, or remove the object, apply, then add it again"
    )

    zygote.run(request("apply", repo.views(b="trips:Int64").path))
    repo.views(a="trips:Int64", b="trips:Int64").edit(enabled, disabled)
    followed = zygote.run(request("apply", repo.path))

    assert followed.warnings == ()
    assert followed.snapshot
    assert followed.snapshot.objects["feature_view"]["a"]["disabled"] is True


def test_a_protected_project_is_not_deleted(repo: Repo, zygote: Zygote) -> None:
    base = zygote.run(request("apply", repo.views(a="trips:Int64").path)).snapshot
    assert base
    protected = DeleteRequest(guard=guard(base, "a:trips"))

    stopped = zygote.run(request("delete", repo.path, protected))
    assert (stopped.outcome, stopped.reason) == (Outcome.BLOCKED, "Blocked")
    assert "driver_model/3" in stopped.message
    assert repo.stores.tables("ranking") == {"a"}

    allowed = protected.model_copy(update={"allow": "retired"})
    assert zygote.run(request("delete", repo.path, allowed)).outcome is Outcome.SUCCEEDED
    assert repo.stores.tables("ranking") == set()


def test_registries_that_cannot_be_read(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64")
    (repo.stores.folder / "registry.db").write_bytes(b"\x0a\xff\xff\xff torn")
    for kind in ("plan", "apply", "observe", "materialize", "delete"):
        report = zygote.run(request(kind, repo.path))
        assert (report.outcome, report.reason) == (Outcome.FAILED, "RegistryUnreadable"), kind
        assert report.exit_code == ExitCode.TRANSIENT
        assert str(repo.stores.folder / "registry.db") in report.message

    (repo.stores.folder / "registry.db").unlink()
    nowhere = (
        "project: ranking\nprovider: local\nentity_key_serialization_version: 3\nregistry: "
        "{registry_type: sql, path: 'postgresql+psycopg://u:hush-hush@127.0.0.1:1/d'}\n"
    )
    report = zygote.run(request("observe", repo.path, feature_store_yaml=nowhere))
    assert report.reason == "RegistryUnreadable"
    assert "hush-hush" not in report.model_dump_json()
    assert zygote.run(request("observe", repo.path)).reason == "RegistryUnreadable"
    assert not (repo.stores.folder / "registry.db").exists(), "observing makes no registry"


def test_an_online_store_that_refuses_leaves_the_registry_alone(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64")
    where = "host: 127.0.0.1, port: 1, database: d, user: u, password: p"
    online = f"online_store: {{type: postgres, {where}}}"
    text = repo.yaml().partition("online_store:")[0] + online

    report = zygote.run(request("apply", repo.path, feature_store_yaml=text))

    assert (report.outcome, report.reason) == (Outcome.FAILED, "JobFailed"), report.message
    assert report.message.startswith("while changing tables of the online store: ")
    assert not (repo.stores.folder / "registry.db").exists()
