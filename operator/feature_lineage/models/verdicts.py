"""Computes the verdict on a model version: are its features still defined as at training time?

Broken: serving fails or returns wrong values. Changed: the features differ from those of training.
Verified: no difference from the definitions at training time. Unchanged: none since first sight.

`problems.compare` finds the differences; `judge` is an ordered chain of checks, and the first check
that applies decides.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

from feature_lineage.api.enums import ColumnNames, Verdict
from feature_lineage.features.definitions import define_all, schema_digest
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import question_key, signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.links import Link
from feature_lineage.models.problems import (
    BREAKING,
    TELLING,
    Problem,
    ProblemKind,
    compare,
    gone,
)
from feature_lineage.models.signature_problems import with_signatures
from feature_lineage.reasons import Reason
from feature_lineage.shorten import cut, listed

__all__ = [
    "BREAKING",
    "Judgement",
    "Problem",
    "ProblemKind",
    "Verdict",
    "compare",
    "judge",
]

KEPT_PROBLEMS: Final = 100
"""Of one version; a status has fewer, and their number."""
MAX_TEXT: Final = 1000
MAX_MESSAGE: Final = 10_000
"""Characters that are kept of a text of a problem, and of a message; a status has fewer."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on one model version.

    Attributes:
        verdict: the verdict.
        reason: condition reason: the verdict's name, or why there is no better verdict.
        problems: the first `KEPT_PROBLEMS` differences, sorted; their texts are cut.
        problems_total: how many there are.
        baseline_schema_digest: of the definitions at training time, "" if unknown.
        current_schema_digest: of the current definitions, "" if the registry was not read.
        message: object, fact, next step.
    """

    verdict: Verdict
    reason: Reason
    problems: tuple[Problem, ...] = ()
    baseline_schema_digest: str = ""
    current_schema_digest: str = ""
    message: str = ""
    problems_total: int = 0


def judge(
    link: Link,
    baseline: RegistrySnapshot | None,
    baseline_from: Literal["Training", "FirstSight"] | None,
    current: RegistrySnapshot | None,
    *,
    recorded_digest: str | None = None,
) -> Judgement:
    """The verdict on one linked version.

    Args:
        baseline: the snapshot that `choose_baseline` chose; None if it is not kept.
        baseline_from: Training where it is the registry at training time.
        current: the registry as last read; None if it was not read.
        recorded_digest: the schema digest recorded when the baseline was chosen; replaces a
            baseline that is not kept any more, as long as nothing changed.
    """
    evidence = _evidence_of(link, baseline, baseline_from, current, recorded_digest or "")
    verdict, reason, message = next(
        finding for check in _CHAIN if (finding := check(evidence)) is not None
    )
    return Judgement(
        verdict,
        reason,
        tuple(map(_cut, evidence.problems[:KEPT_PROBLEMS])),
        evidence.was_digest,
        evidence.now_digest,
        cut(message, MAX_MESSAGE),
        len(evidence.problems),
    )


def _cut(problem: Problem) -> Problem:
    """A problem as it is kept; nobody keeps what a registry of 20 MB says about one feature."""
    was, now = cut(problem.was, MAX_TEXT), cut(problem.now, MAX_TEXT)
    same = was is problem.was and now is problem.now
    return problem if same else replace(problem, was=was, now=now)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The input of the checks.

    Attributes:
        trained: whether the baseline is the registry at training time.
        was_digest, now_digest: of the model's features in the baseline and now.
        unseen: features that the current registry has and the baseline lacks.
        offline: views that are read and are not online.
    """

    link: Link
    trained: bool
    has_baseline: bool
    has_current: bool
    was_digest: str = ""
    now_digest: str = ""
    problems: tuple[Problem, ...] = ()
    unseen: tuple[FeatureRef, ...] = ()
    offline: tuple[str, ...] = ()


_Finding = tuple[Verdict, Reason, str]
_Check = Callable[[_Evidence], _Finding | None]


def _evidence_of(
    link: Link,
    baseline: RegistrySnapshot | None,
    baseline_from: str | None,
    current: RegistrySnapshot | None,
    recorded_digest: str,
) -> _Evidence:
    was = define_all(baseline, link.refs, link.service) if baseline is not None else ()
    now = was  # usually nothing was applied since training, and both are one snapshot
    if current is not baseline:
        now = define_all(current, link.refs, link.service) if current is not None else ()
    problems: tuple[Problem, ...] = ()
    unseen: tuple[FeatureRef, ...] = ()
    served = signature_of(current, link.service, link.refs) if current is not None else None
    if current is not None:
        known = {definition.ref for definition in was}
        without_baseline = tuple(ref for ref in link.refs if ref not in known)
        problems = with_signatures(
            _with_words(
                {*compare(was, current, link.service), *gone(without_baseline, current)},
                link,
                current,
            ),
            signature_of(baseline, link.service, link.refs) if baseline is not None else None,
            served,
            link.service,
            link.names,
        )
        if baseline is not None:
            there = {definition.ref for definition in now}
            unseen = tuple(ref for ref in without_baseline if ref in there)
    was_digest = schema_digest(was) if was else ""
    now_digest = was_digest if now is was else schema_digest(now) if now else ""
    return _Evidence(
        link,
        baseline_from == "Training",
        baseline is not None,
        current is not None,
        was_digest or recorded_digest,
        now_digest,
        problems,
        unseen,
        served.offline if served is not None else (),
    )


