"""The reconciler: the order of its effects, and how failures are reported and repeated."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    NOW,
    STATS,
    A,
    ProjectScenario,
    model,
    version,
    view_report,
)
from tests.unit.reconcile.ports import FakePorts

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import OperationPhase, Verdict
from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import (
    FeatureLineageError,
    NotFound,
    RequestRejected,
    ServerUnavailable,
    TerminalError,
    TransientError,
)
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.reconcile.reconciler import Reconciler, ReconcileResult

OUT = ServerUnavailable("http://mlflow.example:5000 does not answer")


class ReconcilerSetup:
    """An environment, a reconciler, and one project."""

    def __init__(self, **spec: object) -> None:
        self.fakes = FakePorts()
        self.controller = Reconciler(self.fakes.ports())
        self.fakes.add(ProjectScenario(**{"mlflow": MLFLOW, **spec}).project)

    @property
    def project(self) -> FeatureStoreProject:
        found = self.fakes.resources["FeatureStoreProject", "ranking"]
        assert isinstance(found, FeatureStoreProject)
        return found

    @property
    def job(self) -> str:
        assert self.project.status.operation is not None
        return self.project.status.operation.job

    async def reconcile(self) -> ReconcileResult:
        """Reconcile once; `log` has the effects."""
        self.fakes.log.clear()
        return await self.controller.reconcile_project(self.project)

    async def restart(self) -> None:
        """Replace the reconciler by that of a new process, with an empty cache."""
        self.controller = Reconciler(self.fakes.ports())

    def job_ends(self, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        request = self.fakes.requests[self.job]
        self.fakes.reports[self.job] = JobReport(
            operation_id=self.job,
            kind=request.kind,
            project="driver_ranking",
            outcome=outcome,
            started_at=self.fakes.instant,
            finished_at=self.fakes.instant,
            snapshot=STATS,
            registry_id="registry-1",
            views=(view_report("stats", ""),),
        )

    async def applied(self) -> "ReconcilerSetup":
        await self.reconcile()
        self.job_ends()
        await self.reconcile_until_quiet()
        return self

    async def reconcile_until_quiet(self) -> None:
        for _ in range(10):
            if not (await self.reconcile()).requeue:
                return
        raise AssertionError("it never comes to rest")

    def says(self, type_: str) -> tuple[str, str]:
        found = next(c for c in self.project.status.conditions if c.type == type_)
        return found.status, found.reason


async def test_the_intent_is_written_before_the_job_starts() -> None:
    scene = ReconcilerSetup()

    result = await scene.reconcile()

    assert scene.fakes.log == [("save", "Pending"), ("start", scene.job)]
    assert (result.requeue, result.wrote, result.finished) == (True, True, False)


async def test_the_guard_of_an_apply_is_read_in_full_again() -> None:
    scene = ReconcilerSetup()

    await scene.reconcile()

    assert scene.fakes.asked == [True]


async def test_snapshot_is_kept_first_and_job_released_last() -> None:
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    job = scene.job
    scene.job_ends()

    await scene.reconcile()

    operation = scene.project.status.operations[0].id
    assert scene.fakes.log == [
        ("keep", STATS.digest),
        ("save", "ended"),
        ("record", operation),
        ("save", "recorded"),
        ("tell", "ApplySucceeded"),
        ("release", job),
    ]
    assert scene.fakes.timeline[0].revision == A


async def test_a_quiet_pass_writes_nothing() -> None:
    scene = await ReconcilerSetup().applied()
    scene.fakes.instant += timedelta(minutes=10)

    result = await scene.reconcile()

    assert scene.fakes.log == []
    assert (result.requeue, result.wrote) == (False, False)
    assert result.requeue_at == scene.fakes.instant + timedelta(seconds=30)


async def test_a_restart_is_no_news() -> None:
    scene = await ReconcilerSetup().applied()

    await scene.restart()
    await scene.reconcile()

    assert scene.fakes.log == []


async def test_a_job_that_cannot_be_started_waits_and_says_why() -> None:
    scene = ReconcilerSetup()
    scene.fakes.fail["start"] = NotFound("secret git-token is not there", reason="SecretNotFound")

    result = await scene.reconcile()

    operation = scene.project.status.operation
    assert operation is not None
    assert (operation.phase, operation.attempt) == (OperationPhase.BACKING_OFF, 1)
    assert operation.reason == "SecretNotFound"
    assert result.requeue
    assert result.requeue_at == NOW + timedelta(seconds=30)
    await scene.reconcile_until_quiet()
    assert scene.says("Applied") == ("False", "SecretNotFound")


async def test_job_not_started_keeps_its_name() -> None:
    scene = ReconcilerSetup()
    scene.fakes.fail["start"] = OUT
    await scene.reconcile()
    job = scene.job
    await scene.reconcile_until_quiet()
    assert ("start", job) not in scene.fakes.log

    del scene.fakes.fail["start"]
    scene.fakes.instant += timedelta(seconds=31)
    await scene.reconcile()

    assert scene.fakes.log == [("save", "Pending"), ("start", job)]


async def test_starts_that_fail_use_up_no_retry() -> None:
    scene = ReconcilerSetup(runtime={"retries": 0})
    scene.fakes.fail["start"] = OUT
    for _ in range(5):
        await scene.reconcile()
        scene.fakes.instant += timedelta(seconds=31)

    operation = scene.project.status.operation
    assert operation is not None
    assert operation.attempt == 1


async def test_the_intent_is_enough_for_whoever_starts_again() -> None:
    """Killed between the written intent and the start of the job."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    scene.fakes.requests.clear()

    await scene.restart()
    await scene.reconcile()

    assert scene.fakes.log == [("start", scene.job)]


