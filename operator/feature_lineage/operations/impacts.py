"""Finds the protected model versions and feature services that a plan would break or change.

Only new problems count: a model that is already broken does not block a commit that repairs it or
does not affect it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from feature_lineage.features.definitions import define_all
from feature_lineage.features.services import service_members
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.problems import TELLING
from feature_lineage.models.signature_problems import with_signatures
from feature_lineage.models.verdicts import Problem, ProblemKind, compare
from feature_lineage.operations.protection import GuardedModel, Impact, Severity, severity_of
from feature_lineage.operations.serving import Answers, Question, serving_problem

_GONE: Final = frozenset({ProblemKind.FEATURE_GONE, ProblemKind.VIEW_GONE})


def impacts(
    models: Iterable[GuardedModel], current: RegistrySnapshot, desired: RegistrySnapshot
) -> tuple[Impact, ...]:
    """Protected versions and services that the change to `desired` makes worse, sorted."""
    found: list[Impact] = []
    for model in models:
        problems = _worsened(_with_definitions(model, current), current, desired)
        if problems:
            found.append(Impact.on(model, problems))
    return tuple(sorted(found, key=lambda impact: impact.subject))


def with_serving(
    models: Iterable[GuardedModel], found: Iterable[Impact], answers: Mapping[Question, Answers]
) -> tuple[Impact, ...]:
    """The impacts, with a failure of the dry retrieval where no definition tells the cause."""
    by_subject = {impact.subject: impact for impact in found}
    for model in models:
        subject = Impact.on(model, ()).subject
        known = by_subject.get(subject)
        problem = serving_problem(model, answers)
        others = known.problems if known is not None else ()
        if problem is not None and not any(other.kind in TELLING for other in others):
            by_subject[subject] = Impact.on(model, tuple(sorted((*others, problem))))
    return tuple(by_subject[subject] for subject in sorted(by_subject))


def blocking(impacts: Iterable[Impact], block_on: Collection[Severity]) -> tuple[Impact, ...]:
    """The impacts with a problem of a severity that blocks."""
    return tuple(
        impact
        for impact in impacts
        if any(severity_of(problem) in block_on for problem in impact.problems)
    )


def _with_definitions(model: GuardedModel, current: RegistrySnapshot) -> GuardedModel:
    """The model, with definitions missing in its baseline taken from the current registry.

    Features that neither defines are already missing, so no plan can break them.
    """
    known = {definition.ref for definition in model.features}
    missing = [ref for ref in model.refs if ref not in known]
    if not missing:
        return model
    # Links made without a registry may hold a service's alias in place of a view's name.
    members = service_members(current, model.service) or ()
    spelled = {member.spelled: member.ref for member in members}
    if spelled.keys() >= set(map(str, missing)):
        missing = [spelled[str(ref)] for ref in missing]
    found = define_all(current, dict.fromkeys(missing), model.service)
    return replace(model, features=(*model.features, *found))


def _worsened(
    model: GuardedModel, current: RegistrySnapshot, desired: RegistrySnapshot
) -> tuple[Problem, ...]:
    """New problems of the features, both through the service and without it.

    Both count: a feature that was removed from the service is needed to restore the service.
    """
    as_served = _new_problems(model, current, desired, model.service)
    reported = {(problem.feature, problem.kind) for problem in as_served}
    alone = _new_problems(model, current, desired, "") if model.service else set()
    return tuple(sorted(as_served | {p for p in alone if (p.feature, p.kind) not in reported}))


def _new_problems(
    model: GuardedModel, current: RegistrySnapshot, desired: RegistrySnapshot, service: str
) -> set[Problem]:
    known = frozenset(_problems(model, current, service))
    if any(problem.kind is ProblemKind.SERVICE_GONE for problem in known):
        return set()  # a restored service, even with fewer features, is no new problem
    # A missing feature has no new problems: even a changed one that is restored is better.
    gone = {problem.feature for problem in known if problem.kind in _GONE}
    after = _problems(model, desired, service)
    return {problem for problem in after if problem not in known and problem.feature not in gone}


def _problems(model: GuardedModel, registry: RegistrySnapshot, service: str) -> tuple[Problem, ...]:
    """All problems of a model with a registry."""
    found = compare(model.features, registry, service)
    if service != model.service:
        return found
    refs = model.refs or tuple(definition.ref for definition in model.features)
    now = signature_of(registry, service, refs)
    return with_signatures(found, model.signature, now, service, model.names)
