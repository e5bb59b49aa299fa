"""Applying: what starts a job, what its end means, and what is tried again."""

from datetime import timedelta

import pytest
from tests.unit.decide.build import MLFLOW, OUTAGE, PLAN, STATS, A, B, C, Play, guard, plan

from feature_lineage.api.enums import OperationKind, OperationPhase, PlanVerdict, Result
from feature_lineage.decide.facts import JobFacts, Key, SourceFacts
from feature_lineage.decide.values import Failure, KeepSnapshot, OlderOwner, StartJob

BLOCKED = plan(PlanVerdict.BLOCKED, reason="Blocked")


def block(play: Play) -> None:
    play.end("Blocked", reason="Blocked", message="it would hurt driver_model", plan=BLOCKED)


def test_the_first_look_writes_an_apply_down_and_starts_its_job() -> None:
    play = Play(mlflow=MLFLOW)

    decision = play.look()

    assert play.operation.kind is OperationKind.APPLY
    assert (play.operation.sequence, play.operation.attempt) == (1, 1)
    assert (play.operation.revision, play.operation.phase) == (A, OperationPhase.PENDING)
    assert [type(action) for action in decision.after] == [StartJob]
    request = play.request
    assert (request.operation_id, request.kind) == (f"{play.operation.id}-1", OperationKind.APPLY)
    assert request.apply is not None
    assert request.apply.adopted == ""
    assert request.apply.guard == play.guard
    assert play.says("Ready") == ("False", "Progressing")
    assert play.says("Reconciling") == ("True", "Progressing")


def test_a_running_job_is_left_alone() -> None:
    play = Play()
    play.look()

    decision = play.look()

    assert play.operation.phase is OperationPhase.RUNNING
    assert not decision.after
    assert decision.requeue_at is not None
    assert decision.requeue_at <= play.now + timedelta(seconds=60)


def test_an_apply_that_succeeds_is_in_effect() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()

    decision = play.end("Succeeded", counts={"created": 3}, feast_version="0.67.0", plan=plan())

    assert decision.before == (
        KeepSnapshot(STATS, play.status.operations[0].finished_at.replace(microsecond=250_000), A),
    )
    assert play.status.operation is None
    assert play.status.applied is not None
    assert (play.status.applied.revision, play.status.applied.created) == (A, 3)
    assert play.status.applied.registry_digest == STATS.digest
    assert play.status.registry is not None
    assert play.status.registry.id == "registry-1"
    assert play.status.registry.operation_id == play.status.operations[0].id
    assert play.status.runtime is not None
    assert play.status.runtime.feast_version == "0.67.0"
    assert play.status.plan is not None
    assert play.status.plan.verdict == "Clean"
    assert play.says("Applied") == play.says("Ready") == ("True", "Succeeded")
    assert play.says("Reconciling") == play.says("Stalled") == ("", "")
    assert play.events[-1] == "ApplySucceeded"


def test_what_is_in_effect_is_not_applied_again() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.later(hours=5)

    play.rest()
    play.look(requested=True)

    assert len(play.started) == 1


def test_a_new_commit_is_a_new_operation_and_no_first_one() -> None:
    play = Play().apply()

    play.push(B)
    play.look()

    assert (play.operation.revision, play.operation.sequence) == (B, 2)
    assert play.request.apply is not None
    assert play.request.apply.adopted == "registry-1"
    assert play.request.apply.closures == STATS.closures


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"apply": {"prune": False}}, id="apply policy"),
        pytest.param({"runtime": {"timeout": "2h"}}, id="runtime"),
        pytest.param({"apply": {"protection": {"mode": "Warn"}}}, id="protection"),
    ],
)
def test_other_inputs_are_another_apply(change: dict[str, object]) -> None:
    play = Play().apply()

    play.change(**change)
    play.look()

    assert play.operation.sequence == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"freshness": {"maxAge": "1h"}}, id="freshness"),
        pytest.param({"mlflow": {"pollInterval": "5m"}}, id="MLflow"),
        pytest.param({"deletionPolicy": "Delete"}, id="deletion policy"),
    ],
)
def test_what_an_apply_does_not_depend_on_starts_none(change: dict[str, object]) -> None:
    play = Play(mlflow=MLFLOW).apply()

    play.change(**change)
    play.rest()

    assert len(play.started) == 1


