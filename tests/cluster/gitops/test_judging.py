"""How Argo CD, Flux and kstatus rate every state in which the operator can leave an object.

`decide` and `decide_model` compute the statuses; the scripts and expressions are those of
`examples/gitops`.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.cluster.gitops.judging import Judgement, judge
from tests.unit.decide.build import (
    MLFLOW,
    OUTAGE,
    B,
    ProjectScenario,
    guard,
    linked,
    model,
    observed_model,
    plan,
    registry_view,
    version,
)

from feature_lineage.api import TrainedModel
from feature_lineage.api.enums import PlanVerdict, Verdict
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.observed import Failure, LinkedVersion

Object = dict[str, Any]

WORKING = ("InProgress", "Progressing", "InProgress")
READY = ("Current", "Healthy", "Current")
FAILED = ("Failed", "Degraded", "Failed")
HELD = ("InProgress", "Suspended", "InProgress")
HELD_IN_EFFECT = ("Current", "Suspended", "Current")
GOING = ("Terminating", "Progressing", "InProgress")

BLOCKED = plan(PlanVerdict.BLOCKED, reason="Blocked")
CHAMPION = version("1", "champion")


def project(scenario: ProjectScenario) -> Object:
    """The project as an API server returns it."""
    return {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "FeatureStoreProject",
        "metadata": scenario.metadata,
        "spec": scenario.spec,
        "status": scenario.status.as_dict(),
    }


def applying() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    return scenario


def applied(**spec: Any) -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW, **spec).apply()
    scenario.rest()
    return scenario


def new_commit() -> ProjectScenario:
    scenario = applied()
    scenario.push(B)
    scenario.reconcile()
    return scenario


def blocked() -> ProjectScenario:
    scenario = new_commit()
    scenario.end("Blocked", reason="Blocked", message="it would affect driver_model", plan=BLOCKED)
    return scenario


def unblocked() -> ProjectScenario:
    """The protected model is deleted, and the plan is made again."""
    scenario = blocked()
    scenario.guard = guard("another_model")
    scenario.reconcile()
    return scenario


def adoption_waits() -> ProjectScenario:
    scenario = applying()
    reason = "AdoptionWouldDelete"
    scenario.end("Blocked", reason=reason, message="it would delete 3 views", plan=BLOCKED)
    return scenario


def invalid_repo() -> ProjectScenario:
    scenario = applying()
    scenario.end("Failed", reason="InvalidRepo", message="features.py, line 3: no such field")
    return scenario


def retrying() -> ProjectScenario:
    scenario = applying()
    scenario.crash(message="the node went away")
    return scenario


def retries_used_up() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW, runtime={"retries": 0})
    scenario.reconcile()
    scenario.crash(message="the node went away")
    return scenario


def without_source(failure: Failure) -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.source = failure
    scenario.rest()
    return scenario


def guard_unavailable() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.outage, scenario.read_at = OUTAGE, None
    scenario.rest()
    return scenario


def outage_in_effect() -> ProjectScenario:
    scenario = applied()
    scenario.outage = OUTAGE
    scenario.later(minutes=30)
    scenario.rest()
    return scenario


def suspended() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW, suspend=True)
    scenario.rest()
    return scenario


def suspended_in_effect() -> ProjectScenario:
    scenario = applied()
    scenario.change(suspend=True)
    scenario.rest()
    return scenario


def suspended_before_a_commit() -> ProjectScenario:
    scenario = suspended_in_effect()
    scenario.push(B)
    scenario.rest()
    return scenario


def planned() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"mode": "PlanOnly"})
    scenario.reconcile()
    scenario.end(
        "Planned", plan=plan(), message="one view would be created", registry_id="registry-1"
    )
    return scenario


def observing() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"mode": "Observe"})
    scenario.reconcile()
    return scenario


def observed() -> ProjectScenario:
    scenario = observing()
    scenario.end("Succeeded")
    return scenario


def not_read() -> ProjectScenario:
    """The registry, which another tool writes, cannot be read."""
    scenario = ProjectScenario(mlflow=MLFLOW, apply={"mode": "Observe"}, runtime={"retries": 0})
    scenario.reconcile()
    scenario.end("Failed", reason="JobFailed", message="no route to the registry")
    return scenario


def materializing() -> ProjectScenario:
    scenario = applied(
        schedules=[{"name": "hourly", "cron": "30 * * * *", "incremental": {}}],
        freshness={"maxAge": "1m"},
    )
    scenario.later(minutes=31)
    scenario.reconcile()
    assert scenario.operation.schedule == "hourly"
    assert scenario.says("Fresh")[0] == "False"
    return scenario


def unseen_change() -> ProjectScenario:
    """The state after a change of the spec and before the next status of the operator."""
    scenario = applied()
    scenario.change(apply={"prune": False})
    return scenario


def unseen_unblocking() -> ProjectScenario:
    scenario = blocked()
    scenario.change(apply={"protection": {"mode": "Warn"}})
    return scenario


def deleting() -> ProjectScenario:
    scenario = applied(deletionPolicy="Delete")
    scenario.guard = guard("driver_model")
    scenario.delete()
    scenario.reconcile()
    return scenario


def deletion_blocked() -> ProjectScenario:
    scenario = deleting()
    scenario.end("Blocked", reason="Blocked", message="driver_model uses it", plan=BLOCKED)
    scenario.rest()
    assert scenario.says("Stalled") == ("True", "DeletionBlocked")
    return scenario


PROJECTS: dict[str, tuple[Callable[[], ProjectScenario], tuple[str, str, str], str]] = {
    "is being applied": (applying, WORKING, "works on revision aaaaaaa"),
    "is in effect": (applied, READY, "is in effect"),
    "has a new commit": (new_commit, WORKING, "works on revision bbbbbbb"),
    "is blocked": (blocked, FAILED, "it would affect driver_model"),
    "is planned anew": (unblocked, WORKING, "works on revision bbbbbbb"),
    "would adopt": (adoption_waits, FAILED, "it would delete 3 views"),
    "has an invalid repo": (invalid_repo, FAILED, "features.py, line 3"),
    "waits for a retry": (retrying, WORKING, "the node went away; attempt 2 starts at"),
    "has no retries left": (retries_used_up, FAILED, "the node went away"),
    "has no such branch": (
        lambda: without_source(Failure("RefNotFound", "branch main does not exist")),
        WORKING,
        "branch main does not exist",
    ),
    "has no secret": (
        lambda: without_source(Failure("SecretNotFound", "secret git does not exist")),
        WORKING,
        "secret git does not exist",
    ),
    "cannot reach its source": (
        lambda: without_source(Failure("SourceUnreachable", "no route", outage=True)),
        WORKING,
        "no route",
    ),
    "has a source that nothing mends": (
        lambda: without_source(Failure("HostNotAllowed", "ext:: is not allowed", terminal=True)),
        FAILED,
        "ext:: is not allowed",
    ),
    "may not apply without MLflow": (guard_unavailable, WORKING, "does not answer"),
    "is in effect in an outage": (outage_in_effect, READY, "is in effect"),
    "is suspended": (suspended, HELD, "spec.suspend is true"),
    "is suspended in effect": (suspended_in_effect, HELD_IN_EFFECT, "spec.suspend is true"),
    "is suspended before a commit": (suspended_before_a_commit, HELD, "spec.suspend is true"),
    "is planned only": (planned, READY, "one view would be created"),
    "is looked at": (observing, WORKING, "the registry has not been read yet"),
    "is observed": (observed, READY, "the registry was read"),
    "could not be looked at": (not_read, WORKING, "no route to the registry"),
    "materializes and is stale": (materializing, READY, "is in effect"),
    "has a change that nobody saw": (unseen_change, WORKING, "not seen this generation"),
    "has a way out that nobody saw": (unseen_unblocking, WORKING, "not seen this generation"),
    "is being deleted": (deleting, GOING, "Pending deletion"),
    "may not be deleted": (
        deletion_blocked,
        ("Terminating", "Progressing", "Failed"),
        "Pending deletion",
    ),
}


def trained(
    item: LinkedVersion | None = None, resource: TrainedModel | None = None, **known: Any
) -> Object:
    """A TrainedModel with the status of `decide_model`, as an API server returns it."""
    resource = resource or model()
    decision = decide_model(observed_model(resource, item, **known))
    return {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "TrainedModel",
        "metadata": {"name": "champion", "namespace": "ml", "generation": 1},
        "spec": resource.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": decision.status.as_dict(),
    }


def seen_before(verdict: Verdict, **spec: Any) -> TrainedModel:
    """A model that had this verdict when MLflow last answered."""
    resource = model(**spec)
    before = decide_model(observed_model(resource, linked(CHAMPION, verdict)))
    return resource.model_copy(update={"status": before.status})


def out(resource: TrainedModel) -> Object:
    """The same model while MLflow does not answer, after a restart: the cache is empty."""
    return trained(None, resource, view=None, failure=OUTAGE)


def late() -> Object:
    resource = model(readyRequires=["Lineage", "Freshness"], freshness={"maxAge": "1h"})
    return trained(linked(CHAMPION), resource, project=applied().project)


MODELS: dict[str, tuple[Callable[[], Object], tuple[str, str, str], str]] = {
    "is verified": (lambda: trained(linked(CHAMPION)), READY, ""),
    "is changed": (lambda: trained(linked(CHAMPION, Verdict.CHANGED)), READY, ""),
    "is broken": (lambda: trained(linked(CHAMPION, Verdict.BROKEN)), FAILED, "it is Broken"),
    "is broken and only observed": (
        lambda: trained(linked(CHAMPION, Verdict.BROKEN), model(readyRequires=[])),
        READY,
        "",
    ),
    "is ambiguous": (
        lambda: trained(linked(CHAMPION, Verdict.AMBIGUOUS)),
        WORKING,
        "it is Ambiguous",
    ),
    "says nothing of features": (
        lambda: trained(linked(CHAMPION, Verdict.UNKNOWN, reason="NoFeastLineage")),
        WORKING,
        "it is Unknown",
    ),
    "waits for the registry": (
        lambda: trained(linked(CHAMPION, None)),
        WORKING,
        "the registry has not been read yet",
    ),
    "has late features that it requires": (late, WORKING, "never materialized"),
    "has no alias": (
        lambda: trained(view=registry_view(version("1", "challenger"))),
        WORKING,
        "no alias champion",
    ),
    "has no project": (
        lambda: trained(project=None),
        WORKING,
        "create it, or correct spec.projectRef",
    ),
    "has a project without MLflow": (
        lambda: trained(project=ProjectScenario().project),
        WORKING,
        "names no MLflow server",
    ),
    "was never resolved": (
        lambda: trained(view=None, failure=OUTAGE),
        WORKING,
        "does not answer",
    ),
    "was verified before an outage": (lambda: out(seen_before(Verdict.VERIFIED)), READY, ""),
    "was broken before an outage": (
        lambda: out(seen_before(Verdict.BROKEN)),
        FAILED,
        "it is Broken",
    ),
    "is suspended": (
        lambda: trained(linked(CHAMPION), model(suspend=True)),
        HELD_IN_EFFECT,
        "spec.suspend is true",
    ),
}

CASES: dict[str, tuple[Callable[[], Object], tuple[str, str, str], str]] = {
    **{
        f"a project that {name}": ((lambda made=made: project(made())), words, message)
        for name, (made, words, message) in PROJECTS.items()
    },
    **{f"a model that {name}": case for name, case in MODELS.items()},
}


@pytest.fixture(scope="module")
def judgements() -> dict[str, Judgement]:
    """Rate all of them in one run of the program."""
    objects = {name: make() for name, (make, _, _) in CASES.items()}
    return dict(zip(objects, judge(objects.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_tools_agree_on(name: str, judgements: dict[str, Judgement]) -> None:
    _, words, message = CASES[name]

    assert judgements[name].words == words
    assert message in judgements[name].argo.message


@pytest.mark.parametrize("new", [project(ProjectScenario()), trained(linked(CHAMPION))])
def test_object_without_status_is_current_for_kstatus_only(new: Object) -> None:
    """Why Flux needs expressions: one about a missing field fails, and Flux waits."""
    bare = {key: value for key, value in new.items() if key != "status"}

    (judgement,) = judge([bare])

    assert judgement.words == ("Current", "Progressing", "Unknown")
    assert "not seen this generation" in judgement.argo.message
    assert "no such attribute" in judgement.flux.message


def test_unobserved_generation_is_not_ready() -> None:
    """The effect of the default in the schema, `observedGeneration: -1`, on a new object."""
    new = {**project(ProjectScenario()), "status": {"observedGeneration": -1}}

    (judgement,) = judge([new])

    assert judgement.words == WORKING
