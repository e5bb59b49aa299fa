"""Whom a plan makes worse off.

A plan answers only for what it makes worse: a model that is broken already is no reason to refuse
a commit that mends it, or one that does not touch it.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from feature_lineage.features.definitions import define_all
from feature_lineage.features.services import service_members
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.verdicts import Problem, ProblemKind, compare
from feature_lineage.operations.protection import GuardedModel, Impact, Severity, severity_of

_GONE: Final = frozenset({ProblemKind.FEATURE_GONE, ProblemKind.VIEW_GONE})


def impacts(
    models: Iterable[GuardedModel], current: RegistrySnapshot, desired: RegistrySnapshot
) -> tuple[Impact, ...]:
    """Protected versions that going from `current` to `desired` makes worse, sorted."""
    found: list[Impact] = []
    for model in models:
        problems = _worsened(_with_definitions(model, current), current, desired)
        if problems:
            found.append(Impact(model.model, model.version, tuple(sorted(model.aliases)), problems))
    return tuple(sorted(found, key=lambda impact: (impact.model, impact.version)))


def blocking(impacts: Iterable[Impact], block_on: Collection[Severity]) -> tuple[Impact, ...]:
    """The impacts with a problem of a severity that blocks."""
    return tuple(
        impact
        for impact in impacts
        if any(severity_of(problem) in block_on for problem in impact.problems)
    )


def _with_definitions(model: GuardedModel, current: RegistrySnapshot) -> GuardedModel:
    """The model with what its baseline does not tell, as the registry defines it now.

    What neither defines is gone already, and no plan makes that worse.
    """
    known = {definition.ref for definition in model.features}
    missing = [ref for ref in model.refs if ref not in known]
    if not missing:
        return model
    # Whoever linked the model without a registry could not tell a service's alias from a view.
    members = service_members(current, model.service) or ()
    spelled = {member.spelled: member.ref for member in members}
    if spelled.keys() >= set(map(str, missing)):
        missing = [spelled[str(ref)] for ref in missing]
    found = define_all(current, dict.fromkeys(missing), model.service)
    return replace(model, features=(*model.features, *found))


def _worsened(
    model: GuardedModel, current: RegistrySnapshot, desired: RegistrySnapshot
) -> tuple[Problem, ...]:
    """New problems of the model as it is served, and of its features whatever serves them.

    Both count: a feature that has left the service already is what bringing it back would need.
    """
    as_served = _new_problems(model, current, desired, model.service)
    reported = {(problem.feature, problem.kind) for problem in as_served}
    alone = _new_problems(model, current, desired, "") if model.service else set()
    return tuple(sorted(as_served | {p for p in alone if (p.feature, p.kind) not in reported}))


def _new_problems(
    model: GuardedModel, current: RegistrySnapshot, desired: RegistrySnapshot, service: str
) -> set[Problem]:
    known = frozenset(compare(model.features, current, service))
    if any(problem.kind is ProblemKind.SERVICE_GONE for problem in known):
        return set()  # a service that comes back, even with less in it, heals
    # What was gone cannot get worse: a feature that comes back, even otherwise than it was, heals.
    gone = {problem.feature for problem in known if problem.kind in _GONE}
    after = compare(model.features, desired, service)
    return {problem for problem in after if problem not in known and problem.feature not in gone}
