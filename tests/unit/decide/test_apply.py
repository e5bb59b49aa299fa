"""Applies: what starts a job, how its end is handled, and what is repeated."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    PLAN,
    STATS,
    A,
    B,
    C,
    ProjectScenario,
    guard,
    plan,
)

from feature_lineage.api.enums import OperationKind, OperationPhase, PlanVerdict, Result
from feature_lineage.decide.decision import KeepSnapshot, StartJob
from feature_lineage.decide.facts import JobFacts, SourceFacts
from feature_lineage.decide.observed import Failure
from feature_lineage.operations.protected_services import PROTECTED_TAG

BLOCKED = plan(PlanVerdict.BLOCKED, reason="Blocked")


def block(scenario: ProjectScenario) -> None:
    scenario.end("Blocked", reason="Blocked", message="it would affect driver_model", plan=BLOCKED)


def test_the_first_look_writes_an_apply_down_and_starts_its_job() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)

    decision = scenario.reconcile()

    assert scenario.operation.kind is OperationKind.APPLY
    assert (scenario.operation.sequence, scenario.operation.attempt) == (1, 1)
    assert (scenario.operation.revision, scenario.operation.phase) == (A, OperationPhase.PENDING)
    assert [type(action) for action in decision.after] == [StartJob]
    request = scenario.request
    assert (request.operation_id, request.kind) == (
        f"{scenario.operation.id}-1",
        OperationKind.APPLY,
    )
    assert request.apply is not None
    assert request.apply.adopted == ""
    assert request.apply.guard == scenario.guard
    assert scenario.says("Ready") == ("False", "Progressing")
    assert scenario.says("Reconciling") == ("True", "Progressing")


def test_a_running_job_is_left_alone() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    decision = scenario.reconcile()

    assert scenario.operation.phase is OperationPhase.RUNNING
    assert not decision.after
    assert decision.requeue_at is not None
    assert decision.requeue_at <= scenario.now + timedelta(seconds=60)


def test_an_apply_that_succeeds_is_in_effect() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()

    decision = scenario.end("Succeeded", counts={"created": 3}, feast_version="0.67.0", plan=plan())

    assert decision.before == (
        KeepSnapshot(
            STATS, scenario.status.operations[0].finished_at.replace(microsecond=250_000), A
        ),
    )
    assert scenario.status.operation is None
    assert scenario.status.applied is not None
    assert (scenario.status.applied.revision, scenario.status.applied.created) == (A, 3)
    assert scenario.status.applied.registry_digest == STATS.digest
    assert scenario.status.registry is not None
    assert scenario.status.registry.id == "registry-1"
    assert scenario.status.registry.operation_id == scenario.status.operations[0].id
    assert scenario.status.runtime is not None
    assert scenario.status.runtime.feast_version == "0.67.0"
    assert scenario.status.plan is not None
    assert scenario.status.plan.verdict == "Clean"
    assert scenario.says("Applied") == scenario.says("Ready") == ("True", "Succeeded")
    assert scenario.says("Reconciling") == scenario.says("Stalled") == ("", "")
    assert scenario.events[-1] == "ApplySucceeded"


def test_what_is_in_effect_is_not_applied_again() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.later(hours=5)

    scenario.rest()
    scenario.reconcile(requested=True)

    assert len(scenario.started) == 1


def test_a_new_commit_is_a_new_operation_and_no_first_one() -> None:
    scenario = ProjectScenario().apply()

    scenario.push(B)
    scenario.reconcile()

    assert (scenario.operation.revision, scenario.operation.sequence) == (B, 2)
    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == "registry-1"
    assert scenario.request.apply.closures == STATS.closures


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"apply": {"prune": False}}, id="apply policy"),
        pytest.param({"runtime": {"timeout": "2h"}}, id="runtime"),
        pytest.param({"apply": {"protection": {"mode": "Warn"}}}, id="protection"),
    ],
)
def test_other_inputs_are_another_apply(change: dict[str, object]) -> None:
    scenario = ProjectScenario().apply()

    scenario.change(**change)
    scenario.reconcile()

    assert scenario.operation.sequence == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"freshness": {"maxAge": "1h"}}, id="freshness"),
        pytest.param({"mlflow": {"pollInterval": "5m"}}, id="MLflow"),
        pytest.param({"deletionPolicy": "Delete"}, id="deletion policy"),
    ],
)
def test_what_an_apply_does_not_depend_on_starts_none(change: dict[str, object]) -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()

    scenario.change(**change)
    scenario.rest()

    assert len(scenario.started) == 1


def test_another_text_for_feature_store_yaml_is_another_apply() -> None:
    scenario = ProjectScenario().apply()

    scenario.source = SourceFacts(A, "project: driver_ranking")
    scenario.reconcile()

    assert scenario.request.feature_store_yaml == "project: driver_ranking"


def test_a_revert_is_a_new_operation() -> None:
    """A→B→A: the third apply has the inputs of the first one and another id."""
    scenario = ProjectScenario().apply(A).apply(B).apply(A)

    ids = [operation.id for operation in scenario.status.operations]
    assert len(set(ids)) == 3
    assert scenario.status.applied is not None
    assert (scenario.status.applied.revision, scenario.status.sequence) == (A, 3)


def test_permission_starts_and_records_a_new_operation() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)
    scenario.reconcile()
    block(scenario)

    scenario.annotate("allow-breaking", f"{PLAN[:12]}: the model goes tomorrow")
    scenario.reconcile()

    assert scenario.operation.sequence == 3
    assert scenario.request.apply is not None
    assert scenario.request.apply.allow_breaking is not None
    assert scenario.request.apply.allow_breaking.plan_digest == PLAN[:12]
    scenario.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))
    override = scenario.status.operations[0].override
    assert override is not None
    assert (override.kind, override.why) == ("allow-breaking", "the model goes tomorrow")


def test_an_override_for_another_plan_is_not_recorded_as_used() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.annotate("allow-breaking", f"{'e' * 12}: an old permission")
    scenario.reconcile()

    scenario.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))

    assert scenario.status.operations[0].override is None


def test_bad_annotation_permits_nothing() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)

    scenario.annotate("allow-breaking", "yes")
    scenario.reconcile()

    assert len(scenario.started) == 1
    assert scenario.says("Applied") == ("False", "InvalidManifest")
    assert "<plan digest>: <why>" in scenario.condition("Applied").message
    assert scenario.says("Stalled") == ("True", "InvalidManifest")

    scenario.annotate("allow-breaking", None)
    scenario.reconcile()
    assert scenario.operation.revision == B


def test_bad_annotation_does_not_stop_a_running_job() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()

    scenario.annotate("allow-breaking", "yes")
    scenario.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))

    assert scenario.status.applied is not None


def test_a_blocked_commit_stalls_with_its_message_and_its_plan() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.push(B)
    scenario.reconcile()

    block(scenario)

    assert scenario.says("Applied") == scenario.says("Ready") == ("False", "Blocked")
    assert scenario.says("Stalled") == ("True", "Blocked")
    assert scenario.says("Reconciling") == ("", "")
    assert scenario.condition("Ready").message == "it would affect driver_model"
    assert scenario.status.plan is not None
    assert (scenario.status.plan.revision, scenario.status.plan.digest) == (B, PLAN)
    assert scenario.status.plan.impacts[0].model == "driver_model"
    assert scenario.status.applied is not None
    assert scenario.status.applied.revision == A
    assert scenario.events[-1] == "Blocked"
    scenario.later(hours=1)
    scenario.rest()
    scenario.reconcile(requested=True)
    assert len(scenario.started) == 2


def test_blocked_since_is_kept_for_another_blocked_plan() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    block(scenario)
    assert scenario.status.plan is not None
    since = scenario.status.plan.blocked_since
    scenario.later(hours=1)

    scenario.push(B)
    scenario.reconcile()
    block(scenario)
    assert scenario.status.plan.blocked_since == since

    scenario.push("c" * 40)
    scenario.reconcile()
    scenario.end("Succeeded", plan=plan())
    assert scenario.status.plan.blocked_since is None


def test_block_is_planned_again_when_protected_models_move() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.guard = guard("driver_model")
    scenario.reconcile()
    block(scenario)

    scenario.guard = guard()
    scenario.reconcile()

    assert scenario.operation.sequence == 2
    scenario.end("Succeeded", plan=plan())
    assert scenario.says("Ready") == ("True", "Succeeded")


def test_block_with_an_outdated_guard_is_planned_again() -> None:
    """The guard that the job used counts, not the guard at the end of the job."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.guard = guard("driver_model")
    scenario.reconcile()

    scenario.guard = guard()
    block(scenario)
    scenario.reconcile()

    assert scenario.operation.sequence == 2