def test_another_text_for_feature_store_yaml_is_another_apply() -> None:
    play = Play().apply()

    play.source = SourceFacts(A, "project: driver_ranking")
    play.look()

    assert play.request.feature_store_yaml == "project: driver_ranking"


def test_a_revert_is_a_new_operation() -> None:
    """A→B→A: the third apply has the inputs of the first and another id."""
    play = Play().apply(A).apply(B).apply(A)

    ids = [operation.id for operation in play.status.operations]
    assert len(set(ids)) == 3
    assert play.status.applied is not None
    assert (play.status.applied.revision, play.status.sequence) == (A, 3)


def test_permission_starts_and_records_a_new_operation() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.push(B)
    play.look()
    block(play)

    play.annotate("allow-breaking", f"{PLAN[:12]}: the model goes tomorrow")
    play.look()

    assert play.operation.sequence == 3
    assert play.request.apply is not None
    assert play.request.apply.allow_breaking is not None
    assert play.request.apply.allow_breaking.plan_digest == PLAN[:12]
    play.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))
    override = play.status.operations[0].override
    assert override is not None
    assert (override.kind, override.why) == ("allow-breaking", "the model goes tomorrow")


def test_an_override_for_another_plan_is_not_recorded_as_used() -> None:
    play = Play(mlflow=MLFLOW)
    play.annotate("allow-breaking", f"{'e' * 12}: an old permission")
    play.look()

    play.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))

    assert play.status.operations[0].override is None


def test_bad_annotation_permits_nothing() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.push(B)

    play.annotate("allow-breaking", "yes")
    play.look()

    assert len(play.started) == 1
    assert play.says("Applied") == ("False", "InvalidManifest")
    assert "<plan digest>: <why>" in play.condition("Applied").message
    assert play.says("Stalled") == ("True", "InvalidManifest")

    play.annotate("allow-breaking", None)
    play.look()
    assert play.operation.revision == B


def test_bad_annotation_does_not_stop_a_running_job() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()

    play.annotate("allow-breaking", "yes")
    play.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))

    assert play.status.applied is not None


def test_a_blocked_commit_stalls_with_its_message_and_its_plan() -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.push(B)
    play.look()

    block(play)

    assert play.says("Applied") == play.says("Ready") == ("False", "Blocked")
    assert play.says("Stalled") == ("True", "Blocked")
    assert play.says("Reconciling") == ("", "")
    assert play.condition("Ready").message == "it would hurt driver_model"
    assert play.status.plan is not None
    assert (play.status.plan.revision, play.status.plan.digest) == (B, PLAN)
    assert play.status.plan.impacts[0].model == "driver_model"
    assert play.status.applied is not None
    assert play.status.applied.revision == A
    assert play.events[-1] == "Blocked"
    play.later(hours=1)
    play.rest()
    play.look(requested=True)
    assert len(play.started) == 2


def test_blocked_since_is_kept_for_another_blocked_plan() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    block(play)
    assert play.status.plan is not None
    since = play.status.plan.blocked_since
    play.later(hours=1)

    play.push(B)
    play.look()
    block(play)
    assert play.status.plan.blocked_since == since

    play.push("c" * 40)
    play.look()
    play.end("Succeeded", plan=plan())
    assert play.status.plan.blocked_since is None


def test_block_is_planned_again_when_protected_models_move() -> None:
    play = Play(mlflow=MLFLOW)
    play.guard = guard("driver_model")
    play.look()
    block(play)

    play.guard = guard()
    play.look()

    assert play.operation.sequence == 2
    play.end("Succeeded", plan=plan())
    assert play.says("Ready") == ("True", "Succeeded")


def test_block_with_an_outdated_guard_is_planned_again() -> None:
    """What the job was held against counts, not what is known when it ends."""
    play = Play(mlflow=MLFLOW)
    play.guard = guard("driver_model")
    play.look()

    play.guard = guard()
    block(play)
    play.look()

    assert play.operation.sequence == 2


@pytest.mark.parametrize("reason", ["InvalidRepo", "ProjectMismatch", "EphemeralStore"])
def test_a_terminal_failure_waits_for_other_inputs_or_a_request(reason: str) -> None:
    play = Play()
    play.look()

    play.end("Failed", reason=reason, message="features.py, line 3: no such field")

    assert play.says("Applied") == ("False", reason)
    assert play.says("Stalled") == ("True", reason)
    play.later(days=1)
    play.rest()
    assert len(play.started) == 1
    play.look(requested=True)
    assert play.operation.sequence == 2
    play.end("Failed", reason=reason, message="features.py, line 3: no such field")
    play.push(B)
    play.look()
    assert play.operation.sequence == 3
    assert play.says("Stalled") == ("", "")


