"""What the facts about models leave open: warnings of a plan."""

from collections.abc import Iterator

from feature_lineage.api.enums import ProtectionMode
from feature_lineage.decide.observed import LinkedVersion, ModelFacts, ObservedProject
from feature_lineage.operations.doubts import Doubt, PlanWarning
from feature_lineage.operations.protection import Guard
from feature_lineage.shorten import listed, one_line

MAX_MODELS = 10
_MAX_WHY = 200


def plan_doubts(observed: ObservedProject) -> tuple[PlanWarning, ...]:
    """The warnings of a plan that is made with this observation."""
    return tuple(_doubts(observed))


def _doubts(observed: ObservedProject) -> Iterator[PlanWarning]:
    spec, models = observed.resource.spec, observed.models
    if spec.apply.protection.mode is ProtectionMode.OFF:
        text = "apply.protection.mode is Off: models and feature services are not looked at"
        yield PlanWarning(Doubt.PROTECTION_OFF, text)
        return
    if spec.mlflow is None or models is None:
        text = "no model is protected and none is looked at; set spec.mlflow"
        yield PlanWarning(Doubt.NO_MLFLOW, text)
        return
    failure = models.failure
    if models.guard is None or models.read_at is None:
        why = failure.message if failure else "MLflow was not read yet"
        yield PlanWarning(Doubt.FACTS_UNAVAILABLE, f"no model is looked at: {why}")
        return
    if failure is not None:
        text = f"the facts about models are of {models.read_at:%Y-%m-%dT%H:%M:%SZ}"
        yield PlanWarning(Doubt.FACTS_OLD, f"{text}: {failure.message}")
    if spec.mlflow.server_ref is not None:
        text = (
            f"only the models are looked at that the platform shows this namespace on server "
            f"{spec.mlflow.server_ref!r} (mlflowServers[].access)"
        )
        yield PlanWarning(Doubt.ACCESS_LIMITED, text)
    yield from _of_models(models, models.guard)


def _of_models(models: ModelFacts, guard: Guard) -> Iterator[PlanWarning]:
    if guard.unknown:
        linked = {f"{item.version.name}/{item.version.version}": item for item in models.linked}
        texts = [_with_why(name, linked.get(name)) for name in guard.unknown]
        text = "what these protected versions use is not known, so a change may break them: "
        yield PlanWarning(Doubt.FEATURES_UNKNOWN, text + listed(texts, MAX_MODELS, "; "))
    undefined = [
        f"{model.model}/{model.version}"
        for model in guard.models
        if {definition.ref for definition in model.features} < set(model.refs)
    ]
    if undefined:
        text = "the registry of training time is not known, so they are compared with the registry "
        text += "in force; it is kept with ops runs (mlflow.logOperations): "
        yield PlanWarning(Doubt.BASELINE_UNKNOWN, text + listed(undefined, MAX_MODELS))


def _with_why(name: str, item: LinkedVersion | None) -> str:
    """A version, and why its features are not known."""
    if item is None or item.link.reason is None:
        return name
    notes = "; ".join(item.link.problems)
    why = f"{item.link.reason}: {notes}" if notes else str(item.link.reason)
    return f"{name} ({one_line(why, _MAX_WHY)})"
