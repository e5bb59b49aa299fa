"""Groups the problems that a plan would cause by cause, for people who read the plan.

One changed view causes a problem for each of its features, for each feature that is computed from
them, and for each model that uses one of these. The reader needs the changed view once, and an
entity whose key changes once for all of its views.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from feature_lineage.models.problems import INPUT, Problem, ProblemKind
from feature_lineage.operations.explain import worst_first
from feature_lineage.operations.protection import Impact, Severity, severity_of

_OF_A_FEATURE: Final = frozenset({ProblemKind.FEATURE_GONE, ProblemKind.TYPE_CHANGED})


@dataclass(frozen=True)
class Cause:
    """One difference, with everything that it affects.

    Attributes:
        subject: the feature view, the first of several, or the feature service.
        problem: one of the equal problems of its features; of several views, what they share.
        features: references of the features that have the problem, sorted.
        derived: references of the features that are computed from these and differ, sorted.
        models: the affected versions and services, the most severe first.
    """

    subject: str
    problem: Problem
    features: tuple[str, ...]
    derived: tuple[str, ...]
    models: tuple[Impact, ...]

    @property
    def severity(self) -> Severity:
        return severity_of(self.problem)

    @property
    def views(self) -> tuple[str, ...]:
        """The feature views that have the problem, sorted."""
        return tuple(sorted(set(map(_view, self.features))))


@dataclass(frozen=True)
class _Found:
    """One problem of one model."""

    problem: Problem
    model: Impact

    @property
    def view(self) -> str:
        return _view(self.problem.feature)

    @property
    def input(self) -> str:
        """Reference of the input that differs; "" if the problem is not of an input."""
        was = self.problem.was
        return was.removeprefix(INPUT) if was.startswith(INPUT) else ""


def causes(impacts: Iterable[Impact]) -> tuple[Cause, ...]:
    """The causes of all problems: those that break a model first, then those of most models."""
    found = [_Found(problem, impact) for impact in impacts for problem in impact.problems]
    derived = [item for item in found if item.input]
    inputs: dict[str, set[str]] = {}
    for item in derived:
        inputs.setdefault(item.problem.feature, set()).add(item.input)

    grouped: list[Cause] = []
    explained: set[str] = set()
    direct = [item for item in found if not item.input]
    for group in _groups(direct, _key):
        changed = {item.problem.feature for item in group}
        if group[0].problem.kind not in _OF_A_FEATURE:
            changed = {item.view for item in group}
        following = [i for i in derived if _comes_from(i.problem.feature, changed, inputs)]
        explained |= {item.problem.feature for item in following}
        grouped.append(_cause(group, following))
    rest = [item for item in derived if item.problem.feature not in explained]
    unexplained = _groups(rest, lambda item: (item.view, _view(item.input)))
    grouped += [_cause(group, []) for group in unexplained]
    return tuple(sorted(grouped, key=_order))


def _groups(
    items: Iterable[_Found], key: Callable[[_Found], tuple[str, ...]]
) -> Iterable[list[_Found]]:
    groups: dict[tuple[str, ...], list[_Found]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups.values()


def _cause(group: list[_Found], following: list[_Found]) -> Cause:
    models = {i.model.subject: i.model for i in (*group, *following)}
    problem = min(item.problem for item in group)
    if (keys := _changed_keys(problem)) and len({item.view for item in group}) > 1:
        problem = replace(problem, was=keys[0], now=keys[1])
    return Cause(
        subject=_view(problem.feature),
        problem=problem,
        features=tuple(sorted({item.problem.feature for item in group})),
        derived=tuple(sorted({item.problem.feature for item in following})),
        models=tuple(sorted(models.values(), key=worst_first)),
    )


def _comes_from(feature: str, changed: Collection[str], inputs: Mapping[str, set[str]]) -> bool:
    """Whether a feature is computed from one of these views or features, directly or not."""
    seen: set[str] = set()
    pending = {feature}
    while pending:
        references = {ref for item in pending for ref in inputs.get(item, ())} - seen
        if any(ref in changed or _view(ref) in changed for ref in references):
            return True
        seen |= references
        pending = references
    return False


def _order(cause: Cause) -> tuple[bool, int, str, Problem]:
    return cause.severity != "Broken", -len(cause.models), cause.subject, cause.problem


def _key(item: _Found) -> tuple[str, ...]:
    """Equal for the problems of one cause."""
    if keys := _changed_keys(item.problem):
        return ("", item.problem.kind, *keys)
    return (item.view, item.problem.kind, *_texts(item))


def _changed_keys(problem: Problem) -> tuple[str, ...]:
    """The old and the new join keys, if an entity changed that other views may have, too."""
    if problem.kind is not ProblemKind.JOIN_KEYS_CHANGED or ":" not in problem.feature:
        return ()
    was, now = problem.was.split(", "), problem.now.split(", ")
    lost, new = [key for key in was if key not in now], [key for key in now if key not in was]
    renamed = any(" as " in key for key in (*lost, *new))
    return (", ".join(lost), ", ".join(new)) if lost and new and not renamed else ()


def _texts(item: _Found) -> tuple[str, str]:
    """What differs, for problems of a whole view: old types of features may be different."""
    problem = item.problem
    return ("", "") if problem.kind is ProblemKind.FEATURE_GONE else (problem.was, problem.now)


def _view(reference: str) -> str:
    """The view of a reference; a name without a feature unchanged."""
    return reference.partition(":")[0].partition("@")[0]
