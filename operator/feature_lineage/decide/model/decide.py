"""Decides for a TrainedModel: its status, the tags to write on its version, and its events."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.conditions import ModelCondition, find_condition
from feature_lineage.api.enums import (
    TagsMode,
    Verdict,
)
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.decide.budget import short_name
from feature_lineage.decide.decision import Action, Decision, DeleteTags, SetTags
from feature_lineage.decide.events import AccessLost, DomainEvent, VerdictChanged, VersionLinked
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.model.bounded import bounded
from feature_lineage.decide.model.conditions import conditions_of
from feature_lineage.decide.model.requirements import serving_by_default
from feature_lineage.decide.model.serving import serving
from feature_lineage.decide.model.status import (
    freshness,
    history,
    history_with_end,
    lineage,
    resolved,
)
from feature_lineage.decide.model.tags import VERDICT_TAG, tags_to_write
from feature_lineage.decide.observed import Failure, ObservedModel
from feature_lineage.reasons import Reason

UNRESOLVED_INTERVAL: Final = timedelta(seconds=30)
_NOT_REPORTED: Final = frozenset({Verdict.UNKNOWN, Verdict.VERIFIED, Verdict.UNCHANGED})
"""First verdicts get no Event: 10,000 models would have 10,000 Events."""

_UNJUDGED: Final = (Reason.REGISTRY_UNSEEN, Reason.BASELINE_LOST, Reason.NOT_RESOLVED)
"""Reasons of LineageVerified with which the features were not compared."""


def decide_model(observed: ObservedModel) -> Decision[TrainedModelStatus]:
    """The decision for one model."""
    # A status has whole seconds: it must be equal after it was stored and read again.
    now, observed = observed.now, replace(observed, now=observed.now.replace(microsecond=0))
    resource, status = observed.resource, observed.resource.status
    problem = unresolved(observed)
    changes: dict[str, Any] = {"observed_generation": resource.metadata.generation or None}
    changes["serving_by_default"] = serving_by_default(status)
    requested = resource.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    if requested is not None:
        changes["last_handled_reconcile_at"] = requested
    linked = observed.linked
    if linked is not None:
        changes["resolved"] = resolved(linked)
        changes["lineage"] = lineage(observed, linked)
        changes["history"] = history(observed, linked)
        changes["freshness"] = freshness(observed, linked)
        changes["serving"] = serving(observed, linked)
    elif problem is not None and not problem.outage:
        changes |= {"resolved": None, "lineage": None, "freshness": None, "serving": None}
        changes["history"] = history_with_end(observed)
    status = status.model_copy(update=changes)
    actions = _actions(observed)
    status = status.model_copy(
        update={"conditions": conditions_of(observed, status, problem, bool(actions))}
    )
    return Decision(
        status=bounded(status, resource.status),
        after=actions,
        events=tuple(_events(observed, status)),
        requeue_at=_requeue_at(observed.project, now),
        finished=resource.metadata.deletion_timestamp is not None,
    )


def unresolved(observed: ObservedModel) -> Failure | None:
    """Why the resource has no model version; None if it has one."""
    spec, project = observed.resource.spec, observed.project
    if project is None:
        name, namespace = spec.project_ref.name, observed.resource.metadata.namespace
        if spec.project_ref.namespace in (None, namespace):
            return Failure(
                Reason.PROJECT_NOT_FOUND,
                f"FeatureStoreProject {name} does not exist in namespace {namespace}; create it, "
                "or correct spec.projectRef",
            )
        return Failure(
            Reason.REF_NOT_PERMITTED,
            f"FeatureStoreProject {name} does not exist or does not allow this namespace; "
            "create it, or add the namespace to its spec.allowedNamespaces",
        )
    if project.spec.mlflow is None:
        return Failure(
            Reason.PROJECT_NOT_READY,
            f"FeatureStoreProject {project.metadata.name} names no MLflow server; set spec.mlflow",
        )
    if observed.view is None:
        failure = observed.failure
        message = failure.message if failure else "MLflow was not read yet"
        return Failure(Reason.MLFLOW_UNAVAILABLE, message, outage=True)
    if observed.linked is None:
        return _not_found(observed)
    return None


def _not_found(observed: ObservedModel) -> Failure:
    model, view = observed.resource.spec.model, observed.view
    versions = view.versions.get(model.name, {}) if view is not None else {}
    if not versions:
        # The same for a model that does not exist and for one that the platform does not show.
        mlflow = observed.project.spec.mlflow if observed.project is not None else None
        return Failure(
            Reason.MODEL_NOT_FOUND,
            f"MLflow has no registered model {model.name} with versions that this namespace may "
            "use; register one, or ask who runs the operator (mlflowServers[].access)"
            if mlflow is not None and mlflow.server_ref is not None
            else f"MLflow has no registered model {model.name} with versions; register one",
        )
    if model.alias is not None:
        aliases = sorted({alias for version in versions.values() for alias in version.aliases})
        have = f"; it has: {', '.join(aliases[:10])}" if aliases else ""
        return Failure(
            Reason.ALIAS_NOT_FOUND,
            f"registered model {model.name} has no alias {model.alias}{have}; "
            "set the alias or change spec.model.alias",
        )
    return Failure(
        Reason.VERSION_NOT_FOUND,
        f"registered model {model.name} has no version {model.version}; "
        f"the newest is {max(versions, key=_number)}",
    )


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _actions(observed: ObservedModel) -> tuple[Action, ...]:
    linked, project, spec = observed.linked, observed.project, observed.resource.spec
    if project is None or observed.failure is not None or observed.older_owners:
        return ()
    if observed.resource.metadata.deletion_timestamp is not None:
        return ()
    if spec.tags.mode is TagsMode.OFF or spec.suspend:
        return ()
    actions: list[Action] = []
    if linked is not None:
        tags = tags_to_write(linked, spec, project.spec.project)
        if tags:
            actions.append(SetTags(linked.version, tags))
    # The alias was moved or deleted, so the verdict tag on its former version is removed.
    left = observed.left
    if left is not None and VERDICT_TAG in left.tags:
        actions.append(DeleteTags(left, (VERDICT_TAG,)))
    return tuple(actions)


def _events(observed: ObservedModel, status: TrainedModelStatus) -> Iterator[DomainEvent]:
    """Events for another version, and for another verdict."""
    key, linked, known = key_of(observed.resource), observed.linked, observed.resource.status
    version = known.resolved.version if known.resolved is not None else None
    if linked is not None and short_name(linked.version.version) != version:
        service = linked.link.service or ""
        yield VersionLinked(key, linked.version.name, linked.version.version, service)
    yield from _lost(observed)
    after, before = status.lineage, _judged(known)
    judgement = linked.judgement if linked is not None else None
    if after is None or judgement is None or judgement.reason in _UNJUDGED:
        return
    if before is after.verdict:
        return
    if before is None and after.verdict in _NOT_REPORTED:
        return
    yield VerdictChanged(key, before, after.verdict, judgement.message)


def _judged(status: TrainedModelStatus) -> Verdict | None:
    """The verdict, if the features were compared with a registry; otherwise there is none yet.

    A model that is reconciled before its project has read the registry is Unknown until then.
    """
    condition = find_condition(status.conditions, ModelCondition.LINEAGE_VERIFIED)
    unseen = condition is not None and condition.reason in _UNJUDGED
    return None if unseen or status.lineage is None else status.lineage.verdict


def _lost(observed: ObservedModel) -> Iterator[DomainEvent]:
    """An event if a model that had a version has none any more: renamed, deleted, alias removed."""
    problem = unresolved(observed)
    if observed.resource.status.resolved is None or problem is None or problem.outage:
        return
    yield AccessLost(key_of(observed.resource), problem.reason, problem.message)


def _requeue_at(project: FeatureStoreProject | None, now: datetime) -> datetime:
    """When to reconcile a model again without an event."""
    if project is None or project.spec.mlflow is None:
        return now + UNRESOLVED_INTERVAL
    return now + project.spec.mlflow.poll_interval