async def test_nothing_is_recorded_twice_by_whoever_starts_again() -> None:
    """Killed after MLflow stored the run and before the status: the id leads to the same run."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    scene.job_ends()
    await scene.reconcile()
    recorded = scene.fakes.log[2]
    status = scene.project.status
    unsaid = status.operations[0].model_copy(update={"mlflow_run_id": None})
    scene.fakes.add(
        scene.project.model_copy(
            update={"status": status.model_copy(update={"operations": (unsaid,)})}
        )
    )

    await scene.restart()
    await scene.reconcile()

    assert recorded in scene.fakes.log


async def test_mlflow_outage_leaves_the_job_running() -> None:
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    job = scene.job
    scene.job_ends()
    scene.fakes.fail["record"] = OUT

    result = await scene.reconcile()

    assert ("release", job) not in scene.fakes.log
    assert result.requeue_at is not None
    assert result.requeue_at <= NOW + timedelta(seconds=30)
    await scene.reconcile()
    assert scene.says("Recorded") == ("False", "MLflowUnavailable")
    assert "1 operations wait for MLflow" in next(
        c.message for c in scene.project.status.conditions if c.type == "Recorded"
    )

    del scene.fakes.fail["record"]
    await scene.reconcile_until_quiet()
    assert scene.says("Recorded") == ("True", "Succeeded")
    assert len(scene.fakes.runs) == 1
    assert job not in scene.fakes.requests


async def ended() -> tuple[ReconcilerSetup, str]:
    """A job that has ended, one reconcile before the operator knows."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    job = scene.job
    scene.job_ends()
    return scene, job


async def test_failed_release_of_a_job_is_repeated_later() -> None:
    scene, job = await ended()
    scene.fakes.fail["release"] = OUT

    result = await scene.reconcile()

    assert scene.fakes.verbs()[-2:] == ["save", "tell"]
    assert (result.requeue, result.wrote) == (True, True)
    await scene.reconcile_until_quiet()
    assert job in scene.fakes.requests

    del scene.fakes.fail["release"]
    await scene.reconcile()
    assert scene.fakes.log == [("release", job)]
    await scene.reconcile()
    assert scene.fakes.log == []


