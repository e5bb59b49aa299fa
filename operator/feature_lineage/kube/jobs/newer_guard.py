"""The question of a running job for a newer guard, and its answer.

Both are in the first ConfigMap of the report, where a tenant can write, too. The question is a
token of fixed form, and the operator never reads the answer. A question that a tenant writes costs
one patch, and a read of MLflow at most every few seconds, as a change of the spec does.
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import GUARD_READ_AT, report_names
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.operations.newer_guard import (
    ANSWER_KEY,
    ANSWERED_KEY,
    QUESTION_KEY,
    GuardAnswer,
    pack_answer,
    question_token,
)

CLOCKS_DIFFER: Final = timedelta(minutes=1)


async def read_question(api: Api, job: Object, project: FeatureStoreProject) -> str:
    """The token of a question without an answer; "" if there is none.

    A job whose guard is young enough costs no request.
    """
    if not _may_ask(job, project, datetime.now(UTC)):
        return ""
    first, *_ = report_names(job["metadata"]["name"])
    found = await api.find(CONFIG_MAPS, project.metadata.namespace, first)
    data = (found or {}).get("data") or {}
    token = question_token(data.get(QUESTION_KEY))
    return "" if token == data.get(ANSWERED_KEY) else token


def _may_ask(job: Object, project: FeatureStoreProject, now: datetime) -> bool:
    """Whether the guard of a Job may be too old for its runner."""
    text = (job["metadata"].get("annotations") or {}).get(GUARD_READ_AT)
    try:
        read_at = datetime.fromisoformat(text or "")
        return now - read_at > project.spec.apply.protection.max_guard_age - CLOCKS_DIFFER
    except (ValueError, TypeError):  # no guard, or a user has changed the annotation
        return False


async def write_answer(api: Api, namespace: str, job: str, answer: GuardAnswer) -> None:
    """Write the answer to a question.

    Raises:
        TerminalError: the guard is too large for a ConfigMap.
    """
    first, *_ = report_names(job)
    packed = base64.b64encode(pack_answer(answer)).decode()
    body = {"data": {ANSWERED_KEY: answer.token}, "binaryData": {ANSWER_KEY: packed}}
    await api.patch(CONFIG_MAPS, namespace, first, body)