@pytest.mark.parametrize("reason", ["InvalidRepo", "ProjectMismatch", "EphemeralStore"])
def test_a_terminal_failure_waits_for_other_inputs_or_a_request(reason: str) -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Failed", reason=reason, message="features.py, line 3: no such field")

    assert scenario.says("Applied") == ("False", reason)
    assert scenario.says("Stalled") == ("True", reason)
    scenario.later(days=1)
    scenario.rest()
    assert len(scenario.started) == 1
    scenario.reconcile(requested=True)
    assert scenario.operation.sequence == 2
    scenario.end("Failed", reason=reason, message="features.py, line 3: no such field")
    scenario.push(B)
    scenario.reconcile()
    assert scenario.operation.sequence == 3
    assert scenario.says("Stalled") == ("", "")


def test_failed_attempt_backs_off_to_another_job() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    first = scenario.job

    decision = scenario.end("Failed", reason="JobFailed", message="connection reset")

    assert (scenario.operation.phase, scenario.operation.attempt) == (OperationPhase.BACKING_OFF, 2)
    assert scenario.operation.not_before is not None
    wait = scenario.operation.not_before - scenario.now.replace(microsecond=0)
    assert timedelta(seconds=30) <= wait <= timedelta(seconds=38)
    assert decision.requeue_at is not None
    assert scenario.says("Applied") == ("False", "JobFailed")
    assert "connection reset; attempt 2 starts at" in scenario.condition("Applied").message
    assert scenario.says("Reconciling") == ("True", "JobFailed")
    assert scenario.events[-1] == "JobFailed"
    assert scenario.forgotten == [first]

    decision = scenario.reconcile()
    assert len(scenario.started) == 1
    assert decision.requeue_at == scenario.operation.not_before
    scenario.wait_for_retry()
    scenario.reconcile()
    assert scenario.started == [f"{scenario.operation.id}-1", f"{scenario.operation.id}-2"]
    assert scenario.operation.not_before is None


