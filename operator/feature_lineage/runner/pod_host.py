"""How a pod asks the operator for a newer guard: through the first ConfigMap of its report.

The ServiceAccount of the pod may read and patch these ConfigMaps, so no further permission is used.
"""

import base64
import binascii
from typing import Final

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.newer_guard import (
    ANSWER_KEY,
    ANSWERED_KEY,
    QUESTION_KEY,
    GuardAnswer,
    read_answer,
)
from feature_lineage.runner.publish import ApiServerClient, Retries

POLL_SECONDS: Final = 2.0


class PodHost:
    """`GuardHost` of a pod.

    Args:
        name: of the first ConfigMap of the report.
    """

    poll_seconds = POLL_SECONDS

    def __init__(self, server: ApiServerClient, namespace: str, name: str) -> None:
        self._server = server
        self._namespace = namespace
        self._name = name
        self._token = ""

    def ask(self, token: str, until: float) -> None:
        """See `GuardHost`.

        Raises:
            FeatureLineageError: as `ApiServerClient.patch_config_map` lists them.
        """
        self._token, body = token, {"data": {QUESTION_KEY: token}}
        self._server.patch_config_map(self._namespace, self._name, body, Retries(until))

    def answer(self) -> GuardAnswer | None:
        """See `GuardHost`.

        Raises:
            FeatureLineageError: the ConfigMap cannot be read, or the answer does not parse.
        """
        found = self._server.config_map(self._namespace, self._name)
        if (found.get("data") or {}).get(ANSWERED_KEY) != self._token:
            return None
        try:
            text = (found.get("binaryData") or {}).get(ANSWER_KEY, "")
            return read_answer(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise InvalidReport(f"the newer guard is not base64: {error}") from error
