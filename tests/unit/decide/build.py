"""A project or a model with plain values for the tests of `decide`.

`ProjectScenario` is a host without I/O: it passes observed values to `decide`, applies the decision
as a host does, and serializes the status to JSON and back, as the API server would.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from tests.unit.operations.build import registry, service, view

from feature_lineage.api import Condition, FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import LineageOrigin, OperationKind, Verdict
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.decision import (
    AnswerJob,
    CancelJob,
    Decision,
    KeepProbe,
    Record,
    StartJob,
)
from feature_lineage.decide.events import DomainEvent
from feature_lineage.decide.facts import Event, JobFacts, SourceFacts
from feature_lineage.decide.observed import (
    Failure,
    LinkedVersion,
    ModelFacts,
    ObservedModel,
    ObservedProject,
)
from feature_lineage.decide.project.action_results import ActionResults, conclude
from feature_lineage.decide.project.decide import decide
from feature_lineage.decide.project.history import needed_jobs, records_operations
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.baseline import Baseline
from feature_lineage.models.facts import ModelVersion, RegistryView, TrainingRun
from feature_lineage.models.links import Link
from feature_lineage.models.verdicts import Judgement
from feature_lineage.operations.job_report import JobReport, ViewReport
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protection import Guard, GuardedModel, Impact
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reconcile.sinks.kubernetes_events import event_of

# The time has a fraction of a second, because a status must survive JSON without fractions.
NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
A, B, C = "a" * 40, "b" * 40, "c" * 40
PLAN = "d" * 64

GIT = {"git": {"url": "https://git.example/repo.git", "ref": {"branch": "main"}}}
MLFLOW = {"trackingUri": "http://mlflow.example:5000"}
OUTAGE = Failure("MLflowUnavailable", "http://mlflow.example:5000 does not answer", outage=True)

STATS = registry(
    {
        "stats": {**view({"conv_rate": "FLOAT", "trips": "INT64"}), "online": True},
        "extra": {**view({"acc_rate": "FLOAT"}), "online": True},
    },
    services={"activity": service({"stats": {"conv_rate": "FLOAT", "trips": "INT64"}})},
)


def at(text: str) -> datetime:
    """``12:30`` of the day of `NOW`, in UTC."""
    hours, minutes = map(int, text.split(":"))
    return NOW.replace(hour=hours, minute=minutes, second=0, microsecond=0)


def guard(*names: str, read_at: datetime = NOW) -> Guard:
    """A guard that protects the champions of these models."""
    return Guard(read_at, tuple(GuardedModel(name, "1", ("champion",), "", ()) for name in names))


def plan(verdict: PlanVerdict = PlanVerdict.CLEAN, digest: str = PLAN, reason: str = "") -> Plan:
    impacts = (Impact("driver_model", "3", ("champion",), ()),)
    hurts = verdict is not PlanVerdict.CLEAN
    return Plan(digest, verdict, impacts=impacts if hurts else (), reason=reason)


def view_report(name: str, result: str = "Succeeded", **more: Any) -> ViewReport:
    error = "the source file stats.parquet does not exist" if result == "Failed" else ""
    return ViewReport(name=name, kind="feature_view", result=result, error=error, **more)


class ProjectScenario:
    """A FeatureStoreProject on git and MLflow, a clock, and a host that applies each decision.

    Attributes:
        source, models, snapshot, probe: the input of the next reconcile.
        jobs: state of the jobs by name, as the runner reports it.
        started: names of all started jobs, in order.
        requests: the requests of these jobs, by job name.
        taken_back: why jobs waited that were cancelled before they started, by job name.
        forgotten: names of released jobs.
        runs: operation id → MLflow run.
        refusal: why no job can be started; None if jobs start.
        unrecorded: why MLflow or the platform refuses records; None: they are accepted.
        asked_at: when the host saw the question of the running job for a newer guard.
        answers: the answers to questions, in order.
        happened: domain events so far.
        events: reasons of the Kubernetes Events for them.
    """

    def __init__(self, **spec: Any) -> None:
        self.now = NOW
        self.spec: dict[str, Any] = {"project": "driver_ranking", "source": GIT, **spec}
        self.metadata: dict[str, Any] = {
            "name": "ranking",
            "namespace": "ml",
            "uid": "uid-1",
            "generation": 1,
            "annotations": {},
            "creationTimestamp": "2026-11-20T11:59:00Z",
        }
        self.source: SourceFacts | Failure | None = SourceFacts(A)
        self.guard = guard(read_at=self.now)
        self.linked: tuple[LinkedVersion, ...] = ()
        self.outage: Failure | None = None
        self.read_at: datetime | None = self.now
        self.snapshot: RegistrySnapshot | None = None
        self.probe: ProbeRecord | None = None
        self.server_refused: Failure | None = None
        self.damage = ""
        self.jobs: dict[str, JobFacts] = {}
        self.started: list[str] = []
        self.requests: dict[str, JobRequest] = {}
        self.taken_back: dict[str, str] = {}
        self.forgotten: list[str] = []
        self.runs: dict[str, str] = {}
        self.refusal: Failure | None = None
        self.asked_at: datetime | None = None
        self.answers: list[GuardAnswer] = []
        self.events: list[str] = []
        self.unrecorded: Failure | None = None
        self.happened: list[DomainEvent] = []
        self.status = FeatureStoreProjectStatus()

    @property
    def project(self) -> FeatureStoreProject:
        return FeatureStoreProject.model_validate(
            {"metadata": self.metadata, "spec": self.spec, "status": self.status}
        )

    @property
    def operation(self) -> OperationStatus:
        """The operation in flight; if there are two, the writing one."""
        assert self.status.in_flight, "no operation is in flight"
        return self.status.in_flight[0]

    @property
    def job(self) -> str:
        """Name of the job of the operation in flight."""
        return self.operation.job

    @property
    def request(self) -> JobRequest:
        """The request of the newest job."""
        return self.requests[self.started[-1]]

    def observed(self, *, requested: bool = False) -> ObservedProject:
        project = self.project
        asked = self.metadata["annotations"].get("featurelineage.io/reconcile-requested-at")
        annotated = asked is not None and asked != self.status.last_handled_reconcile_at
        if self.outage is None:
            self.read_at = self.now
            self.guard = replace(self.guard, read_at=self.now)
        models = (
            ModelFacts(self.read_at, self.linked, self.guard if self.read_at else None, self.outage)
            if project.spec.mlflow is not None
            else None
        )
        return ObservedProject(
            project,
            self.now,
            requested=requested or annotated,
            annotated=annotated,
            source=self.source,
            jobs={
                operation.job: self.jobs[operation.job]
                for operation in self.status.in_flight
                if operation.job in self.jobs
            },
            models=models,
            snapshot=self.snapshot,
            probe=self.probe,
            server_refused=self.server_refused,
            damage=self.damage,
            asked_at=self.asked_at,
        )

    def reconcile(
        self, *, requested: bool = False, dies_after: int | None = None
    ) -> Decision[FeatureStoreProjectStatus]:
        """Reconcile once: decide, store the status, write it, act, store the results, release jobs.

        Args:
            dies_after: the host crashes after this number of effects; call `restart` afterwards.
        """
        observed = self.observed(requested=requested)
        decision = decide(observed)
        effects = self._effects(observed, decision)
        for _ in effects if dies_after is None else islice(effects, dies_after):
            pass
        return decision

    def _effects(
        self, observed: ObservedProject, decision: Decision[FeatureStoreProjectStatus]
    ) -> Iterator[None]:
        before = self.status
        recorded: dict[str, str] = {}
        refused: dict[str, Failure] = {}
        for keep in decision.before:
            if isinstance(keep, KeepProbe):
                self.probe = keep.record
            else:
                self.snapshot = keep.snapshot
            yield
        self.status = through_json(decision.status)
        yield
        for action in decision.after:
            if isinstance(action, StartJob):
                if self.refusal is None:
                    self._start(action.request)
                else:
                    refused[action.request.operation_id] = self.refusal
            elif isinstance(action, CancelJob):
                self.taken_back[action.job] = action.why
            elif isinstance(action, AnswerJob):
                self._answer(action)
            elif isinstance(action, Record) and self.unrecorded is None:
                run = self.runs.setdefault(action.operation_id, f"run-{len(self.runs)}")
                recorded[action.operation_id] = run
            yield
        tried = any(isinstance(action, Record) for action in decision.after)
        results = ActionResults(recorded, refused, self.unrecorded if tried else None)
        concluded = conclude(observed, self.status, results, self.now)
        self.status = through_json(concluded.status)
        yield
        happened = (*decision.events, *concluded.events)
        self.happened += happened
        self.events += [event.reason for event in shown(happened)]
        self._forget(self._needed(before) - self._needed(self.status))
        yield

    def restart(self) -> None:
        """Start a host: it releases the jobs that the crashed host was about to release."""
        self._forget(set(self.jobs) - self._needed(self.status))

    def _needed(self, status: FeatureStoreProjectStatus) -> frozenset[str]:
        return needed_jobs(status, recorded=records_operations(self.project.spec))

    def _forget(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            self.forgotten.append(name)
            self.jobs.pop(name, None)

    def _start(self, request: JobRequest) -> None:
        name = request.operation_id
        written = {operation.job for operation in self.status.in_flight}
        assert name in written, "a job starts after its intent is written"
        self.started.append(name)
        self.requests[name] = request
        self.jobs.setdefault(name, JobFacts(running=True))

    def asks(self, token: str) -> None:
        """The running job asks for a newer guard, which the host sees now."""
        self.jobs[self.job] = JobFacts(running=True, guard_question=token)
        self.asked_at = self.now

    def _answer(self, action: AnswerJob) -> None:
        assert action.job == self.job
        assert action.answer.token == self.jobs[action.job].guard_question
        self.answers.append(action.answer)
        self.jobs[action.job] = JobFacts(running=True)

    def rest(self) -> None:
        """Reconcile until nothing changes; an operation in flight continues."""
        for _ in range(10):
            before = self.status
            decision = self.reconcile()
            if self.status == before and not decision.after:
                return
        raise AssertionError("it never comes to rest")

    def end(self, outcome: str, **fields: Any) -> Decision[FeatureStoreProjectStatus]:
        """End the job in flight with this report, and reconcile the project."""
        self.reports(self.operation, outcome, **fields)
        return self.reconcile()

    def reports(self, operation: OperationStatus, outcome: str, **fields: Any) -> None:
        """End the job of an operation in flight with this report."""
        report = self.report(outcome, operation, **fields)
        self.jobs[operation.job] = JobFacts(running=False, report=report)

    def crash(self, reason: str = "JobFailed", message: str = "killed") -> Decision[Any]:
        """End the job in flight without a report."""
        self.jobs[self.job] = JobFacts(running=False, reason=reason, message=message)
        return self.reconcile()

    def report(
        self, outcome: str, operation: OperationStatus | None = None, **fields: Any
    ) -> JobReport:
        job = (operation or self.operation).job
        request = self.requests.get(job)
        if outcome == "Succeeded":
            fields = {"snapshot": STATS, "registry_id": "registry-1", **fields}
        return JobReport(
            operation_id=job,
            kind=request.kind if request else OperationKind.APPLY,
            project="driver_ranking",
            outcome=outcome,
            started_at=self.now,
            finished_at=self.now,
            **fields,
        )

    def apply(self, revision: str = A, **stats: Any) -> "ProjectScenario":
        """Push a revision, and apply it.

        Args:
            stats: of the report about view stats.
        """
        self.source = SourceFacts(revision)
        self.reconcile()
        self.end("Succeeded", views=(view_report("stats", "", **stats), view_report("extra", "")))
        return self

    def push(self, revision: str) -> None:
        self.source = SourceFacts(revision)

    def change(self, **spec: Any) -> None:
        """Change the spec: a part that is a mapping is merged, anything else is replaced."""
        self.spec = merged(self.spec, spec)
        self.metadata = {**self.metadata, "generation": self.metadata["generation"] + 1}

    def annotate(self, name: str, value: str | None) -> None:
        key = f"featurelineage.io/{name}"
        kept = {k: v for k, v in self.metadata["annotations"].items() if k != key}
        self.metadata = {
            **self.metadata,
            "annotations": kept if value is None else {**kept, key: value},
        }

    def delete(self) -> None:
        self.metadata = {**self.metadata, "deletionTimestamp": f"{self.now:%Y-%m-%dT%H:%M:%SZ}"}

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def wait_for_retry(self) -> None:
        assert self.operation.not_before is not None
        self.now = self.operation.not_before + timedelta(seconds=1)

    def condition(self, type_: str) -> Condition:
        return next(c for c in self.status.conditions if c.type == type_)

    def says(self, type_: str) -> tuple[str, str]:
        """Return status and reason of a condition; ("", "") if there is none."""
        return next(
            ((c.status, c.reason) for c in self.status.conditions if c.type == type_), ("", "")
        )


def shown(events: Iterable[DomainEvent]) -> list[Event]:
    """Return the Kubernetes Events for domain events."""
    return [made for event in events if (made := event_of(event)) is not None]


def through_json(status: FeatureStoreProjectStatus) -> FeatureStoreProjectStatus:
    """Return the status after a round trip through JSON; nothing may be lost."""
    kept = FeatureStoreProjectStatus.model_validate(status.as_dict())
    assert kept == status
    return kept


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(old))
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def hourly(name: str = "hourly", **fields: Any) -> dict[str, Any]:
    """A schedule at half past each hour."""
    return {"name": name, "cron": "30 * * * *", "incremental": {}, **fields}


def backfill(name: str = "past", days: int = 2, **fields: Any) -> dict[str, Any]:
    """Whole days from the first of November, one day per chunk."""
    return {
        "name": name,
        "start": "2026-11-01T00:00:00Z",
        "end": f"2026-11-{1 + days:02}T00:00:00Z",
        **fields,
    }


REFS = (FeatureRef("stats", "conv_rate"), FeatureRef("stats", "trips"))


def version(number: str = "1", *aliases: str, **tags: str) -> ModelVersion:
    """A version of driver_model; `tags` are Feast's or our own keys in snake_case."""
    return ModelVersion(
        "driver_model",
        number,
        NOW - timedelta(days=1),
        run_id=f"run-{number}",
        tags=tags,
        aliases=aliases,
    )