@pytest.mark.parametrize("error", [OUT, RuntimeError("a defect")])
async def test_an_unwritten_event_fails_no_reconcile(error: Exception) -> None:
    scene, job = await ended()
    scene.fakes.fail["tell"] = error

    result = await scene.reconcile()

    assert result.wrote
    assert result.sink_errors == 1
    assert scene.fakes.log[-1] == ("release", job)
    assert (await scene.reconcile()).sink_errors == 0


async def test_an_unwritten_event_of_a_model_fails_no_reconcile() -> None:
    scene, _ = await trained()
    await reconcile_model_of(scene)
    known = scene.fakes.resources["TrainedModel", "champion"]
    assert isinstance(known, TrainedModel)
    assert known.status.lineage is not None
    broken = known.status.lineage.model_copy(update={"verdict": Verdict.BROKEN})
    status = known.status.model_copy(update={"lineage": broken})
    scene.fakes.add(known.model_copy(update={"status": status}))
    scene.fakes.fail["tell"] = RuntimeError("a defect")

    result = await reconcile_model_of(scene)

    assert result.wrote
    assert result.sink_errors == 1


async def test_job_without_a_required_record_is_released() -> None:
    scene, job = await ended()
    scene.fakes.fail["record"] = OUT
    await scene.reconcile()
    assert job in scene.fakes.requests

    spec = ProjectScenario(mlflow={**MLFLOW, "logOperations": False}).project.spec
    scene.fakes.add(scene.project.model_copy(update={"spec": spec}))
    await scene.reconcile()
    assert ("release", job) in scene.fakes.log

    await scene.reconcile()
    assert "release" not in scene.fakes.verbs()


class ActionLimit:
    """Whether a reconciler may act: this number of times, and then no more."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self) -> bool:
        self.times -= 1
        return self.times >= 0


async def test_whoever_may_not_act_leaves_the_intent_to_others() -> None:
    scene = ReconcilerSetup()
    scene.controller = Reconciler(scene.fakes.ports(), ActionLimit(0))

    result = await scene.reconcile()

    assert scene.fakes.verbs() == ["save"]
    assert (result.requeue, result.wrote, result.finished) == (False, True, False)
    assert result.requeue_at == NOW + timedelta(seconds=30)
    await scene.restart()
    await scene.reconcile()
    assert scene.fakes.log == [("start", scene.job)]


async def test_a_record_is_left_to_others_too_and_its_job_stays() -> None:
    scene, job = await ended()
    scene.controller = Reconciler(scene.fakes.ports(), ActionLimit(0))

    await scene.reconcile()

    assert scene.fakes.verbs() == ["keep", "save"]
    await scene.restart()
    await scene.reconcile_until_quiet()
    assert len(scene.fakes.runs) == 1
    assert job not in scene.fakes.requests


async def test_a_record_that_mlflow_refuses_is_reported() -> None:
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    scene.job_ends()
    scene.fakes.fail["record"] = RequestRejected("the tag is too long")

    await scene.reconcile()
    await scene.reconcile()

    assert scene.says("Recorded") == ("False", "RequestRejected")


async def test_an_outage_keeps_the_facts_and_starts_nothing() -> None:
    scene = await ReconcilerSetup().applied()
    scene.fakes.fail["view"] = OUT
    scene.fakes.add(
        scene.project.model_copy(
            update={"spec": ProjectScenario(mlflow=MLFLOW, apply={"prune": False}).project.spec}
        )
    )

    await scene.reconcile_until_quiet()

    assert "start" not in scene.fakes.verbs()
    assert scene.says("Applied") == ("False", "GuardUnavailable")
    assert scene.says("FactsCurrent") == ("False", "MLflowViewOld")


async def test_a_source_that_fails_is_a_condition_and_no_error() -> None:
    scene = ReconcilerSetup()
    scene.fakes.fail["resolve"] = NotFound("branch main does not exist", reason="RefNotFound")

    await scene.reconcile()

    assert scene.says("SourceReady") == ("False", "RefNotFound")


async def test_what_cannot_be_kept_is_not_spoken_of() -> None:
    """No status names a snapshot that does not exist."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    await scene.reconcile()
    before = scene.project.status
    scene.job_ends()
    scene.fakes.fail["keep"] = OUT

    with pytest.raises(ServerUnavailable):
        await scene.reconcile()

    assert scene.project.status == before


