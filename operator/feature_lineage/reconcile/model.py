"""`decide` for a TrainedModel: which version it is, what became of its features, what to write."""

from datetime import datetime, timedelta
from typing import Any, Final

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.conditions import ModelCondition as C
from feature_lineage.api.enums import (
    BaselineFrom,
    LineageOrigin,
    ReadyRequirement,
    TagsMode,
    Verdict,
)
from feature_lineage.api.model_status import (
    HistoryEntry,
    LineageStatus,
    ResolvedStatus,
    SchemaDigest,
    TrainedModelStatus,
)
from feature_lineage.api.project_status import Problem
from feature_lineage.ports import Event, Key
from feature_lineage.reconcile.conditions import Conditions
from feature_lineage.reconcile.model_freshness import model_freshness
from feature_lineage.reconcile.model_tags import VERDICT_TAG, tags_to_write
from feature_lineage.reconcile.values import (
    Action,
    Decision,
    DeleteTags,
    Failure,
    LinkedVersion,
    ObservedModel,
    SetTags,
)

MAX_HISTORY: Final = 10
MAX_FEATURES: Final = 100
MAX_PROBLEMS: Final = 50
READY_VERDICTS: Final = frozenset({Verdict.VERIFIED, Verdict.UNCHANGED, Verdict.CHANGED})
WAITING: Final = timedelta(seconds=30)


def decide_model(observed: ObservedModel) -> Decision[TrainedModelStatus]:
    """What follows from everything known about one model."""
    resource, status = observed.resource, observed.resource.status
    problem = unresolved(observed)
    changes: dict[str, Any] = {"observed_generation": resource.metadata.generation or None}
    requested = resource.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    if requested is not None:
        changes["last_handled_reconcile_at"] = requested
    linked = observed.linked
    if linked is not None:
        changes["resolved"] = _resolved(linked)
        changes["lineage"] = _lineage(observed, linked)
        changes["history"] = _history(observed, linked)
        changes["freshness"] = model_freshness(observed, linked)
    elif problem is not None and not problem.outage:
        changes |= {"resolved": None, "lineage": None, "freshness": None}
    status = status.model_copy(update=changes)
    actions = _actions(observed)
    status = status.model_copy(
        update={"conditions": _conditions(observed, status, problem, bool(actions))}
    )
    return Decision(
        status=status,
        after=actions,
        events=_events(observed, status),
        next_look=_next_look(observed),
        finished=resource.metadata.deletion_timestamp is not None,
    )


def unresolved(observed: ObservedModel) -> Failure | None:
    """Why there is no version to speak of; None when there is one."""
    spec, project = observed.resource.spec, observed.project
    if project is None:
        name = spec.project_ref.name
        return Failure(
            "RefNotPermitted",
            f"FeatureStoreProject {name} is not there or does not allow this namespace; "
            "create it, or add the namespace to its spec.allowedNamespaces",
        )
    if project.spec.mlflow is None:
        return Failure(
            "ProjectNotReady",
            f"FeatureStoreProject {project.metadata.name} names no MLflow server; set spec.mlflow",
        )
    if observed.view is None:
        failure = observed.failure
        message = failure.message if failure else "MLflow was not read yet"
        reason = failure.reason if failure else "MLflowUnavailable"
        return Failure(
            "MLflowUnavailable" if reason != "AuthFailed" else reason, message, outage=True
        )
    if observed.linked is None:
        return _not_found(observed)
    return None


def _not_found(observed: ObservedModel) -> Failure:
    model, view = observed.resource.spec.model, observed.view
    versions = view.versions.get(model.name, {}) if view is not None else {}
    if not versions:
        return Failure(
            "ModelNotFound",
            f"MLflow has no registered model {model.name} with versions; register one",
        )
    if model.alias is not None:
        aliases = sorted({alias for version in versions.values() for alias in version.aliases})
        have = f"; it has: {', '.join(aliases[:10])}" if aliases else ""
        return Failure(
            "AliasNotFound",
            f"registered model {model.name} has no alias {model.alias}{have}; "
            "set the alias or change spec.model.alias",
        )
    return Failure(
        "VersionNotFound",
        f"registered model {model.name} has no version {model.version}; "
        f"the newest is {max(versions, key=_number)}",
    )


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _resolved(linked: LinkedVersion) -> ResolvedStatus:
    version = linked.version
    return ResolvedStatus(
        version=version.version,
        aliases=version.aliases,
        run_id=version.run_id or None,
        model_id=version.model_id or None,
        uri=version.uri,
        created_at=version.created_at,
    )


