"""Computes the status of a TrainedModel: version, lineage, freshness, history of the alias."""

from typing import Final

from feature_lineage.api.enums import BaselineFrom, Verdict
from feature_lineage.api.model_status import (
    HistoryEntry,
    LineageStatus,
    ModelFreshnessStatus,
    ResolvedStatus,
    SchemaDigest,
)
from feature_lineage.api.types import Duration
from feature_lineage.decide.budget import MAX_FEATURES, MAX_HISTORY, short_name
from feature_lineage.decide.observed import LinkedVersion, ObservedModel
from feature_lineage.decide.problem_status import listed_problems
from feature_lineage.decide.project.views import observed_at, view_states
from feature_lineage.features.freshness import OverallFreshness, judge_model
from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.reasons import Reason

_NOT_SERVED: Final = (ProblemKind.VIEW_DISABLED, ProblemKind.NOT_ONLINE)


def resolved(linked: LinkedVersion) -> ResolvedStatus:
    version = linked.version
    return ResolvedStatus(
        version=version.version,
        aliases=version.aliases,
        run_id=version.run_id or None,
        model_id=version.model_id or None,
        uri=version.uri,
        created_at=version.created_at,
    )


def lineage(observed: ObservedModel, linked: LinkedVersion) -> LineageStatus:
    link, judgement, baseline = linked.link, linked.judgement, linked.baseline
    before = observed.resource.status.lineage
    verdict = judgement.verdict if judgement else Verdict.UNKNOWN
    same = before is not None and before.verdict is verdict and _same_version(observed, linked)
    since = before.verdict_since if same and before and before.verdict_since else observed.now
    problems = judgement.problems if judgement else ()
    return LineageStatus(
        feature_service=link.service or None,
        declared_service=observed.resource.spec.feature_service,
        recorded_service=link.recorded_service or None,
        origin=link.origin,
        column_names=link.names if link.refs else None,
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
        problems=listed_problems(problems),
        problems_total=judgement.problems_total if judgement else 0,
    )


def freshness(observed: ObservedModel, linked: LinkedVersion) -> ModelFreshnessStatus | None:
    """Freshness of the least fresh view of the model, as times and not as ages.

    None if the registry or the features of the model are not known.
    """
    lost, judged = not_served_any_more(linked), _judge_freshness(observed, linked)
    if judged is None:
        return None
    if lost is not None:
        reason, name = Reason.NOT_SERVED, short_name(lost.feature)
        return ModelFreshnessStatus(oldest_view=name, fresh=False, reason=reason)
    return ModelFreshnessStatus(
        oldest_view=short_name(judged.oldest_view) if judged.oldest_view else None,
        materialized_until=judged.materialized_until,
        max_age=judged.max_age if isinstance(judged.max_age, Duration) else None,
        fresh=judged.fresh,
        reason=None if judged.fresh else judged.reason,
    )


def not_served_any_more(linked: LinkedVersion | None) -> Problem | None:
    """The problem of a view of the model that was online, and enabled, at training and is not now.

    Nothing renews the rows of such a view.
    """
    judgement = linked.judgement if linked is not None else None
    problems = judgement.problems if judgement is not None else ()
    return next((each for each in problems if each.kind in _NOT_SERVED), None)


def _judge_freshness(observed: ObservedModel, linked: LinkedVersion) -> OverallFreshness | None:
    project, snapshot = observed.project, observed.snapshot
    if project is None or snapshot is None or not linked.link.refs:
        return None
    own, states = observed.resource.spec.freshness, observed.states
    return judge_model(
        snapshot,
        linked.link.refs,
        view_states(project.spec, project.status, snapshot) if states is None else states,
        observed.now,
        observed_at(project.spec, project.status),
        own.max_age if own else None,
    )


def _same_version(observed: ObservedModel, linked: LinkedVersion) -> bool:
    resolved = observed.resource.status.resolved
    return (
        resolved is not None
        and resolved.version == short_name(linked.version.version)
        and resolved.created_at == linked.version.created_at.replace(microsecond=0)
    )


def history(observed: ObservedModel, linked: LinkedVersion) -> tuple[HistoryEntry, ...]:
    """The versions to which the alias pointed, newest first; empty for a pinned version."""
    status, now = observed.resource.status, observed.now
    if observed.resource.spec.model.alias is None:
        return ()
    verdict = linked.judgement.verdict if linked.judgement else Verdict.UNKNOWN
    current = HistoryEntry(version=linked.version.version, from_=now, verdict=verdict)
    if not status.history:
        return (current,)
    newest = status.history[0]
    if newest.to is None and _same_version(observed, linked):
        return (newest.model_copy(update={"verdict": verdict}), *status.history[1:])
    return (current, *history_with_end(observed))[:MAX_HISTORY]


def history_with_end(observed: ObservedModel) -> tuple[HistoryEntry, ...]:
    """The history; its newest entry is ended if the alias has left that version."""
    past = observed.resource.status.history
    if not past or past[0].to is not None or observed.view is None:
        return past
    return (past[0].model_copy(update={"to": observed.now}), *past[1:])