async def test_a_status_that_cannot_be_written_starts_no_job() -> None:
    scene = ReconcilerSetup()
    scene.fakes.fail["save"] = OUT

    with pytest.raises(ServerUnavailable):
        await scene.reconcile()

    assert not scene.fakes.requests


async def trained(**spec: object) -> tuple[ReconcilerSetup, str]:
    """A champion of the applied project, and its TrainedModel."""
    scene = await ReconcilerSetup().applied()
    scene.fakes.versions["1"] = replace(
        version("1", "champion"),
        tags={
            "feast.project": "driver_ranking",
            "feast.feature_refs": "stats:conv_rate",
            "feast.feature_count": "1",
        },
    )
    scene.fakes.add(model(**spec))
    scene.fakes.log.clear()
    return scene, "champion"


async def reconcile_model_of(scene: ReconcilerSetup) -> ReconcileResult:
    scene.fakes.log.clear()
    resource = scene.fakes.resources["TrainedModel", "champion"]
    assert not isinstance(resource, FeatureStoreProject)
    return await scene.controller.reconcile_model(resource)


async def test_a_model_s_status_is_written_before_its_tags() -> None:
    scene, _ = await trained()

    result = await reconcile_model_of(scene)

    assert scene.fakes.verbs() == ["save", "tag"]
    assert result.requeue
    assert scene.fakes.versions["1"].tags["featurelineage.io/verdict"] == "Unchanged"
    await reconcile_model_of(scene)
    assert scene.fakes.verbs() == ["save"]
    await reconcile_model_of(scene)
    assert scene.fakes.verbs() == []


async def test_a_tag_that_could_not_be_written_is_written_later() -> None:
    scene, _ = await trained()
    scene.fakes.fail["tag"] = OUT
    result = await reconcile_model_of(scene)
    assert not result.requeue
    assert result.requeue_at == NOW + timedelta(seconds=30)

    del scene.fakes.fail["tag"]
    await reconcile_model_of(scene)

    assert "tag" in scene.fakes.verbs()


async def test_a_verdict_leaves_the_version_that_the_alias_left() -> None:
    scene, _ = await trained()
    await reconcile_model_of(scene)
    await reconcile_model_of(scene)
    first = scene.fakes.versions["1"]
    scene.fakes.versions["1"] = replace(first, aliases=())
    scene.fakes.versions["2"] = replace(version("2", "champion"), tags=first.tags)

    await reconcile_model_of(scene)

    assert "featurelineage.io/verdict" not in scene.fakes.versions["1"].tags


async def test_whoever_may_act_no_more_writes_no_further_tag() -> None:
    scene, _ = await trained()
    await reconcile_model_of(scene)
    await reconcile_model_of(scene)
    first = scene.fakes.versions["1"]
    scene.fakes.versions["1"] = replace(first, aliases=())
    tags = {key: first.tags[key] for key in first.tags if key.startswith("feast.")}
    scene.fakes.versions["2"] = replace(version("2", "champion"), tags=tags)
    scene.controller = Reconciler(scene.fakes.ports(), ActionLimit(1))

    result = await reconcile_model_of(scene)

    assert len([verb for verb in scene.fakes.verbs() if verb in ("tag", "untag")]) == 1
    assert not result.requeue
    await scene.restart()
    await reconcile_model_of(scene)
    assert len([verb for verb in scene.fakes.verbs() if verb in ("tag", "untag")]) == 1