def _lineage(observed: ObservedModel, linked: LinkedVersion) -> LineageStatus:
    link, judgement, baseline = linked.link, linked.judgement, linked.baseline
    before = observed.resource.status.lineage
    verdict = Verdict(str(judgement.verdict)) if judgement else Verdict.UNKNOWN
    same = before is not None and before.verdict is verdict and _same_version(observed, linked)
    since = before.verdict_since if same and before and before.verdict_since else observed.now
    problems = judgement.problems if judgement else ()
    return LineageStatus(
        feature_service=link.service or None,
        declared_service=observed.resource.spec.feature_service,
        recorded_service=link.recorded_service or None,
        origin=LineageOrigin(str(link.origin)) if link.origin else None,
        feature_count=link.count or len(link.refs),
        feature_views=link.views[:MAX_FEATURES],
        feature_views_total=len(link.views),
        features=tuple(str(ref) for ref in link.refs[:MAX_FEATURES]),
        truncated=len(link.refs) < (link.count or 0),
        schema_digest=SchemaDigest(
            baseline=judgement.baseline_schema_digest or None,
            baseline_from=BaselineFrom(baseline.frm) if baseline else None,
            current=judgement.current_schema_digest or None,
        )
        if judgement is not None
        else None,
        baseline_registry_digest=baseline.digest if baseline else None,
        verdict=verdict,
        verdict_since=since,
        problems=tuple(
            Problem(
                feature=problem.feature,
                kind=str(problem.kind),
                was=problem.was or None,
                now=problem.now or None,
            )
            for problem in problems[:MAX_PROBLEMS]
        ),
        problems_total=len(problems),
    )


def _same_version(observed: ObservedModel, linked: LinkedVersion) -> bool:
    resolved = observed.resource.status.resolved
    return (
        resolved is not None
        and resolved.version == linked.version.version
        and resolved.created_at == linked.version.created_at.replace(microsecond=0)
    )


def _history(observed: ObservedModel, linked: LinkedVersion) -> tuple[HistoryEntry, ...]:
    """What the alias pointed to, newest first; nothing to tell of a pinned version."""
    status, now = observed.resource.status, observed.now
    if observed.resource.spec.model.alias is None:
        return ()
    verdict = Verdict(str(linked.judgement.verdict)) if linked.judgement else Verdict.UNKNOWN
    current = HistoryEntry(version=linked.version.version, from_=now, verdict=verdict)
    if not status.history:
        return (current,)
    newest = status.history[0]
    if newest.to is None and _same_version(observed, linked):
        return (newest.model_copy(update={"verdict": verdict}), *status.history[1:])
    closed = newest if newest.to else newest.model_copy(update={"to": now})
    return (current, closed, *status.history[1:])[:MAX_HISTORY]


def _actions(observed: ObservedModel) -> tuple[Action, ...]:
    linked, project = observed.linked, observed.project
    if linked is None or project is None or observed.failure is not None:
        return ()
    if observed.resource.metadata.deletion_timestamp is not None or observed.elders:
        return ()
    actions: list[Action] = []
    revision = project.status.applied.revision if project.status.applied else None
    tags = tags_to_write(linked, observed.resource.spec, project.spec.project, revision)
    if tags:
        actions.append(SetTags(linked.version, tags))
    left = observed.left
    writes = observed.resource.spec.tags.mode is not TagsMode.OFF
    if left is not None and writes and VERDICT_TAG in left.tags:
        actions.append(DeleteTags(left, (VERDICT_TAG,)))
    return tuple(actions)


def _conditions(
    observed: ObservedModel,
    status: TrainedModelStatus,
    problem: Failure | None,
    writing: bool,
) -> Any:
    resource = observed.resource
    conditions = Conditions(status.conditions, observed.now, resource.metadata.generation or None)
    if problem is None:
        assert observed.linked is not None
        version = observed.linked.version
        conditions.true(C.RESOLVED, message=f"{version.name} version {version.version}")
    elif problem.outage:
        conditions.unknown(C.RESOLVED, problem.reason, problem.message)
    else:
        conditions.false(C.RESOLVED, problem.reason, problem.message)
    _lineage_condition(observed, conditions, problem)
    _tagged_condition(observed, conditions, problem, writing)
    _fresh_condition(status, conditions)
    _ready(observed, status, conditions, problem)
    return conditions.values


def _lineage_condition(
    observed: ObservedModel, conditions: Conditions, problem: Failure | None
) -> None:
    judgement = observed.linked.judgement if observed.linked else None
    if judgement is None:
        if problem is None or not problem.outage or conditions.get(C.LINEAGE_VERIFIED) is None:
            message = problem.message if problem else "the registry has not been read yet"
            conditions.unknown(C.LINEAGE_VERIFIED, "RegistryUnseen", message)
        return
    verdict = Verdict(str(judgement.verdict))
    if verdict in (Verdict.VERIFIED, Verdict.UNCHANGED) and judgement.reason == str(verdict):
        conditions.true(C.LINEAGE_VERIFIED, str(verdict), judgement.message)
    elif verdict is Verdict.UNKNOWN:
        conditions.unknown(C.LINEAGE_VERIFIED, judgement.reason, judgement.message)
    else:
        conditions.false(C.LINEAGE_VERIFIED, judgement.reason, judgement.message)


