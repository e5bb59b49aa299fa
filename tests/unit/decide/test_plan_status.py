"""A plan in the status: one entry per object, limited, with totals."""

from dataclasses import replace

from tests.unit.decide.build import MLFLOW, A, ProjectScenario, plan

from feature_lineage.api.enums import ChangeAction, PlanVerdict, Verdict
from feature_lineage.api.project_status import PlanStatus
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.models.verdicts import Problem, ProblemKind
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.protection import Impact

CREATED, DELETED = ChangeClass.CREATED, ChangeClass.DELETED
GONE = Problem("stats:trips", ProblemKind.FEATURE_GONE, "INT64")
MOVED = Problem("stats:trips", ProblemKind.SOURCE_CHANGED)


def shown(of: Plan) -> PlanStatus:
    """The plan after a round trip through the status of a project."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.end("Blocked", reason="Blocked", plan=of)
    assert scenario.status.plan is not None
    return scenario.status.plan


def test_changes_of_one_object_are_one_entry_with_its_details() -> None:
    changes = (
        Change("feature_view", "new", CREATED),
        Change("feature_view", "old", DELETED),
        Change("feature_view", "stats", ChangeClass.CREATED, "trips", "", "INT64"),
        Change("feature_view", "stats", ChangeClass.UPDATED),
    )

    status = shown(replace(plan(), changes=changes))

    assert [(c.name, c.action) for c in status.changes] == [
        ("new", ChangeAction.CREATE),
        ("old", ChangeAction.DELETE),
        ("stats", ChangeAction.UPDATE),
    ]
    assert [c.details for c in status.changes[:2]] == [(), ()]
    assert status.changes[2].details[0] == f"{CREATED} trips: INT64"
    assert len(status.changes[2].details) == 2


def test_impacts_name_the_model_its_verdict_and_why() -> None:
    impacts = (
        Impact("eta_model", "7", ("champion",), (GONE, MOVED)),
        Impact("driver_model", "3", (), (MOVED,)),
    )

    status = shown(replace(plan(PlanVerdict.BLOCKED), impacts=impacts))

    assert [(i.model, i.version, i.aliases, i.verdict) for i in status.impacts] == [
        ("eta_model", "7", ("champion",), Verdict.BROKEN),
        ("driver_model", "3", (), Verdict.CHANGED),
    ]
    assert [(p.kind, p.was, p.now) for p in status.impacts[0].problems] == [
        (str(ProblemKind.FEATURE_GONE), "INT64", None),
        (str(ProblemKind.SOURCE_CHANGED), None, None),
    ]
    assert status.revision == A


def test_a_change_without_a_new_value_has_no_arrow() -> None:
    deleted = Change("feature_view", "stats", ChangeClass.DELETED, "trips", "INT64", "")
    typed = replace(deleted, change=ChangeClass.TYPE_CHANGED, now="FLOAT")

    (change,) = shown(replace(plan(PlanVerdict.CLEAN), changes=(deleted, typed))).changes

    assert change.details == ("Deleted trips: INT64", "TypeChanged trips: INT64 → FLOAT")


def test_lists_are_cut_at_fifty_and_their_totals_are_not() -> None:
    impact = Impact("m", "1", (), (GONE,) * 60)
    many = replace(
        plan(PlanVerdict.BLOCKED),
        changes=tuple(Change("feature_view", f"v{n:02}", CREATED) for n in range(60)),
        impacts=tuple(replace(impact, version=str(n)) for n in range(60)),
        online_tables_dropped=tuple(f"v{n:02}" for n in range(60)),
    )

    status = shown(many)

    assert (len(status.changes), status.changes_total) == (50, 60)
    assert (len(status.impacts), status.impacts_total) == (50, 60)
    assert 0 < len(status.impacts[0].problems) <= 50
    assert status.impacts[0].problems_total == 60
    assert len(status.online_tables_dropped) == 50
    assert status.online_tables_dropped_total == 60
