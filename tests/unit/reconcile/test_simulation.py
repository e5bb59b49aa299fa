"""Simulates one project over months, with random events in any order, and checks invariants.

Jobs end in any way or are lost, MLflow stops and starts, users change the spec, the host crashes
between any two effects. Time is a value.
"""

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    PLAN,
    A,
    B,
    C,
    ProjectScenario,
    backfill,
    guard,
    hourly,
    plan,
    view_report,
)

from feature_lineage.api.conditions import ProjectCondition
from feature_lineage.api.enums import OperationKind, OperationPhase, PlanVerdict
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.decision import Decision
from feature_lineage.decide.facts import JobFacts, SourceFacts
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.decide import decide
from feature_lineage.operations.kinds import KINDS

ALWAYS = set(ProjectCondition) - {ProjectCondition.RECONCILING, ProjectCondition.STALLED}
APPLYING = {OperationKind.APPLY, OperationKind.PLAN}
LANES = {traits.command: traits.lane for traits in KINDS.values()}
UNREACHABLE = Failure("SourceUnreachable", "git.example does not answer", outage=True)

SPECS: tuple[dict[str, Any], ...] = (
    {"apply": {"mode": "Auto"}},
    {"apply": {"mode": "PlanOnly"}},
    {"apply": {"mode": "Observe"}},
    {"apply": {"protection": {"mode": "Warn"}}},
    {"apply": {"protection": {"mode": "Enforce"}}},
    {"suspend": True},
    {"suspend": False},
    {"schedules": []},
    {"schedules": [hourly()]},
    {"schedules": [hourly(views=["stats"]), hourly("quarterly", cron="*/15 * * * *")]},
    {"backfills": []},
    {"backfills": [backfill()]},
    {"backfills": [backfill(days=1), backfill("other", views=["stats", "extra"])]},
    {"runtime": {"retries": 0}},
    {"runtime": {"retries": 2}},
    {"registry": {"pollInterval": "30m"}},
    {"freshness": {"maxAge": "1h"}},
)
ENDS: dict[OperationKind, tuple[tuple[str, str], ...]] = {
    OperationKind.APPLY: (("Succeeded", ""), ("Blocked", "Blocked"), ("Failed", "InvalidRepo")),
    OperationKind.PLAN: (("Planned", ""), ("Blocked", "Blocked"), ("Failed", "InvalidRepo")),
    OperationKind.OBSERVE: (("Succeeded", ""),),
    OperationKind.MATERIALIZE: (("Succeeded", ""), ("Partial", "ViewsFailing")),
    OperationKind.BACKFILL: (("Succeeded", ""), ("Partial", "ViewsFailing")),
    OperationKind.DELETE: (("Succeeded", ""), ("Blocked", "Blocked")),
}
ALWAYS_POSSIBLE = (("Failed", "JobFailed"), ("Failed", "Interrupted"), ("SteppedBack", ""))
MEANWHILE = st.sampled_from(
    ("nothing", "nothing", "a push", "a revert", "MLflow out", "source out", "suspended", "deleted")
)