def test_failed_attempt_backs_off_to_another_job() -> None:
    play = Play()
    play.look()
    first = play.job

    decision = play.end("Failed", reason="JobFailed", message="connection reset")

    assert (play.operation.phase, play.operation.attempt) == (OperationPhase.BACKING_OFF, 2)
    assert play.operation.not_before is not None
    wait = play.operation.not_before - play.now.replace(microsecond=0)
    assert timedelta(seconds=30) <= wait <= timedelta(seconds=38)
    assert decision.requeue_at is not None
    assert play.says("Applied") == ("False", "JobFailed")
    assert "connection reset; attempt 2 starts at" in play.condition("Applied").message
    assert play.says("Reconciling") == ("True", "JobFailed")
    assert play.events[-1] == "JobFailed"
    assert play.forgotten == [first]

    decision = play.look()
    assert len(play.started) == 1
    assert decision.requeue_at == play.operation.not_before
    play.wait_for_retry()
    play.look()
    assert play.started == [f"{play.operation.id}-1", f"{play.operation.id}-2"]
    assert play.operation.not_before is None


def test_who_asks_to_look_does_not_wait_for_the_back_off() -> None:
    play = Play()
    play.look()
    play.crash()

    play.annotate("reconcile-requested-at", "now")
    play.look()

    assert len(play.started) == 2
    assert play.status.last_handled_reconcile_at == "now"


def test_waits_grow_with_each_attempt() -> None:
    play = Play(runtime={"retries": 5})
    play.look()
    waits = []
    for _ in range(5):
        play.crash()
        assert play.operation.not_before is not None
        waits.append(play.operation.not_before - play.now)
        play.wait_for_retry()
        play.look()

    assert waits == sorted(waits)
    assert waits[-1] >= timedelta(minutes=8)


def test_retries_that_are_used_up_stall_until_somebody_asks() -> None:
    play = Play(runtime={"retries": 2})
    play.look()
    for _ in range(2):
        play.crash("DeadlineExceeded", "it took longer than 1h")
        play.wait_for_retry()
        play.look()

    play.crash("DeadlineExceeded", "it took longer than 1h")

    assert play.says("Stalled") == ("True", "DeadlineExceeded")
    assert play.status.last_apply is not None
    assert (play.status.last_apply.result, play.status.last_apply.attempt) == (Result.FAILED, 3)
    play.later(days=1)
    play.rest()
    assert len(play.started) == 3
    play.look(requested=True)
    assert len(play.started) == 4
    assert play.operation.sequence == 2


def test_no_retries_means_no_second_attempt() -> None:
    play = Play(runtime={"retries": 0})
    play.look()

    play.crash()

    assert play.status.operation is None
    assert play.says("Stalled") == ("True", "JobFailed")


def test_a_job_that_stepped_back_is_tried_again_at_once() -> None:
    """The guard was too old, or the registry moved: nothing was done, nothing failed."""
    play = Play(mlflow=MLFLOW)
    play.look()

    play.end("SteppedBack", reason="GuardUnavailable", message="the guard is too old")

    assert play.operation.not_before is not None
    assert play.operation.not_before <= play.now + timedelta(seconds=1)
    play.wait_for_retry()
    play.look()
    assert len(play.started) == 2
    assert play.request.apply is not None
    assert play.request.apply.guard is not None
    assert play.request.apply.guard.read_at == play.now


def test_attempts_that_do_not_count_use_up_no_retry() -> None:
    play = Play(runtime={"retries": 1})
    play.look()
    for _ in range(6):
        play.end("SteppedBack", reason="GuardUnavailable", message="the guard is too old")
        play.wait_for_retry()
        play.look()

    play.crash()
    assert play.operation.phase is OperationPhase.BACKING_OFF
    play.wait_for_retry()
    play.look()
    play.crash()
    assert play.says("Stalled") == ("True", "JobFailed")


def test_an_interrupted_job_is_no_failure_of_its_own() -> None:
    play = Play()
    play.look()

    play.end("Failed", reason="Interrupted", message="told to stop")

    assert play.operation.reason == "JobFailed"
    assert play.operation.not_before is not None
    assert play.operation.not_before <= play.now + timedelta(seconds=1)