def linked(
    of: ModelVersion,
    verdict: Verdict | None = Verdict.VERIFIED,
    *,
    reason: str | None = None,
    **link: Any,
) -> LinkedVersion:
    """The version with its features and this verdict; None: the registry was not read."""
    fields = {
        "refs": REFS,
        "service": "activity",
        "origin": LineageOrigin.RUN_TAG,
        "count": 2,
        **link,
    }
    judgement = (
        Judgement(verdict, reason or str(verdict), (), "1" * 64, "1" * 64, f"it is {verdict}")
        if verdict is not None
        else None
    )
    return LinkedVersion(
        of,
        Link(project="driver_ranking", **fields),
        Baseline("2" * 64, "Training", revision=A),
        judgement,
    )


def registry_view(*versions: ModelVersion, read_at: datetime = NOW) -> RegistryView:
    named: dict[str, dict[str, ModelVersion]] = {}
    for each in versions:
        named.setdefault(each.name, {})[each.version] = each
    runs = {each.run_id: TrainingRun(each.run_id, each.created_at) for each in versions}
    return RegistryView(read_at, named, runs)


def model(
    *, status: Any = None, annotations: dict[str, str] | None = None, **spec: Any
) -> TrainedModel:
    """A TrainedModel that follows the alias champion."""
    body = {
        "projectRef": {"name": "ranking"},
        "model": {"name": "driver_model", "alias": "champion"},
        **spec,
    }
    metadata = {
        "name": "champion",
        "namespace": "ml",
        "generation": 1,
        "annotations": annotations or {},
    }
    return TrainedModel.model_validate(
        {"metadata": metadata, "spec": body, **({"status": status} if status else {})}
    )


def observed_model(
    resource: TrainedModel,
    item: LinkedVersion | None,
    versions: Iterable[ModelVersion] = (),
    **fields: Any,
) -> ObservedModel:
    """The input of a model whose project is applied and whose MLflow answers."""
    project = ProjectScenario(mlflow=MLFLOW).apply().project
    known = registry_view(*versions, *([item.version] if item else ()))
    return ObservedModel(
        **{
            "resource": resource,
            "now": NOW,
            "project": project,
            "view": known,
            "linked": item,
            "snapshot": STATS,
            **fields,
        }
    )
