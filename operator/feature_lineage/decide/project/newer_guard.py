"""Answers a running job whose guard became too old while it imported the repository.

The answer is a guard whose facts were read after the question was seen. Until there are such facts,
the job waits; when it stops waiting, its attempt ends and is repeated.
"""

from datetime import timedelta
from typing import Final

from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.decide.decision import AnswerJob
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.step import Step
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.protection import guard_digest

ASKED_INTERVAL: Final = timedelta(seconds=5)
"""When the facts are read again for a job that asks, if they are older than its question."""


def answer_question(
    observed: ObservedProject, step: Step, operation: OperationStatus, job: JobFacts
) -> Step:
    """Answer the question of a running job for a newer guard, if the facts are newer than it."""
    if not job.guard_question:
        return step
    guard = observed.models.guard if observed.models else None
    if guard is None or observed.asked_at is None or guard.read_at < observed.asked_at:
        return step.requeued((observed.now + ASKED_INTERVAL,))
    answer = GuardAnswer(token=job.guard_question, guard=guard)
    return step.with_operation(with_guard_digest(observed, operation)).acting(
        AnswerJob(operation.job, answer)
    )


def with_guard_digest(observed: ObservedProject, operation: OperationStatus) -> OperationStatus:
    """The operation with the digest of the guard that its job gets now.

    A plan that this guard blocks is due again when the digest changes.
    """
    guard = observed.models.guard if observed.models else None
    if guard is None or not KINDS[operation.kind].plans:
        return operation
    return operation.model_copy(update={"guard_digest": guard_digest(guard)})