def test_who_asks_to_look_does_not_wait_for_the_back_off() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.crash()

    scenario.annotate("reconcile-requested-at", "now")
    scenario.reconcile()

    assert len(scenario.started) == 2
    assert scenario.status.last_handled_reconcile_at == "now"


def test_waits_grow_with_each_attempt() -> None:
    scenario = ProjectScenario(runtime={"retries": 5})
    scenario.reconcile()
    waits = []
    for _ in range(5):
        scenario.crash()
        assert scenario.operation.not_before is not None
        waits.append(scenario.operation.not_before - scenario.now)
        scenario.wait_for_retry()
        scenario.reconcile()

    assert waits == sorted(waits)
    assert waits[-1] >= timedelta(minutes=8)


def test_used_up_retries_stall_until_a_reconcile_is_requested() -> None:
    scenario = ProjectScenario(runtime={"retries": 2})
    scenario.reconcile()
    for _ in range(2):
        scenario.crash("DeadlineExceeded", "it took longer than 1h")
        scenario.wait_for_retry()
        scenario.reconcile()

    scenario.crash("DeadlineExceeded", "it took longer than 1h")

    assert scenario.says("Stalled") == ("True", "DeadlineExceeded")
    assert scenario.status.last_apply is not None
    assert (scenario.status.last_apply.result, scenario.status.last_apply.attempt) == (
        Result.FAILED,
        3,
    )
    scenario.later(days=1)
    scenario.rest()
    assert len(scenario.started) == 3
    scenario.reconcile(requested=True)
    assert len(scenario.started) == 4
    assert scenario.operation.sequence == 2


def test_no_retries_means_no_second_attempt() -> None:
    scenario = ProjectScenario(runtime={"retries": 0})
    scenario.reconcile()

    scenario.crash()

    assert scenario.status.operation is None
    assert scenario.says("Stalled") == ("True", "JobFailed")


