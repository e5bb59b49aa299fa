"""Writes a job's report into its ConfigMaps, with the token of the pod.

Failed requests are retried, so that a job of an hour survives an API server that is replaced.
Refusals are retried, too, for a shorter time: an API server that has just started has not read the
Roles yet, a token may have expired, and the operator restores a job's Role that was changed.

Only the standard library is imported: importing a Kubernetes client takes longer than all else.
The first piece, with the manifest, is written last, so that a report is complete or not there.
"""

import base64
import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

from feature_lineage.errors import AccessRefused, FeatureLineageError, TransientError
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.newer_guard import ANSWER_KEY, ANSWERED_KEY, QUESTION_KEY
from feature_lineage.operations.pod_protocol import (
    MANIFEST_KEY,
    PIECE_KEY,
    UNFINISHED_KEY,
    ReportManifest,
    pack_unfinished,
)

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TERMINATION_LOG: Final = Path("/dev/termination-log")
TERMINATION_BYTES: Final = 4096
ATTEMPT_SECONDS: Final = 10.0
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
LONGEST_PAUSE: Final = 15.0
REFUSED_SECONDS: Final = 90.0
KEEP_PAUSE: Final = 30.0
NO_ANSWER: Final = 0
"""Used like an HTTP status when the server did not answer."""
_BUSY: Final = frozenset({NO_ANSWER, 408, 409, 429, 500, 502, 503, 504})
_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Retries:
    """How long a failed request is repeated.

    Attributes:
        deadline: in seconds of the monotonic clock.
        on_pause: called before each pause with the failure and the seconds of the pause.
    """

    deadline: float
    on_pause: Callable[[str, float], None] = lambda _failure, _seconds: None

    def pauses(self) -> Iterator[float]:
        """Seconds to wait before each further attempt; ends at the deadline."""
        for pause in chain(PAUSES, repeat(LONGEST_PAUSE)):
            left = self.deadline - time.monotonic()
            if left <= 0:
                return
            yield min(pause, left)


class ApiServerClient:
    """A client of the API server, with the ServiceAccount of the pod.

    Args:
        url: such as ``https://10.96.0.1:443``.
        account: folder with ``token`` and ``ca.crt``.
    """

    def __init__(self, url: str, account: Path = ACCOUNT) -> None:
        self._url = url
        self._account = account

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ) -> "ApiServerClient":
        host = environment.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = environment.get("KUBERNETES_SERVICE_PORT", "443")
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")

    def config_map(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a ConfigMap, without retries.

        Raises:
            TransientError: the server refused, or did not answer.
        """
        try:
            found = json.loads(self._send("GET", _path(namespace, name)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = f"ConfigMap {namespace}/{name} could not be read: {error}"
            raise TransientError(failure) from error
        return found if isinstance(found, dict) else {}

    def patch_config_map(
        self, namespace: str, name: str, body: dict[str, Any], retries: Retries
    ) -> None:
        """Apply a merge patch to a ConfigMap.

        Raises:
            AccessRefused: the ServiceAccount lacks the permission, or the ConfigMap is gone.
            TransientError: the server did not answer before the deadline.
        """
        path = _path(namespace, name)
        pauses, refusals_end = retries.pauses(), 0.0
        while True:
            try:
                self._send("PATCH", path, json.dumps(body).encode())
            except urllib.error.HTTPError as error:
                answer = error.read(2000).decode(errors="replace")
                code, cause = error.code, f"HTTP {error.code}: {_message(answer)}"
            except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
                code, cause = NO_ANSWER, str(error)
            else:
                return
            failure = f"ConfigMap {namespace}/{name} could not be written: {cause}"
            pause = next(pauses, None)
            if code in _REFUSED:
                refusals_end = refusals_end or time.monotonic() + REFUSED_SECONDS
                if pause is None or time.monotonic() >= refusals_end:
                    raise AccessRefused(failure)
            elif code not in _BUSY:
                raise AccessRefused(failure)
            elif pause is None:
                raise TransientError(failure)
            retries.on_pause(failure, pause)
            time.sleep(pause)

    def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        token = (self._account / "token").read_text().strip()  # the kubelet rotates the token
        request = urllib.request.Request(  # noqa: S310 - always https
            self._url + path,
            data=body,
            method=method,
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/merge-patch+json",
                "Accept": "application/json",
            },
        )
        trusted = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        # No proxy: a proxy that the tenant sets for the stores must not get the token.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        with opener.open(request, timeout=ATTEMPT_SECONDS) as response:
            content: bytes = response.read()
        return content


def publish(
    server: ApiServerClient,
    namespace: str,
    names: tuple[str, ...],
    manifest: ReportManifest,
    pieces: tuple[bytes, ...],
    retries: Retries,
) -> None:
    """Write the pieces of a report, and the one with the manifest last.

    Raises:
        FeatureLineageError: as `ApiServerClient.patch_config_map` lists them.
    """
    for number in reversed(range(len(pieces))):
        data = {PIECE_KEY: base64.b64encode(pieces[number]).decode()}
        body: dict[str, Any] = {"binaryData": data}
        if number == 0:
            body["data"] = {
                MANIFEST_KEY: manifest.model_dump_json(),
                QUESTION_KEY: None,
                ANSWERED_KEY: None,
            }
            # The places of what the job wrote before may be needed.
            body["binaryData"] = {**data, UNFINISHED_KEY: None, ANSWER_KEY: None}
        server.patch_config_map(namespace, names[number], body, retries)


class Keeper:
    """Writes the report so far into the first ConfigMap, before each view.

    A view waits for this write, so a failed one is not repeated, and none is tried for a while.
    """

    def __init__(self, server: ApiServerClient, namespace: str, name: str) -> None:
        self._server, self._namespace, self._name = server, namespace, name
        self._not_before = 0.0

    def keep(self, unfinished: JobReport) -> None:
        packed = pack_unfinished(unfinished)
        if packed is None or time.monotonic() < self._not_before:
            return
        body = {"binaryData": {UNFINISHED_KEY: base64.b64encode(packed).decode()}}
        try:
            self._server.patch_config_map(self._namespace, self._name, body, Retries(0.0))
        except FeatureLineageError as error:
            self._not_before = time.monotonic() + KEEP_PAUSE
            sys.stderr.write(f"{error}\n")


def termination_message(report: JobReport, manifest: ReportManifest) -> bytes:
    """The message that `kubectl describe pod` shows: JSON, at most 4 KiB."""
    message: dict[str, Any] = {
        "outcome": report.outcome,
        "reason": report.reason,
        "message": report.message,
        "counts": report.counts,
        "sha256": manifest.sha256,
    }
    text = json.dumps(message).encode()
    if len(text) > TERMINATION_BYTES:
        over = len(text) - TERMINATION_BYTES
        message["message"] = report.message[: max(0, len(report.message) - 6 * over)][:500] + "…"
        text = json.dumps(message).encode()
    return text[:TERMINATION_BYTES]


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def _message(text: str) -> str:
    """The message of an answer: of a Status object, else the answer itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300]
    return str(value.get("message", "")) if isinstance(value, dict) else text[:300]