def _tagged_condition(
    observed: ObservedModel, conditions: Conditions, problem: Failure | None, writing: bool
) -> None:
    spec = observed.resource.spec
    if spec.tags.mode is TagsMode.OFF or spec.suspend:
        conditions.false(C.TAGGED, "Disabled", "spec.tags.mode is Off or spec.suspend is true")
    elif observed.elders:
        conditions.false(
            C.TAGGED,
            "OwnedByOther",
            f"the older TrainedModel {observed.elders[0]} writes the tags of this version",
        )
    elif observed.failure is not None:
        conditions.unknown(C.TAGGED, "MLflowUnavailable", observed.failure.message)
    elif problem is not None or writing:
        conditions.false(
            C.TAGGED,
            "Progressing",
            "tags are being written" if writing else "there is no version to tag",
        )
    else:
        conditions.true(C.TAGGED)


def _fresh_condition(status: TrainedModelStatus, conditions: Conditions) -> None:
    freshness = status.freshness
    if freshness is None or freshness.max_age is None:
        conditions.unknown(
            C.FEATURES_FRESH, "NoObjective", "neither the project nor this model sets a maxAge"
        )
    elif freshness.fresh:
        conditions.true(C.FEATURES_FRESH)
    elif freshness.fresh is None:
        conditions.unknown(C.FEATURES_FRESH, "Stale", "the registry was read too long ago to say")
    elif freshness.materialized_until is None:
        conditions.false(
            C.FEATURES_FRESH,
            "NeverMaterialized",
            f"feature view {freshness.oldest_view} was never materialized",
        )
    else:
        conditions.false(
            C.FEATURES_FRESH,
            "Stale",
            f"feature view {freshness.oldest_view} is materialized until "
            f"{freshness.materialized_until:%Y-%m-%dT%H:%M:%SZ}; maxAge is {freshness.max_age}",
        )


def _ready(
    observed: ObservedModel,
    status: TrainedModelStatus,
    conditions: Conditions,
    problem: Failure | None,
) -> None:
    requires = observed.resource.spec.ready_requires
    resolved, lineage = conditions.get(C.RESOLVED), conditions.get(C.LINEAGE_VERIFIED)
    fresh = conditions.get(C.FEATURES_FRESH)
    assert resolved is not None
    assert lineage is not None
    assert fresh is not None
    if problem is not None and not (problem.outage and status.resolved is not None):
        conditions.false(C.READY, problem.reason, problem.message)
    elif ReadyRequirement.LINEAGE in requires and (
        status.lineage is None or status.lineage.verdict not in READY_VERDICTS
    ):
        conditions.false(C.READY, lineage.reason, lineage.message)
    elif ReadyRequirement.FRESHNESS in requires and fresh.status == "False":
        conditions.false(C.READY, fresh.reason, fresh.message)
    else:
        verdict = status.lineage.verdict if status.lineage else Verdict.UNKNOWN
        conditions.true(C.READY, str(verdict) if requires else "Succeeded")
    waiting = problem is not None and not problem.terminal
    conditions.only_while(
        C.RECONCILING,
        waiting,
        problem.reason if problem else "",
        problem.message if problem else "",
    )
    broken = status.lineage is not None and status.lineage.verdict is Verdict.BROKEN
    stalled = broken and ReadyRequirement.LINEAGE in requires
    conditions.only_while(C.STALLED, stalled, "Broken", lineage.message)


def _events(observed: ObservedModel, status: TrainedModelStatus) -> tuple[Event, ...]:
    before, after = observed.resource.status.lineage, status.lineage
    if after is None or (before is not None and before.verdict is after.verdict):
        return ()
    if before is None and after.verdict is Verdict.UNKNOWN:
        return ()
    metadata = observed.resource.metadata
    judgement = observed.linked.judgement if observed.linked else None
    kind = "Warning" if after.verdict in (Verdict.BROKEN, Verdict.AMBIGUOUS) else "Normal"
    return (
        Event(
            Key("TrainedModel", metadata.namespace, metadata.name),
            kind,  # type: ignore[arg-type]
            str(after.verdict),
            judgement.message if judgement else "",
        ),
    )


def _next_look(observed: ObservedModel) -> datetime:
    project = observed.project
    if project is None or project.spec.mlflow is None:
        return observed.now + WAITING
    return observed.now + project.spec.mlflow.poll_interval