class OneProject(RuleBasedStateMachine):
    """A project and all random events."""

    def __init__(self) -> None:
        super().__init__()
        self.scenario = ProjectScenario(mlflow=MLFLOW)
        self.ids: set[str] = set()
        self.in_flight: set[str] = set()
        self.ended: set[str] = set()
        self.lost: set[str] = set()
        self.pushed = 0
        self.before = self.scenario.status

    @initialize()
    def first_reconcile(self) -> None:
        self._reconcile()

    @rule(revision=st.sampled_from((A, B, C)))
    def somebody_pushes(self, revision: str) -> None:
        self.scenario.source = SourceFacts(revision)

    @rule()
    def the_source_is_out(self) -> None:
        self.scenario.source = UNREACHABLE

    @rule(change=st.sampled_from(SPECS))
    def somebody_changes_the_spec(self, change: dict[str, Any]) -> None:
        self.scenario.change(**change)

    @rule(value=st.sampled_from((f"{PLAN}: it goes tomorrow", "yes", None)))
    def somebody_annotates(self, value: str | None) -> None:
        self.scenario.annotate("allow-breaking", value)

    @rule(up=st.booleans())
    def mlflow_comes_or_goes(self, up: bool) -> None:
        self.scenario.outage = None if up else OUTAGE

    @rule(models=st.sampled_from(((), ("driver_model",), ("driver_model", "eta_model"))))
    def models_are_promoted(self, models: tuple[str, ...]) -> None:
        if self.scenario.outage is None:
            self.scenario.guard = guard(*models, read_at=self.scenario.now)

    @rule(minutes=st.sampled_from((1, 7, 31, 200)))
    def time_passes(self, minutes: int) -> None:
        self.scenario.later(minutes=minutes)

    @precondition(lambda self: self._running)
    @rule(data=st.data(), meanwhile=MEANWHILE)
    def the_job_ends(self, data: st.DataObject, meanwhile: str) -> None:
        operation = data.draw(st.sampled_from(self._running))
        ends = ENDS[operation.kind] + ALWAYS_POSSIBLE
        self._end(operation, *data.draw(st.sampled_from(ends)))
        self._happens(meanwhile)
        self._reconcile()

    @precondition(lambda self: self._running)
    @rule(
        data=st.data(),
        reason=st.sampled_from(("JobFailed", "DeadlineExceeded", "ImagePullFailed")),
        meanwhile=MEANWHILE,
    )
    def the_job_ends_without_a_word(self, data: st.DataObject, reason: str, meanwhile: str) -> None:
        operation = data.draw(st.sampled_from(self._running))
        self.scenario.jobs[operation.job] = JobFacts(running=False, reason=reason, message="killed")
        self.ended.add(operation.id)
        self._reconcile()
        self._happens(meanwhile)
        self._reconcile()

    @precondition(lambda self: self._running)
    @rule(data=st.data(), seen=st.booleans(), meanwhile=MEANWHILE)
    def the_job_is_lost(self, data: st.DataObject, seen: bool, meanwhile: str) -> None:
        if seen:
            self._reconcile()
        job = data.draw(st.sampled_from(self._running)).job
        self.lost.add(job)
        del self.scenario.jobs[job]
        self._happens(meanwhile)
        self._reconcile()

    @precondition(lambda self: self._backing_off)
    @rule(meanwhile=MEANWHILE)
    def a_wait_is_over(self, meanwhile: str) -> None:
        self._happens(meanwhile)
        self._wait_for_retry()
        self._reconcile()

    @rule(data=st.data(), meanwhile=MEANWHILE)
    def the_registry_is_read_beside_a_write(self, data: st.DataObject, meanwhile: str) -> None:
        """Both jobs run; either ends first, and what was read before a write is not taken over."""
        scenario = self.scenario
        scenario.change(registry={"pollInterval": "30m"}, suspend=False)
        scenario.later(minutes=31)
        self._reconcile(requested=True)
        self._happens(meanwhile)
        self._reconcile()
        order = data.draw(st.permutations(self._running))
        for operation in order:
            ends = [end for end in ENDS[operation.kind] if not end[1]]
            self._end(operation, *ends[0])
            self._reconcile()

    @rule()
    def a_good_day(self) -> None:
        """Remove all obstacles, so that a commit is applied."""
        self._heal()
        self._reconcile_until_quiet()

    @rule(count=st.integers(1, 14), down=st.booleans())
    def a_bad_day(self, count: int, down: bool) -> None:
        """One bad commit after another, while MLflow may be down."""
        if down:
            self.scenario.outage = OUTAGE
            self.scenario.change(apply={"protection": {"mode": "Warn"}})
        for _ in range(count):
            self._happens("a push")
            self._reconcile()
            for operation in self._running:
                self._end(operation, "Failed", "InvalidRepo")
                self._reconcile()

    @rule(requested=st.booleans())
    def host_reconciles(self, requested: bool) -> None:
        self._reconcile(requested=requested)

    @rule(effects=st.integers(0, 4))
    def the_host_dies_and_another_starts(self, effects: int) -> None:
        self._reconcile(dies_after=effects)
        self.scenario.restart()

    @rule()
    def nothing_happens_for_a_while(self) -> None:
        """A project without changes has no write, no job, no event, and no useless reconcile."""
        self.scenario.rest()
        before = self.scenario.status
        decision = self.scenario.reconcile()

        assert self.scenario.status == before
        assert (decision.before, decision.after, decision.events) == ((), (), ())
        waiting = sum(operation.mlflow_run_id is None for operation in before.operations)
        assert len(before.operations) <= 10 + waiting
        for _ in range(3):
            assert decision.requeue_at is not None
            if decision.requeue_at - self.scenario.now > timedelta(seconds=25):
                return
            self.scenario.now = decision.requeue_at + timedelta(seconds=1)
            decision = self._reconcile()
            if self.scenario.status != before:
                return
        raise AssertionError("it is looked at again and again in vain")

    @precondition(lambda self: not self.scenario.observed().deleted)
    @rule(policy=st.sampled_from(("Retain", "Delete")), really=st.integers(0, 9))
    def somebody_deletes_it(self, policy: str, really: int) -> None:
        if really == 0:
            self.scenario.change(deletionPolicy=policy)
            self.scenario.delete()

    def _heal(self) -> None:
        self.scenario.outage = None
        self.scenario.change(suspend=False)
        self.scenario.annotate("allow-breaking", None)
        self._happens("a push")

    def _reconcile_until_quiet(self) -> None:
        """Every job succeeds from now on, until there is nothing left to do."""
        scenario = self.scenario
        for _ in range(400):
            decision = self._reconcile()
            if not scenario.status.in_flight and not decision.after:
                return
            if self._running:
                planned = self._running[0].kind is OperationKind.PLAN
                self._end(self._running[0], "Planned" if planned else "Succeeded", "")
            elif self._backing_off:
                self._wait_for_retry()
        raise AssertionError("it never settles")

    def _happens(self, what: str) -> None:
        match what:
            case "a push":
                self.pushed += 1
                self.scenario.push(f"{self.pushed:040x}")
            case "a revert" if self.scenario.status.applied is not None:
                self.scenario.push(self.scenario.status.applied.revision or A)
            case "MLflow out":
                self.scenario.outage = OUTAGE
            case "source out":
                self.scenario.source = UNREACHABLE
            case "suspended":
                self.scenario.change(suspend=True)
            case "deleted" if not self.scenario.observed().deleted and self.pushed % 4 == 3:
                self.scenario.change(deletionPolicy="Delete")
                self.scenario.delete()

    def _end(self, operation: OperationStatus, outcome: str, reason: str) -> None:
        scenario = self.scenario
        fields: dict[str, Any] = {"reason": reason, "message": f"it {outcome}"}
        if operation.kind in APPLYING and not reason:
            fields["plan"] = plan()
        if reason == "Blocked":
            fields["plan"] = plan(PlanVerdict.BLOCKED, reason="Blocked")
        if operation.kind in (OperationKind.MATERIALIZE, OperationKind.BACKFILL):
            failing = outcome == "Partial"
            fields["views"] = (
                view_report("stats", "Failed" if failing else "Succeeded"),
                view_report("extra", materialized_until=scenario.now),
            )
        scenario.reports(operation, outcome, **fields)
        self.ended.add(operation.id)

    @property
    def _backing_off(self) -> list[OperationStatus]:
        """The operations that wait for another attempt."""
        phase = OperationPhase.BACKING_OFF
        return [each for each in self.scenario.status.in_flight if each.phase is phase]

    def _wait_for_retry(self) -> None:
        """The first wait is over."""
        waits = (each.not_before for each in self._backing_off)
        self.scenario.now = max(self.scenario.now, min(at for at in waits if at)) + timedelta(
            seconds=1
        )

    @property
    def _running(self) -> list[OperationStatus]:
        """The operations in flight whose job runs."""
        scenario = self.scenario
        return [
            each
            for each in scenario.status.in_flight
            if each.job in scenario.jobs and scenario.jobs[each.job].running
        ]

    def _reconcile(self, **how: Any) -> Decision[FeatureStoreProjectStatus]:
        scenario = self.scenario
        started, observed = len(scenario.started), scenario.observed()
        decision = decide(observed)
        assert decide(observed) == decision, "the same facts lead to the same decision"
        scenario.reconcile(**how)
        for name in scenario.started[started:]:
            self._may_start(name)
        looks_again = decision.requeue_at
        assert looks_again is not None
        assert looks_again >= scenario.now + timedelta(seconds=1)
        return decision

    def _may_start(self, name: str) -> None:
        scenario = self.scenario
        operation = next(each for each in scenario.status.in_flight if each.job == name)
        kind = operation.kind
        deleted = scenario.observed().deleted
        assert deleted or not scenario.project.spec.suspend, "a suspended project starts nothing"
        assert not deleted or kind is OperationKind.DELETE, "what goes is not worked on any more"
        enforced = scenario.project.spec.apply.protection.mode == "Enforce"
        if enforced and kind in APPLYING | {OperationKind.DELETE}:
            assert scenario.outage is None, "the guard fails closed"
        if kind in APPLYING:
            assert isinstance(scenario.source, SourceFacts)
            assert operation.revision == scenario.source.revision, "nobody wants another revision"
        running = [job for job, facts in scenario.jobs.items() if facts.running]
        lane = [job for job in running if LANES[job.partition("-")[0]] is KINDS[kind].lane]
        assert lane == [name], "one job at a time in a lane"

    @invariant()
    def ids_are_never_used_twice(self) -> None:
        ids = {operation.id for operation in self.scenario.status.in_flight}
        assert not (ids - self.in_flight) & self.ids
        self.in_flight = ids
        self.ids |= ids

    @invariant()
    def numbers_only_grow(self) -> None:
        status = self.scenario.status
        assert status.sequence >= self.before.sequence
        newest = max((each.sequence for each in status.in_flight), default=0)
        assert newest <= status.sequence

    @invariant()
    def nothing_leaves_the_list_before_it_is_on_record(self) -> None:
        listed = {operation.id for operation in self.scenario.status.operations}
        for operation in self.before.operations:
            assert operation.id in listed or operation.id in self.scenario.runs
        self.before = self.scenario.status

    @invariant()
    def a_job_stays_while_somebody_needs_its_report(self) -> None:
        scenario = self.scenario
        for operation in scenario.status.operations:
            given_up = (operation.message or "").endswith("superseded before its next attempt")
            recorded = operation.id in scenario.runs or operation.job in self.lost
            assert recorded or given_up or operation.job in scenario.jobs

    @invariant()
    def the_status_is_whole_and_within_its_caps(self) -> None:
        status = self.scenario.status
        types = [condition.type for condition in status.conditions]
        if not types:
            return
        assert len(types) == len(set(types))
        assert set(types) >= ALWAYS
        assert {"Reconciling", "Stalled"} - set(types), "it moves, or it is stuck"
        ready = self.scenario.says("Ready")[0] == "True"
        assert not (ready and {"Reconciling", "Stalled"} & set(types))
        assert all(len(condition.message) <= 2000 for condition in status.conditions)

    def teardown(self) -> None:
        """All problems end, and then everything succeeds."""
        scenario = self.scenario
        if not scenario.status.conditions:
            return
        self._heal()
        self._reconcile_until_quiet()
        scenario.later(hours=2)  # a failed read of the registry waits for its interval
        self._reconcile_until_quiet()
        scenario.rest()

        assert not scenario.status.in_flight
        assert not scenario.jobs, "every job is forgotten once its operation is on record"
        assert self.ended <= set(scenario.runs), "every operation that ended is on record"
        assert all(operation.mlflow_run_id for operation in scenario.status.operations)
        assert len(scenario.status.operations) <= 10
        if scenario.observed().deleted:
            assert scenario.reconcile().finished or scenario.says("Stalled") == (
                "True",
                "DeletionBlocked",
            )
        else:
            assert scenario.says("Ready")[0] == "True"


TestOneProject = OneProject.TestCase
TestOneProject.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