def _with_words(found: set[Problem], link: Link, current: RegistrySnapshot) -> set[Problem]:
    """The problems with Feast's own words, where it was asked and refused."""
    answers = current.answers or {}
    keys = (question_key(link.service, link.refs, n) for n in (link.names, ColumnNames.UNKNOWN))
    words = next((answers[key] for key in keys if key in answers), "")
    if not words or any(problem.kind in TELLING for problem in found):
        return found
    subject = link.service or next((str(ref) for ref in link.refs), "")
    return {*found, Problem(subject, ProblemKind.SERVING_FAILS, now=words)}


def _no_lineage(evidence: _Evidence) -> _Finding | None:
    if evidence.link.reason is not Reason.NO_FEAST_LINEAGE:
        return None
    message = "".join(f"{note}; " for note in evidence.link.problems) + (
        "no Feast features are recorded for this version; train with Feast's MLflow integration "
        "or set spec.featureService"
    )
    return Verdict.UNKNOWN, Reason.NO_FEAST_LINEAGE, message


def _other_project(evidence: _Evidence) -> _Finding | None:
    if evidence.link.reason is not Reason.PROJECT_MISMATCH:
        return None
    return Verdict.AMBIGUOUS, Reason.PROJECT_MISMATCH, _notes(evidence)


def _registry_unseen(evidence: _Evidence) -> _Finding | None:
    if evidence.has_current and evidence.link.reason is not Reason.REGISTRY_UNSEEN:
        return None
    message = "the registry of the project has not been read yet"
    return Verdict.UNKNOWN, Reason.REGISTRY_UNSEEN, message


def _broken(evidence: _Evidence) -> _Finding | None:
    """Before Ambiguous: the recorded part of a truncated list is certain, and may be gone."""
    breaking = [problem for problem in evidence.problems if problem.kind in BREAKING]
    if not breaking:
        return None
    return Verdict.BROKEN, Reason.BROKEN, _summary(breaking)


def _not_verifiable(evidence: _Evidence) -> _Finding | None:
    """Also for a reason without a check of its own: such a link is never verified."""
    reason = evidence.link.reason
    if reason is None or evidence.link.verifiable:
        return None
    return Verdict.AMBIGUOUS, reason, _notes(evidence)


def _nothing_used(evidence: _Evidence) -> _Finding | None:
    if evidence.link.refs:
        return None
    message = f"service {evidence.link.service} has no features"
    return Verdict.UNKNOWN, Reason.NO_FEAST_LINEAGE, message


def _baseline_unseen(evidence: _Evidence) -> _Finding | None:
    """Equal digests are equal definitions, even where the snapshot is not kept."""
    if evidence.has_baseline or (
        evidence.was_digest and evidence.was_digest == evidence.now_digest
    ):
        return None
    message = "the registry snapshot that this version is compared with is not kept any more"
    return Verdict.UNKNOWN, Reason.BASELINE_LOST, message


def _changed(evidence: _Evidence) -> _Finding | None:
    if not evidence.problems:
        return None
    return Verdict.CHANGED, Reason.CHANGED, _summary(evidence.problems)


def _no_difference(evidence: _Evidence) -> _Finding:
    """A feature that the baseline lacks was first read later, so it is not verified."""
    verified = evidence.trained and not evidence.unseen
    verdict = Verdict.VERIFIED if verified else Verdict.UNCHANGED
    count = len(evidence.link.refs)
    since = "at training time" if verified else "when first seen"
    message = f"{count} features are defined as they were {since}"
    if evidence.link.reason is Reason.SERVICE_MISMATCH:
        return verdict, Reason.SERVICE_MISMATCH, f"{message}; {_notes(evidence)}"
    if evidence.trained and evidence.unseen:
        message += f"; {evidence.unseen[0]} was not in the known registry of training time"
    if evidence.offline:
        message += f"; view {evidence.offline[0]} is not online: Feast serves it offline only"
        return verdict, Reason.NOT_SERVED_ONLINE, message
    return verdict, Reason(verdict), message


# The order matters: the first check that applies decides.
_CHAIN: Final[tuple[_Check, ...]] = (
    _no_lineage,
    _other_project,
    _registry_unseen,
    _broken,
    _not_verifiable,
    _nothing_used,
    _baseline_unseen,
    _changed,
    _no_difference,
)


def _notes(evidence: _Evidence) -> str:
    return "; ".join(evidence.link.problems)


def _summary(problems: Iterable[Problem]) -> str:
    """The first three problems as text, and the number of the others."""
    texts = [_text_of(problem) for problem in problems]
    return listed(texts, 3, "; ")


def _text_of(problem: Problem) -> str:
    change = f": {problem.was} → {problem.now}" if problem.now else f" (was {problem.was})"
    return f"{problem.feature} {problem.kind}{change if problem.was or problem.now else ''}"