async def test_the_older_resource_writes_the_tags() -> None:
    scene, _ = await trained()
    younger = model()
    dated = {"creation_timestamp": NOW, "name": "a-younger"}
    older_owner = {"creation_timestamp": NOW - timedelta(days=1)}
    for resource, changes in ((younger, dated), (model(), older_owner)):
        metadata = resource.metadata.model_copy(update=changes)
        scene.fakes.add(resource.model_copy(update={"metadata": metadata}))

    scene.fakes.log.clear()
    found = scene.fakes.resources["TrainedModel", "a-younger"]
    assert not isinstance(found, FeatureStoreProject)
    await scene.controller.reconcile_model(found)
    assert "tag" not in scene.fakes.verbs()

    await reconcile_model_of(scene)
    assert "tag" in scene.fakes.verbs()


async def test_forbidden_project_reads_as_missing() -> None:
    scene = await ReconcilerSetup().applied()
    resource = model()
    elsewhere = resource.model_copy(
        update={
            "metadata": resource.metadata.model_copy(update={"namespace": "other"}),
            "spec": model(projectRef={"name": "ranking", "namespace": "ml"}).spec,
        }
    )
    scene.fakes.add(elsewhere)

    await reconcile_model_of(scene)

    found = scene.fakes.resources["TrainedModel", "champion"]
    reasons = {c.type: c.reason for c in found.status.conditions}
    assert reasons["Resolved"] == "RefNotPermitted"


@pytest.mark.parametrize(
    "allowed", [{"from": "All"}, {"from": "List", "names": ["other", "third"]}]
)
async def test_a_project_may_permit_other_namespaces(allowed: dict[str, object]) -> None:
    scene = await ReconcilerSetup(allowedNamespaces=allowed).applied()
    resource = model()
    scene.fakes.add(
        resource.model_copy(
            update={
                "metadata": resource.metadata.model_copy(update={"namespace": "other"}),
                "spec": model(projectRef={"name": "ranking", "namespace": "ml"}).spec,
            }
        )
    )

    await reconcile_model_of(scene)

    found = scene.fakes.resources["TrainedModel", "champion"]
    reasons = {c.type: c.reason for c in found.status.conditions}
    assert reasons["Resolved"] == "ModelNotFound"


@pytest.mark.parametrize("forged", [False, True])
async def test_an_older_resource_of_another_namespace_stops_nobody(forged: bool) -> None:
    """It never resolved its source, or its report names the registry of this project."""
    plain, scene = await ReconcilerSetup().applied(), ReconcilerSetup()
    own, applied = scene.project, plain.project.status
    older = own.metadata.model_copy(
        update={
            "name": "elder",
            "namespace": "evil",
            "creation_timestamp": NOW - timedelta(days=1),
        }
    )
    status = {"registry": applied.registry, "applied": applied.applied} if forged else {}
    scene.fakes.add(
        own.model_copy(update={"metadata": older, "status": own.status.model_copy(update=status)})
    )

    await scene.applied()
    await scene.reconcile()

    assert applied.registry is not None
    assert scene.project.status.applied is not None
    assert scene.project.status == applied, "as without the other resource"
    assert "evil" not in scene.project.status.model_dump_json()


async def test_a_model_keeps_its_facts_while_mlflow_is_out() -> None:
    scene, _ = await trained()
    await reconcile_model_of(scene)
    await reconcile_model_of(scene)
    scene.fakes.fail["view"] = OUT

    await reconcile_model_of(scene)

    found = scene.fakes.resources["TrainedModel", "champion"]
    reasons = {c.type: (c.status, c.reason) for c in found.status.conditions}
    assert reasons["Tagged"] == ("Unknown", "MLflowUnavailable")
    assert reasons["Ready"] == ("True", "Unchanged")
    assert "tag" not in scene.fakes.verbs()


async def test_start_failure_without_a_condition_reason_fails() -> None:
    scene = ReconcilerSetup()
    out = TransientError("no answer in 15 s", reason="ApiServerUnavailable")
    scene.fakes.fail["start"] = out

    await scene.reconcile_until_quiet()

    operation = scene.project.status.operation
    assert operation is not None
    assert (operation.reason, operation.message) == ("JobFailed", out.message)
    assert scene.says("Applied") == ("False", "JobFailed")