def test_a_job_that_stepped_back_is_tried_again_at_once() -> None:
    """The guard was too old, or the registry changed: nothing was done, and no retry is used."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()

    scenario.end("SteppedBack", reason="GuardUnavailable", message="the guard is too old")

    assert scenario.operation.not_before is not None
    assert scenario.operation.not_before <= scenario.now + timedelta(seconds=1)
    scenario.wait_for_retry()
    scenario.reconcile()
    assert len(scenario.started) == 2
    assert scenario.request.apply is not None
    assert scenario.request.apply.guard is not None
    assert scenario.request.apply.guard.read_at == scenario.now


def test_a_guard_that_is_too_old_again_uses_retries_and_ends() -> None:
    """The import takes longer than maxGuardAge: each attempt would end in the same way."""
    scenario = ProjectScenario(mlflow=MLFLOW, runtime={"retries": 2})
    scenario.reconcile()
    message = "maxGuardAge is 600 s; 660 s to import the repository"
    delays = []
    for _ in range(4):
        scenario.end("SteppedBack", reason="GuardUnavailable", message=message)
        assert scenario.says("Applied") == ("False", "GuardUnavailable")
        assert message in scenario.condition("Applied").message
        if scenario.status.operation is not None:
            assert scenario.operation.not_before is not None
            delays.append((scenario.operation.not_before - scenario.now).total_seconds())
            scenario.wait_for_retry()
            scenario.reconcile()
            scenario.reconcile()

    assert scenario.status.operation is None
    assert len(scenario.started) == 4, "one that is free, and three that count"
    assert delays[0] <= 1 < delays[1] < delays[2]
    assert scenario.says("Stalled") == ("True", "GuardUnavailable")
    scenario.rest()
    assert len(scenario.started) == 4
    scenario.change(apply={"protection": {"maxGuardAge": "1h"}})
    scenario.reconcile()
    assert len(scenario.started) == 5, "another maxGuardAge is another apply"


def test_attempts_that_do_not_count_use_up_no_retry() -> None:
    scenario = ProjectScenario(runtime={"retries": 1})
    scenario.reconcile()
    for _ in range(6):
        scenario.end("SteppedBack", reason="RegistryMoved", message="the registry changed")
        scenario.wait_for_retry()
        scenario.reconcile()

    scenario.crash()
    assert scenario.operation.phase is OperationPhase.BACKING_OFF
    scenario.wait_for_retry()
    scenario.reconcile()
    scenario.crash()
    assert scenario.says("Stalled") == ("True", "JobFailed")


def test_an_interrupted_job_is_no_failure_of_its_own() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Failed", reason="Interrupted", message="told to stop")

    assert scenario.operation.reason == "JobFailed"
    assert scenario.operation.not_before is not None
    assert scenario.operation.not_before <= scenario.now + timedelta(seconds=1)


def test_newer_commit_replaces_one_that_backs_off() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    first = scenario.operation.id
    scenario.crash()

    scenario.push(B)
    scenario.reconcile()

    assert (scenario.operation.revision, scenario.operation.sequence) == (B, 2)
    superseded = scenario.status.operations[0]
    assert (superseded.id, superseded.result, superseded.attempt) == (first, Result.FAILED, 1)
    assert superseded.message is not None
    assert "superseded" in superseded.message


def test_reverted_commit_is_not_retried() -> None:
    """A is in effect, B failed and waits, A is back: B must not get another attempt."""
    scenario = ProjectScenario(mlflow=MLFLOW).apply(A)
    scenario.push(B)
    scenario.reconcile()
    scenario.crash()

    scenario.push(A)
    scenario.wait_for_retry()
    scenario.rest()

    assert B not in [scenario.requests[name].revision for name in scenario.started[2:]]
    assert scenario.status.operations[0].result is Result.FAILED


def test_a_lost_job_is_started_again_under_the_same_name() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.reconcile()
    scenario.jobs.clear()

    decision = scenario.reconcile()

    assert scenario.started == [scenario.job, scenario.job]
    assert [type(action) for action in decision.after] == [StartJob]
    assert scenario.status.sequence == 1


def test_outdated_operation_is_dropped_before_it_runs() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.jobs.clear()

    scenario.push(B)
    scenario.reconcile()

    assert (scenario.operation.revision, scenario.operation.sequence) == (B, 2)
    assert not scenario.status.operations


def test_lost_outdated_job_is_recorded() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.reconcile()
    scenario.jobs.clear()

    scenario.push(B)
    scenario.reconcile()

    assert scenario.operation.revision == B
    lost = scenario.status.operations[0]
    assert (lost.revision, lost.result, lost.attempt) == (A, Result.FAILED, 1)


def test_running_job_of_an_older_commit_ends() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.push(B)
    scenario.reconcile()
    assert scenario.operation.revision == A
    scenario.end("Succeeded")

    assert scenario.status.applied is not None
    assert scenario.status.applied.revision == A
    assert scenario.operation.revision == B


def test_nothing_is_planned_without_facts_about_models() -> None:
    """Without a guard nothing is applied."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.outage, scenario.read_at = OUTAGE, None

    scenario.rest()

    assert not scenario.started
    assert scenario.says("Applied") == scenario.says("Ready") == ("False", "GuardUnavailable")
    assert scenario.says("Reconciling") == ("True", "GuardUnavailable")
    assert scenario.says("Stalled") == ("", "")
    scenario.outage = None
    scenario.reconcile()
    assert len(scenario.started) == 1


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
    scenario = ProjectScenario(mlflow=MLFLOW).apply()
    scenario.change(apply={"protection": policy})
    scenario.outage = OUTAGE
    scenario.later(minutes=age)

    scenario.push(B)
    scenario.reconcile()

    assert (len(scenario.started) == 2) is starts
    assert (scenario.says("Applied")[1] == "GuardUnavailable") is not starts


