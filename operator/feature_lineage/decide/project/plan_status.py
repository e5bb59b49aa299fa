"""Converts a plan to its form in the status: one entry per object, limited, with totals."""

from collections.abc import Iterable
from datetime import datetime

from feature_lineage.api.enums import ChangeAction, PlanVerdict, Verdict
from feature_lineage.api.project_status import PlanChange, PlanImpact, PlanStatus
from feature_lineage.decide.budget import MAX_CHANGES, MAX_DETAILS, MAX_IMPACTS, MAX_PROBLEMS
from feature_lineage.decide.problem_status import listed_problems
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.models.verdicts import BREAKING
from feature_lineage.operations.plan import Plan

_CREATED = frozenset({ChangeClass.CREATED})


_DELETED = frozenset({ChangeClass.DELETED})


def plan_status(
    plan: Plan, revision: str | None, before: PlanStatus | None, now: datetime
) -> PlanStatus:
    """The plan in the status: limited, with totals."""
    blocked = plan.verdict is PlanVerdict.BLOCKED
    since = before.blocked_since if before and before.blocked_since else now
    return PlanStatus(
        revision=revision,
        digest=plan.digest,
        verdict=plan.verdict,
        changes=_changes(plan.changes)[:MAX_CHANGES],
        changes_total=len(_changes(plan.changes)),
        impacts=tuple(
            PlanImpact(
                model=impact.model or None,
                version=impact.version or None,
                service=impact.service or None,
                aliases=impact.aliases,
                verdict=Verdict.BROKEN
                if any(problem.kind in BREAKING for problem in impact.problems)
                else Verdict.CHANGED,
                problems=listed_problems(impact.problems),
                problems_total=_total(impact.problems, MAX_PROBLEMS),
            )
            for impact in plan.impacts[:MAX_IMPACTS]
        ),
        impacts_total=len(plan.impacts),
        online_tables_dropped=plan.online_tables_dropped[:MAX_CHANGES],
        online_tables_dropped_total=_total(plan.online_tables_dropped, MAX_CHANGES),
        blocked_since=since if blocked else None,
    )


def _total(items: tuple[object, ...], most: int) -> int | None:
    """The number of items, if the list has only a part of them."""
    return len(items) if len(items) > most else None


def _changes(changes: Iterable[Change]) -> tuple[PlanChange, ...]:
    """One entry per object, with its action and details."""
    grouped: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        grouped.setdefault((change.kind, change.name), []).append(change)
    return tuple(_change(kind, name, group) for (kind, name), group in sorted(grouped.items()))


def _change(kind: str, name: str, group: list[Change]) -> PlanChange:
    details = _details(group)
    return PlanChange(
        kind=kind,
        name=name,
        action=_action(group),
        details=details[:MAX_DETAILS],
        details_total=_total(details, MAX_DETAILS),
    )


def _action(group: list[Change]) -> ChangeAction:
    whole = {change.change for change in group if not change.feature}
    if whole & _CREATED:
        return ChangeAction.CREATE
    return ChangeAction.DELETE if whole & _DELETED else ChangeAction.UPDATE


def _details(group: list[Change]) -> tuple[str, ...]:
    details = []
    for change in group:
        if change.change in _CREATED | _DELETED and not change.feature:
            continue
        values = [value for value in (change.was, change.now) if value]
        arrow = f": {' → '.join(values)}" if values else ""
        subject = f" {change.feature}" if change.feature else ""
        details.append(f"{change.change}{subject}{arrow}")
    return tuple(details)