def test_newer_commit_replaces_one_that_backs_off() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    first = play.operation.id
    play.crash()

    play.push(B)
    play.look()

    assert (play.operation.revision, play.operation.sequence) == (B, 2)
    superseded = play.status.operations[0]
    assert (superseded.id, superseded.result, superseded.attempt) == (first, Result.FAILED, 1)
    assert superseded.message is not None
    assert "superseded" in superseded.message


def test_reverted_commit_is_not_retried() -> None:
    """A is in effect, B fails and waits, A is back: B must not get another attempt."""
    play = Play(mlflow=MLFLOW).apply(A)
    play.push(B)
    play.look()
    play.crash()

    play.push(A)
    play.wait_for_retry()
    play.rest()

    assert B not in [play.requests[name].revision for name in play.started[2:]]
    assert play.status.operations[0].result is Result.FAILED


def test_a_lost_job_is_started_again_under_the_same_name() -> None:
    play = Play()
    play.look()
    play.look()
    play.jobs.clear()

    decision = play.look()

    assert play.started == [play.job, play.job]
    assert [type(action) for action in decision.after] == [StartJob]
    assert play.status.sequence == 1


def test_outdated_operation_is_dropped_before_it_runs() -> None:
    play = Play()
    play.look()
    play.jobs.clear()

    play.push(B)
    play.look()

    assert (play.operation.revision, play.operation.sequence) == (B, 2)
    assert not play.status.operations


def test_lost_outdated_job_is_recorded() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.look()
    play.jobs.clear()

    play.push(B)
    play.look()

    assert play.operation.revision == B
    lost = play.status.operations[0]
    assert (lost.revision, lost.result, lost.attempt) == (A, Result.FAILED, 1)


def test_running_job_of_an_older_commit_ends() -> None:
    play = Play()
    play.look()

    play.push(B)
    play.look()
    assert play.operation.revision == A
    play.end("Succeeded")

    assert play.status.applied is not None
    assert play.status.applied.revision == A
    assert play.operation.revision == B


def test_nothing_is_planned_on_models_that_nobody_could_read() -> None:
    """The guard fails closed."""
    play = Play(mlflow=MLFLOW)
    play.outage, play.read_at = OUTAGE, None

    play.rest()

    assert not play.started
    assert play.says("Applied") == play.says("Ready") == ("False", "GuardUnavailable")
    assert play.says("Reconciling") == ("True", "GuardUnavailable")
    assert play.says("Stalled") == ("", "")
    play.outage = None
    play.look()
    assert len(play.started) == 1


@pytest.mark.parametrize(
    ("policy", "age", "starts"),
    [
        pytest.param({}, 1, False, id="Block: facts that cannot be renewed do not count"),
        pytest.param({"onGuardUnavailable": "UseLast"}, 9, True, id="UseLast within maxGuardAge"),
        pytest.param({"onGuardUnavailable": "UseLast"}, 11, False, id="UseLast past maxGuardAge"),
        pytest.param({"mode": "Warn"}, 60, True, id="Warn needs no facts"),
        pytest.param({"mode": "Off"}, 60, True, id="Off needs no facts"),
    ],
)
def test_what_an_outage_of_mlflow_holds_up(policy: dict[str, str], age: int, starts: bool) -> None:
    play = Play(mlflow=MLFLOW).apply()
    play.change(apply={"protection": policy})
    play.outage = OUTAGE
    play.later(minutes=age)

    play.push(B)
    play.look()

    assert (len(play.started) == 2) is starts
    assert (play.says("Applied")[1] == "GuardUnavailable") is not starts


def test_outage_delays_a_retry_like_a_first_attempt() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.crash()

    play.outage = OUTAGE
    play.wait_for_retry()
    play.rest()
    assert len(play.started) == 1

    play.outage = None
    play.look()
    assert play.started[1:] == [play.job]


def test_without_mlflow_there_is_nothing_to_protect() -> None:
    play = Play()

    play.look()

    assert play.request.apply is not None
    assert play.request.apply.guard is None


def test_lost_job_needs_facts_to_start_again() -> None:
    play = Play(mlflow=MLFLOW)
    play.look()
    play.jobs.clear()

    play.outage = OUTAGE
    play.rest()
    assert len(play.started) == 1

    play.outage = None
    play.look()
    assert len(play.started) == 2