def test_outage_delays_a_retry_like_a_first_attempt() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.crash()

    scenario.outage = OUTAGE
    scenario.wait_for_retry()
    scenario.rest()
    assert len(scenario.started) == 1

    scenario.outage = None
    scenario.reconcile()
    assert scenario.started[1:] == [scenario.job]


def test_without_mlflow_there_is_nothing_to_protect() -> None:
    scenario = ProjectScenario()

    scenario.reconcile()

    assert scenario.request.apply is not None
    assert scenario.request.apply.guard is None


def test_lost_job_needs_facts_to_start_again() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.jobs.clear()

    scenario.outage = OUTAGE
    scenario.rest()
    assert len(scenario.started) == 1

    scenario.outage = None
    scenario.reconcile()
    assert len(scenario.started) == 2


def test_unresolved_source_delays_only_applies() -> None:
    scenario = ProjectScenario().apply()

    scenario.source = Failure("RefNotFound", "branch main does not exist; set source.git.ref")
    scenario.rest()

    assert scenario.says("SourceReady") == scenario.says("Ready") == ("False", "RefNotFound")
    assert scenario.says("Applied") == ("True", "Succeeded")
    assert len(scenario.started) == 1


def test_job_needs_the_text_of_feature_store_yaml() -> None:
    """With the repo's own feature_store.yaml the job might write another registry."""
    scenario = ProjectScenario(featureStoreYaml={"secretKeyRef": {"name": "feast", "key": "yaml"}})
    scenario.source = SourceFacts(A, "project: driver_ranking")
    scenario.reconcile()
    scenario.crash()

    scenario.source = Failure("SecretNotFound", "secret feast is not there")
    scenario.wait_for_retry()
    scenario.rest()
    assert len(scenario.started) == 1


def test_the_request_names_the_resource_and_not_its_uid() -> None:
    """A resource that is deleted and created again is the same owner."""
    owners = []
    for metadata in ({}, {"uid": "uid-2"}, {"namespace": "other"}, {"name": "other"}):
        scenario = ProjectScenario()
        scenario.metadata = {**scenario.metadata, **metadata}
        scenario.reconcile()
        owners.append(scenario.request.owner)

    assert owners[0] == owners[1]
    assert len(set(owners)) == 3
    assert not any("ml" in owner or "ranking" in owner for owner in owners)


def test_a_project_of_another_resource_stalls_until_it_is_permitted() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    assert not scenario.request.refused

    refused = plan(PlanVerdict.BLOCKED, reason="ProjectOwnedByOther")
    scenario.end("Blocked", reason="ProjectOwnedByOther", message="another", plan=refused)

    assert scenario.says("Ready") == ("False", "ProjectOwnedByOther")
    assert scenario.says("Stalled") == ("True", "ProjectOwnedByOther")
    scenario.guard = guard("driver_model")
    scenario.later(hours=1)
    scenario.rest()
    assert len(scenario.started) == 1, "other models do not change the owner"

    scenario.reconcile(requested=True)
    assert len(scenario.started) == 2
    assert scenario.request.refused
    scenario.end("Blocked", reason="ProjectOwnedByOther", message="another", plan=refused)

    scenario.annotate("allow-adoption", f"{PLAN}: the other one is gone")
    scenario.reconcile()
    assert len(scenario.started) == 3
    scenario.end("Succeeded", plan=plan(PlanVerdict.ALLOWED))
    assert scenario.says("Ready") == ("True", "Succeeded")
    permission = scenario.status.operations[0].override
    assert permission is not None
    assert permission.why == "the other one is gone"

    scenario.push(B)
    scenario.reconcile()
    assert not scenario.request.refused


def test_first_apply_that_deletes_foreign_objects_stalls() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Blocked", reason="AdoptionWouldDelete", message="it would delete two views")

    assert scenario.says("Stalled") == ("True", "AdoptionWouldDelete")
    scenario.annotate("allow-adoption", f"{PLAN}: they are ours now")
    scenario.reconcile()
    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == ""
    assert scenario.request.apply.allow_adoption is not None


