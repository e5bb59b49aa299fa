"""A running job asks its host for a newer guard: the question, the answer, and where both are.

The job asks when the guard of its request is older than maxGuardAge. The question is a token that
the job invents; the answer has the same token. On a local host they are files in the folder of the
job. In a cluster they are in the first ConfigMap of the report, until the report is written.
"""

import gzip
import re
from typing import Final

from pydantic import ValidationError

from feature_lineage.errors import TerminalError
from feature_lineage.operations.message import Message
from feature_lineage.operations.pod_protocol import MAX_REQUEST_BYTES, inflated
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import encode, unparsable
from feature_lineage.reasons import Reason

QUESTION_FILE: Final = "guard-question"
ANSWER_FILE: Final = "guard-answer.json"

QUESTION_KEY: Final = "guard-question"
ANSWERED_KEY: Final = "guard-answered"
"""The token that was answered last: the operator does not read the answer."""
ANSWER_KEY: Final = "guard-answer.json.gz"

_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class GuardAnswer(Message):
    """The answer to a running job that asked for a newer guard.

    Attributes:
        token: the token of the question.
        guard: with facts that were read after the question; None: there are none.
        failure: why there is none, for users.
    """

    token: str
    guard: Guard | None = None
    failure: str = ""


def question_token(text: object) -> str:
    """The token of an untrusted question; "" if it is none."""
    return text if isinstance(text, str) and _TOKEN.fullmatch(text) else ""


def pack_answer(answer: GuardAnswer) -> bytes:
    """The answer as the pod reads it: canonical JSON, gzip.

    Raises:
        TerminalError: the answer does not fit into a ConfigMap.
    """
    packed = gzip.compress(encode(answer).encode(), mtime=0)
    if len(packed) > MAX_REQUEST_BYTES:
        raise TerminalError(
            f"the newer guard takes {len(packed)} bytes, compressed; at most {MAX_REQUEST_BYTES} "
            "fit into a ConfigMap: narrow spec.apply.protection.models",
            reason=Reason.REQUEST_REJECTED,
        )
    return packed


def read_answer(packed: bytes) -> GuardAnswer:
    """The answer to a question of this pod.

    Raises:
        InvalidReport: it does not parse.
    """
    try:
        return GuardAnswer.model_validate_json(inflated(packed))
    except ValidationError as error:
        raise unparsable("newer guard", error) from error
