"""Builds the message for a plan that is blocked or affects models: fact, models, next step.

The message is shown in a condition and an Event. Its length is limited: the worst impacts come
first, and the next step is always kept.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final

from feature_lineage.api.annotations import ALLOW_ADOPTION, ALLOW_BREAKING
from feature_lineage.api.types import DURATION_PATTERN, Duration
from feature_lineage.features.diff import ChangeClass
from feature_lineage.features.views import redefined_source
from feature_lineage.models.problems import COMPUTED, INPUT
from feature_lineage.models.verdicts import BREAKING, Problem, ProblemKind
from feature_lineage.operations.plan import Plan, PlanVerdict, names_plan, short
from feature_lineage.operations.protection import Impact
from feature_lineage.reasons import Reason
from feature_lineage.shorten import one_line

MAX_LENGTH: Final = 1024
"""In bytes of UTF-8, as the limit of an Event."""
_MAX_ITEM: Final = 240
_SHA: Final = re.compile(r"(?:sha256:)?[0-9a-f]{40,64}")


def explain(
    plan: Plan, revision: str, *, overrides: Iterable[str] = (), planning: bool = False
) -> str:
    """The message for a blocked plan of at most `MAX_LENGTH`; "" for any other plan.

    Args:
        plan: the plan that was made.
        revision: the commit or digest from which the plan was made.
        overrides: the plan digests in permissions; the message mentions one of another plan.
        planning: nothing but a plan was asked for.
    """
    if plan.verdict is not PlanVerdict.BLOCKED:
        return ""
    subject = f"{_revision(revision)} {'would not be' if planning else 'is not'} applied"
    others = [given for given in overrides if given and not names_plan(given, plan.digest)]
    stale = (
        f" The permission given for plan {one_line(others[0], 16)} is not for this plan."
        if others
        else ""
    )
    match plan.reason:
        case Reason.GUARD_UNAVAILABLE:
            fact = f"{subject}: the facts about the protected models are too old to decide"
            step = ". The operator tries again when MLflow answers."
            return _fit(f"{fact}", [], "", step)
        case Reason.PROJECT_OWNED_BY_OTHER | Reason.ADOPTION_WOULD_DELETE:
            fact = f"{subject}: {_of_others(plan)}"
            items = [one_line(name, _MAX_ITEM) for name in plan.adoption_deletes]
            step = f"{_also_affects(plan)}.{stale} {_instead_of_adoption(plan)}, or annotate "
            return _fit(fact, items, ", ", step + _annotation(ALLOW_ADOPTION, plan))
        case Reason.REGISTRY_EMPTY:
            count = _versions(len(plan.named_by))
            fact = f"{subject}: the registry has no feature view of this project, but MLflow has "
            step = ". Name the registry of these models in feature_store.yaml, or restore it"
            if plan.emptied:
                fact = f"{subject}: the registry of this project was emptied or lost since the "
                fact += "last apply, and MLflow has "
                step = ". Restore the registry if it was lost"
            fact += f"{count} of the project: "
            step += f".{stale} To start with an empty registry, annotate "
            items = [one_line(name, _MAX_ITEM) for name in plan.named_by]
            return _fit(fact, items, ", ", step + _annotation(ALLOW_ADOPTION, plan))
        case Reason.REPO_EMPTIED:
            items = [
                one_line(f"{change.kind}/{change.name}", _MAX_ITEM)
                for change in plan.changes
                if change.change is ChangeClass.DELETED and not change.feature
            ]
            fact = f"{subject}: the repository defines no feature view, so the apply would delete "
            fact += f"all views of the project and what uses them ({len(items)}): "
            step = f"{_also_affects(plan)}.{stale} Check the path and the branch of the source, "
            step += "delete the project with deletionPolicy Delete, or annotate "
            return _fit(fact, items, ", ", step + _annotation(ALLOW_ADOPTION, plan))
        case _:
            step = f".{stale} Change the commit, {_other_way(plan)}, or annotate "
            step += _annotation(ALLOW_BREAKING, plan)
            unknown = len(plan.unknown_models)
            if plan.only_unknown_block or not plan.impacts:
                fact = f"{subject}: the features of {_versions(unknown)} are not known, "
                fact += "so it may break "
                also = f"; it would also affect {affected_text(plan.impacts)}"
                items = [one_line(name, _MAX_ITEM) for name in plan.unknown_models]
                return _fit(fact, items, ", ", f"{also if plan.impacts else ''}{step}")
            fact = f"{subject}: it would affect {affected_text(plan.impacts)}: "
            doubt = f"; the features of {_versions(unknown, 'more ')} are not known"
            return _fit(
                fact, _impact_phrases(plan), "; ", f"{doubt if plan.unknown_models else ''}{step}"
            )


def _also_affects(plan: Plan) -> str:
    if not plan.impacts:
        return ""
    return f"; it would also affect {affected_text(plan.impacts)}: see {ALLOW_BREAKING}"


def _of_others(plan: Plan) -> str:
    """What the apply would take from others, before the list of the objects that it deletes."""
    count = len(plan.adoption_deletes)
    if plan.reason == Reason.ADOPTION_WOULD_DELETE:
        fact = "its first apply to this registry would delete objects that others applied"
        return f"{fact} ({count}): "
    fact = "another resource applied this project to this registry"
    return f"{fact}; this plan would delete objects ({count}): " if count else fact


def _instead_of_adoption(plan: Plan) -> str:
    if plan.reason == Reason.ADOPTION_WOULD_DELETE:
        return "Add them to the repo, set apply.prune to false"
    return "Use another project or registry"


def explain_applied_impacts(plan: Plan, revision: str) -> str:
    """Impacts of an applied plan and what allowed it; "" if there are none.

    Args:
        plan: the plan that was applied.
        revision: the commit or digest from which the plan was made.
    """
    if not plan.impacts:
        return ""
    fact = f"{_revision(revision)} is applied and affects "
    fact += f"{affected_text(plan.impacts)}: "
    # A runner of an older version does not report what allowed the plan.
    by = f". {one_line(plan.let_through, _MAX_ITEM)}." if plan.let_through else "."
    return _fit(fact, _impact_phrases(plan), "; ", by)


def _revision(revision: str) -> str:
    """``commit 3f2c1ab9d8e7``, or ``revision sha256:3f2c1ab9d8e7`` of a folder or ConfigMap."""
    return f"{'revision' if ':' in revision else 'commit'} {short_revision(revision)}"


def short_revision(revision: str) -> str:
    """A commit shortened to 12 digits; any other revision unchanged."""
    if _SHA.fullmatch(revision):
        return revision[: len("sha256:") + 12] if ":" in revision else revision[:12]
    return one_line(revision, 40) or "of unknown revision"


def describe(problem: Problem, subject: str = "") -> str:
    """One problem as a phrase that begins with the feature.

    Args:
        subject: begins the phrase in place of the feature, if several features have the problem.
    """
    subject = subject or one_line(problem.feature, 80)
    room = 120 if problem.kind is ProblemKind.JOIN_KEYS_CHANGED else 40
    was, now = one_line(problem.was, room), one_line(problem.now, room)
    step = f" from {was} to {now}" if was and now else ""
    match problem.kind:
        case ProblemKind.FEATURE_GONE:
            return f"{subject} is gone"
        case ProblemKind.VIEW_GONE:
            return f"{subject} is gone with its view"
        case ProblemKind.SERVICE_GONE:
            return f"feature service {subject} is gone"
        case ProblemKind.TYPE_CHANGED:
            return f"{subject} changes type{step}"
        case ProblemKind.JOIN_KEYS_CHANGED:
            keys = f" from {was or 'none'} to {now or 'none'}" if was or now else ""
            return f"{subject} changes join keys{keys}"
        case ProblemKind.SOURCE_CHANGED:
            if was.startswith(INPUT):
                return f"{subject} is computed from {was.removeprefix(INPUT)}, which changes"
            if name := redefined_source(problem.was, problem.now):
                return f"{subject} changes the definition of source {one_line(name, 40)}"
            return f"{subject} changes source{step}"
        case ProblemKind.TRANSFORMATION_CHANGED:
            return f"{subject} changes transformation"
        case ProblemKind.TTL_CHANGED:
            return f"{subject} changes TTL{step}: {_ttl_effect(was, now)}"
        case ProblemKind.VERSION_CHANGED:
            return f"{subject} changes version{step}"
        case ProblemKind.SERVING_FAILS:
            return f"Feast does not serve {subject}: {one_line(problem.now, 240)}"
        case ProblemKind.NOT_ONLINE:
            return f"{subject} is online=False: its values do not change any more, or are gone"
        case ProblemKind.VIEW_DISABLED:
            return f"{subject} is disabled"
        case ProblemKind.VIEW_KIND_CHANGED:
            lost = "the online rows of the view are not read any more"
            if now != COMPUTED:
                lost = "no value is served until the view is materialized"
            return f"{subject} changes{step}: {lost}"
        case ProblemKind.ENTITY_GONE:
            return f"{was} of {subject} is gone"
        case ProblemKind.REQUEST_CHANGED:
            return f"{subject} changes the request: {was or 'nothing'} → {now}"
        case ProblemKind.COLUMN_RENAMED:
            return f"{subject} changes the name of a column{step}"
        case ProblemKind.COLUMN_GONE:
            return f"column {was} of {subject} is gone"
        case ProblemKind.NAMES_COLLIDE:
            return f"two columns of {subject} have the short name {now}, which Feast refuses"
        case ProblemKind.SERVICE_REORDERED:
            return f"{subject} changes the order of its columns"
        case ProblemKind.SERVICE_GREW:
            return f"{subject} returns more columns: {one_line(problem.now, 80)}"


def _ttl_effect(was: str, now: str) -> str:
    """What a model gets with the new TTL that it did not get with the old one."""
    limits = [
        Duration(text) if re.fullmatch(DURATION_PATTERN, text) else None for text in (was, now)
    ]
    before, after = limits
    grows = now == "none" or (before is not None and after is not None and after > before)
    if grows:
        return f"values older than {was} are served, too"
    return f"values older than {now} are not served any more"


def _impact_phrases(plan: Plan) -> list[str]:
    return [_impact(impact) for impact in sorted(plan.impacts, key=worst_first)]


def subject_text(impact: Impact) -> str:
    """``driver_model v3 (@champion, @prod)``, or ``feature service ranking``."""
    if impact.service:
        return f"feature service {impact.service}"
    aliases = f" (@{', @'.join(impact.aliases)})" if impact.aliases else ""
    return f"{impact.model} v{impact.version}{aliases}"


def _impact(impact: Impact) -> str:
    problems = sorted(impact.problems, key=_first_cause)
    phrase = describe(problems[0]) if problems else ""
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    subject = one_line(subject_text(impact), 100)
    return f"{phrase if phrase.startswith(subject) else f'{subject}: {phrase}'}{more}"


def _first_cause(problem: Problem) -> tuple[bool, bool, Problem]:
    return problem.kind not in BREAKING, problem.kind is not ProblemKind.SERVING_FAILS, problem


def worst_first(impact: Impact) -> tuple[bool, tuple[str, str, str]]:
    """Sorts impacts: those that are broken come first."""
    return impact.severity != "Broken", impact.subject


def _annotation(name: str, plan: Plan) -> str:
    return f'{name}: "{short(plan.digest)}: <why>"'


def _versions(count: int, more: str = "") -> str:
    return f"{count} {more}protected model version{'' if count == 1 else 's'}"


def affected_text(impacts: Collection[Impact]) -> str:
    """``2 protected model versions and 1 protected feature service``."""
    services = sum(bool(impact.service) for impact in impacts)
    versions = len(impacts) - services
    plural = "" if services == 1 else "s"
    parts = [_versions(versions)] if versions else []
    parts += [f"{services} protected feature service{plural}"] if services else []
    return " and ".join(parts)


def _other_way(plan: Plan) -> str:
    """What ends the protection of what is affected."""
    if any(impact.service for impact in plan.impacts):
        ways = "remove the protection of the service in an earlier commit"
        return f"move the aliases and {ways}" if any(i.model for i in plan.impacts) else ways
    return "move the aliases"


def _fit(fact: str, items: list[str], separator: str, step: str) -> str:
    """As many items as fit, followed by the number of the others."""
    room = MAX_LENGTH - _size(fact + step)
    shown: list[str] = []
    for index, item in enumerate(items):
        left = len(items) - index - 1
        reserve = _size(f" and {left} more") if left else 0
        if _size(separator.join([*shown, item])) + reserve > room:
            break
        shown.append(item)
    left = len(items) - len(shown)
    more = (f" and {left} more" if shown else f"{left} in all") if left else ""
    return one_line(f"{fact}{separator.join(shown)}{more}{step}", MAX_LENGTH)


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))