def test_an_empty_registry_is_read_again_on_request() -> None:
    """Whether it was restored is no input of the apply."""
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    scenario.end("Blocked", reason="RegistryEmpty", message="the registry has no feature view")
    assert scenario.says("Stalled") == ("True", "RegistryEmpty")
    assert scenario.says("Applied") == ("False", "RegistryEmpty")
    scenario.rest()
    assert scenario.status.operation is None

    scenario.reconcile(requested=True)

    assert scenario.operation.kind == "Apply"


@pytest.mark.parametrize(
    ("outcome", "fields"),
    [
        pytest.param("Blocked", {"reason": "AdoptionWouldDelete"}, id="refused"),
        pytest.param("Failed", {"reason": "InvalidRepo"}, id="failed"),
    ],
)
def test_observed_registry_is_not_adopted(outcome: str, fields: dict[str, str]) -> None:
    """feature_store.yaml moves to a registry of others: the next commit is still a first apply."""
    scenario = ProjectScenario().apply()
    scenario.push(B)
    scenario.reconcile()
    scenario.end(outcome, registry_id="registry-2", **fields)
    assert scenario.status.registry is not None
    assert scenario.status.registry.id == "registry-2"

    scenario.push(C)
    scenario.reconcile()

    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == "registry-1"
    scenario.end("Succeeded", registry_id="registry-2")
    scenario.push(A)
    scenario.reconcile()
    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == "registry-2"


def test_another_project_in_the_same_registry_needs_adoption() -> None:
    scenario = ProjectScenario().apply()

    scenario.change(project="other_ranking")
    scenario.reconcile()

    assert scenario.request.apply is not None
    assert scenario.request.apply.adopted == ""


def test_any_report_gives_a_valid_status() -> None:
    """A report is untrusted: its reason is used only if it has the form of a condition reason."""
    scenario = ProjectScenario(runtime={"retries": 0})
    scenario.reconcile()

    scenario.end("Failed", reason="no good\n", message="x" * 100_000)

    assert scenario.says("Applied") == ("False", "JobFailed")
    assert len(scenario.status.model_dump_json()) < 20_000


def test_long_message_of_an_attempt_is_truncated() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Failed", reason="JobFailed", message="x" * 100_000)

    assert len(scenario.status.model_dump_json()) < 20_000


def test_warnings_of_a_job_are_reported_once() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()

    scenario.end("Succeeded", warnings=("two views have no owner",))
    scenario.rest()

    assert scenario.events.count("Warning") == 1


def test_report_during_back_off_changes_nothing() -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    scenario.crash()
    before = scenario.status
    scenario.jobs[scenario.job] = JobFacts(running=False, report=scenario.report("Succeeded"))

    scenario.reconcile()

    assert scenario.status.applied is before.applied


@pytest.mark.parametrize(
    ("reason", "stalled"), [("ReportTooLarge", True), ("RunnerIncompatible", False)]
)
def test_job_whose_report_is_refused_for_good_is_not_repeated(reason: str, stalled: bool) -> None:
    scenario = ProjectScenario()
    scenario.reconcile()
    first = scenario.job
    message = "the job's report is not read"
    scenario.jobs[first] = JobFacts(running=False, reason=reason, message=message)

    scenario.rest()

    assert scenario.condition("Applied").message.startswith(message)
    assert scenario.says("Stalled") == (("True", reason) if stalled else ("", ""))
    assert (scenario.status.operation is None) == stalled


@pytest.mark.parametrize(
    ("protection", "tags", "protocol"),
    [
        ({}, {}, 1),
        ({"services": {"include": ["ranking"]}}, {}, 2),
        ({}, {PROTECTED_TAG: "true"}, 2),
        ({"mode": "Off"}, {PROTECTED_TAG: "true"}, 1),
    ],
)
def test_a_runner_that_knows_no_protected_services_refuses(
    protection: dict[str, Any], tags: dict[str, str], protocol: int
) -> None:
    """Such a runner knows only protocol 1."""
    scenario = ProjectScenario(apply={"protection": protection})
    scenario.reconcile()
    assert scenario.request.protocol == (2 if "services" in protection else 1)
    services = {"activity": {**STATS.objects["feature_service"]["activity"], "tags": tags}}
    applied = replace(STATS, objects={**STATS.objects, "feature_service": services})
    scenario.end("Succeeded", snapshot=applied)
    scenario.push(B)
    scenario.reconcile()

    assert scenario.request.protocol == protocol