def test_unresolved_source_delays_only_applies() -> None:
    play = Play().apply()

    play.source = Failure("RefNotFound", "branch main is not there; set source.git.ref")
    play.rest()

    assert play.says("SourceReady") == play.says("Ready") == ("False", "RefNotFound")
    assert play.says("Applied") == ("True", "Succeeded")
    assert len(play.started) == 1


def test_job_needs_the_text_of_feature_store_yaml() -> None:
    """With the repo's own text it might write another registry."""
    play = Play(featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}})
    play.source = SourceFacts(A, "project: driver_ranking")
    play.look()
    play.crash()

    play.source = Failure("SecretNotFound", "secret feast is not there")
    play.wait_for_retry()
    play.rest()
    assert len(play.started) == 1


def test_an_elder_whose_registry_is_not_known_yet_goes_first() -> None:
    play = Play()
    older_owner = OlderOwner(Key("FeatureStoreProject", "ml", "elder"), "", tried=False)
    play.older_owners = (older_owner,)

    play.rest()
    assert not play.started
    assert play.says("Applied") == ("False", "Progressing")
    assert "ml/elder" in play.condition("Applied").message

    play.older_owners = (OlderOwner(older_owner.key, "registry-9", tried=True),)
    play.look()
    assert play.request.apply is not None
    assert play.request.apply.owned_elsewhere == ("registry-9",)


def test_older_project_without_registry_is_not_awaited() -> None:
    play = Play()
    play.older_owners = (OlderOwner(Key("FeatureStoreProject", "ml", "elder"), "", tried=True),)

    play.look()

    assert len(play.started) == 1


def test_first_apply_that_deletes_foreign_objects_stalls() -> None:
    play = Play()
    play.look()

    play.end("Blocked", reason="AdoptionWouldDelete", message="it would delete two views")

    assert play.says("Stalled") == ("True", "AdoptionWouldDelete")
    play.annotate("allow-adoption", f"{PLAN}: they are ours now")
    play.look()
    assert play.request.apply is not None
    assert play.request.apply.adopted == ""
    assert play.request.apply.allow_adoption is not None


@pytest.mark.parametrize(
    ("outcome", "fields"),
    [
        pytest.param("Blocked", {"reason": "AdoptionWouldDelete"}, id="refused"),
        pytest.param("Failed", {"reason": "InvalidRepo"}, id="failed"),
    ],
)
def test_observed_registry_is_not_adopted(outcome: str, fields: dict[str, str]) -> None:
    """feature_store.yaml moves to a registry that others fill; the next commit is no second one."""
    play = Play().apply()
    play.push(B)
    play.look()
    play.end(outcome, registry_id="registry-2", **fields)
    assert play.status.registry is not None
    assert play.status.registry.id == "registry-2"

    play.push(C)
    play.look()

    assert play.request.apply is not None
    assert play.request.apply.adopted == "registry-1"
    play.end("Succeeded", registry_id="registry-2")
    play.push(A)
    play.look()
    assert play.request.apply is not None
    assert play.request.apply.adopted == "registry-2"


def test_another_project_in_the_same_registry_is_adopted_anew() -> None:
    play = Play().apply()

    play.change(project="other_ranking")
    play.look()

    assert play.request.apply is not None
    assert play.request.apply.adopted == ""


def test_any_report_gives_a_valid_status() -> None:
    """A report is untrusted: its reason is no condition reason until it looks like one."""
    play = Play(runtime={"retries": 0})
    play.look()

    play.end("Failed", reason="no good\n", message="x" * 100_000)

    assert play.says("Applied") == ("False", "JobFailed")
    assert len(play.status.model_dump_json()) < 20_000


def test_long_message_of_an_attempt_is_truncated() -> None:
    play = Play()
    play.look()

    play.end("Failed", reason="JobFailed", message="x" * 100_000)

    assert len(play.status.model_dump_json()) < 20_000


def test_warnings_of_a_job_are_told_once() -> None:
    play = Play()
    play.look()

    play.end("Succeeded", warnings=("two views have no owner",))
    play.rest()

    assert play.events.count("Warning") == 1


def test_report_during_back_off_changes_nothing() -> None:
    play = Play()
    play.look()
    play.crash()
    before = play.status
    play.jobs[play.job] = JobFacts(running=False, report=play.report("Succeeded"))

    play.look()

    assert play.status.applied is before.applied