async def test_a_job_that_will_never_start_fails_and_is_on_record() -> None:
    scene = ReconcilerSetup()
    scene.fakes.fail["start"] = RequestRejected("the image is not allowed")

    await scene.reconcile_until_quiet()

    assert scene.project.status.operation is None
    assert scene.says("Applied") == ("False", "JobFailed")
    assert scene.says("Ready") == ("False", "JobFailed")
    assert len(scene.fakes.runs) == 1


@pytest.mark.parametrize(
    "error", [None, TransientError("the API server is away"), RequestRejected("not allowed")]
)
async def test_job_that_cannot_start_is_cancelled(error: FeatureLineageError | None) -> None:
    """A cancellation that is refused, also always, is not repeated at once."""
    scene = ReconcilerSetup()
    await scene.reconcile()
    stuck = JobFacts(True, reason="Unschedulable", message="no node", begun=False, outdated=True)
    scene.fakes.waiting[scene.job] = stuck
    if error is not None:
        scene.fakes.fail["cancel"] = error

    looked = await scene.reconcile()
    assert scene.fakes.verbs().count("cancel") == (error is None)
    assert looked.requeue == (error is None)
    assert looked.requeue_at is not None
    assert timedelta(seconds=29) < looked.requeue_at - scene.fakes.instant
    assert scene.project.status.operation is not None
    assert scene.project.status.operation.phase is OperationPhase.RUNNING

    scene.fakes.fail.clear()
    await scene.reconcile()
    assert ("cancel", scene.job) in scene.fakes.log


async def test_a_refused_schedule_ends_one_operation_a_tick() -> None:
    """Only a change of the spec can succeed: the tick is over, and the next tick is another one."""
    each_minute = {"name": "each", "cron": "* * * * *", "incremental": {}}
    scene = await ReconcilerSetup(schedules=[each_minute]).applied()
    scene.job_ends()  # of the tick before
    await scene.reconcile_until_quiet()
    scene.fakes.fail["start"] = TerminalError(
        "Job ranking: requests.memory must not exceed limits.memory", reason="InvalidManifest"
    )
    sequence = scene.project.status.sequence

    for minute in range(1, 4):
        scene.fakes.instant = NOW.replace(second=1) + timedelta(minutes=minute)
        await scene.reconcile_until_quiet()
        assert scene.project.status.sequence == sequence + minute

    assert [op.reason for op in scene.project.status.operations[:3]] == ["InvalidManifest"] * 3
    assert scene.says("Materialized") == ("False", "InvalidManifest")


async def test_requested_apply_reads_the_guard_again() -> None:
    scene = ReconcilerSetup(runtime={"retries": 0})
    await scene.reconcile()
    scene.job_ends(Outcome.FAILED)
    await scene.reconcile_until_quiet()
    assert scene.says("Applied") == ("False", "JobFailed")
    scene.fakes.asked.clear()

    result = await scene.controller.reconcile_project(scene.project, requested=True)

    assert isinstance(result.resource, FeatureStoreProject)
    assert result.resource.status.operation is not None
    assert scene.fakes.asked[-1], "the guard of this apply was read in full"


async def test_a_block_whose_guard_changed_reads_the_guard_again() -> None:
    scene = ReconcilerSetup()
    champion = replace(
        version("1", "champion"),
        tags={"feast.project": "driver_ranking", "feast.feature_refs": "stats:conv_rate"},
    )
    scene.fakes.versions["1"] = champion
    for _ in range(2):  # the second guard is built on the registry that the first job read
        await scene.reconcile()
        scene.job_ends(Outcome.BLOCKED)
        await scene.reconcile_until_quiet()
    assert scene.says("Applied") == ("False", "Blocked")
    scene.fakes.versions["1"] = replace(champion, aliases=())
    scene.fakes.instant += timedelta(minutes=1)
    scene.fakes.asked.clear()

    await scene.reconcile()

    assert scene.project.status.operation is not None, "what blocked it is gone"
    assert scene.fakes.asked[-1], "the guard of this apply was read in full"
