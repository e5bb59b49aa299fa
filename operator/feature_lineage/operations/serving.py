"""Judges the dry retrieval: does the plan make a model's retrieval fail?

The runner asks Feast the questions of `questions_of` on the registry in force and on the staged
one. Only a retrieval that works on the one in force and fails on the staged one is a problem.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from feature_lineage.api.enums import ColumnNames
from feature_lineage.errors import WHERE_JOBS_RUN
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import question_key
from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.operations.doubts import Doubt
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.shorten import listed, one_line, visible

MAX_WORDS: Final = 240


class Cause(StrEnum):
    """What a failed retrieval proves."""

    SERVING = "Serving"  # Feast refuses, or the code fails whatever the values are
    VALUES = "Values"  # an on-demand function fails on made-up values, perhaps only on those
    IMAGE = "Image"  # a module is missing in the image of the runner; a feature server may have it


@dataclass(frozen=True, slots=True)
class Question:
    """One retrieval of features; equal questions have equal answers.

    Attributes:
        service: the feature service, "" for a list of features.
        refs: the list of features; empty for a service.
        names: of the columns. If they are not known, one of both forms has to be served.
    """

    service: str
    refs: tuple[str, ...] = ()
    names: ColumnNames = ColumnNames.UNKNOWN


@dataclass(frozen=True, slots=True)
class Failed:
    """A retrieval that failed.

    Attributes:
        words: Feast's error on one line.
    """

    cause: Cause
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one question; None where Feast serves it.

    Attributes:
        in_force: of the registry as it is; it is asked only where the other one fails.
        staged: of the registry as the plan would make it.
    """

    in_force: Failed | None
    staged: Failed | None


def question_of(model: GuardedModel) -> Question:
    """What is asked when the model is served: its service, else its list of features."""
    refs = model.refs or tuple(definition.ref for definition in model.features)
    return question_for(model.service, refs, model.names)


def question_for(service: str, refs: Iterable[FeatureRef], names: ColumnNames) -> Question:
    """The retrieval through a service, or of the list of features if there is none."""
    return Question(service, () if service else tuple(map(str, refs)), names)


def key_of_question(question: Question) -> str:
    """`question_key` of the question."""
    return question_key(question.service, map(FeatureRef.parse, question.refs), question.names)


def serving_problem(model: GuardedModel, answers: Mapping[Question, Answers]) -> Problem | None:
    """The failure that the plan causes; None if it causes none."""
    question = question_of(model)
    answer = answers.get(question)
    if answer is None or answer.in_force is not None or answer.staged is None:
        return None
    if answer.staged.cause is not Cause.SERVING:
        return None
    return Problem(subject(question), ProblemKind.SERVING_FAILS, now=_words(answer.staged))


def serving_warnings(
    models: Iterable[GuardedModel], answers: Mapping[Question, Answers]
) -> tuple[str, ...]:
    """What failed and blocks nothing: one sentence per question, with the models that ask it."""
    asked: dict[Question, list[str]] = {}
    for model in models:
        names = asked.setdefault(question_of(model), [])
        if model.model:  # a service may be protected without a model
            names.append(f"{model.model} v{model.version}")
    return tuple(
        one_line(f"{fact[0]}: {subject(question)}{_of(names)}: {fact[1]}", 600)
        for question, names in asked.items()
        if question in answers and (fact := _fact(answers[question])) is not None
    )


def _of(models: list[str]) -> str:
    return f", of {listed(models, 3)}" if models else ""


def not_served(answers: Mapping[Question, Failed | None]) -> dict[str, str]:
    """What Feast refuses to serve, by `question_key`, in its words."""
    return {
        key_of_question(question): _words(failed)
        for question, failed in answers.items()
        if failed is not None and failed.cause is Cause.SERVING
    }


def subject(question: Question) -> str:
    """``service ranking``, or ``4 features`` with the first one."""
    if question.service:
        return f"service {question.service}"
    return listed(question.refs, 1)


def _fact(answer: Answers) -> tuple[Doubt, str] | None:
    """Why a failure blocks nothing; None where there is none, or where it blocks."""
    failed = answer.staged
    if failed is None:
        return None
    words = _words(failed)
    if failed.cause is Cause.IMAGE:
        return (
            Doubt.SERVING_UNKNOWN,
            f"whether Feast serves it is not known: {words}; add the module {WHERE_JOBS_RUN}",
        )
    if answer.in_force is not None:
        text = f"Feast does not serve it now either: {words}; this plan does not change that"
        return Doubt.NOT_SERVED_BEFORE, text
    if failed.cause is Cause.VALUES:
        text = f"an on-demand function fails on made-up values: {words}; "
        return Doubt.MADE_UP_VALUES, f"{text}check that it serves the real ones"
    return None


def _words(failed: Failed) -> str:
    return one_line(visible(failed.words), MAX_WORDS)
