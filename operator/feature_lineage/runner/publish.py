"""Hands a report over: into the ConfigMaps that were made for it, with the pod's own token.

An hour of work is not lost to an API server that is being replaced: whoever hands over says for how
long it is waited for. So is a refusal, though not as long: a server that has just been started
knows no Roles yet, a token may have run out meanwhile, and the operator puts back what somebody
took from a job's own Role.

Nothing but the standard library: a Kubernetes client would take longer to import than all else.
The first piece, with the manifest, is written last; a report is there whole or not at all.
"""

import base64
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

from feature_lineage.errors import AccessRefused, TransientError
from feature_lineage.operations.pod_protocol import MANIFEST_KEY, PIECE_KEY, Manifest
from feature_lineage.operations.protocol import JobReport

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TERMINATION_LOG: Final = Path("/dev/termination-log")
TERMINATION_BYTES: Final = 4096
ATTEMPT_SECONDS: Final = 10.0
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
LONGEST_PAUSE: Final = 15.0
REFUSED_SECONDS: Final = 90.0
AWAY: Final = 0
"""Instead of a status: there was no answer."""
_BUSY: Final = frozenset({AWAY, 408, 409, 429, 500, 502, 503, 504})
_REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for that does not take the report.

    Attributes:
        until: by the monotonic clock.
        tell: told before each pause what it is for, and how many seconds it takes.
    """

    until: float
    tell: Callable[[str, float], None] = lambda _why, _seconds: None

    def pauses(self) -> Iterator[float]:
        """Seconds before each further attempt, as long as there is time."""
        for pause in chain(PAUSES, repeat(LONGEST_PAUSE)):
            left = self.until - time.monotonic()
            if left <= 0:
                return
            yield min(pause, left)


class ApiServer:
    """The API server, as a pod's ServiceAccount reaches it.

    Args:
        url: such as ``https://10.96.0.1:443``.
        account: folder with ``token`` and ``ca.crt``.
    """

    def __init__(self, url: str, account: Path = ACCOUNT) -> None:
        self._url = url
        self._account = account

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ) -> "ApiServer":
        host = environment.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = environment.get("KUBERNETES_SERVICE_PORT", "443")
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")

    def patch_config_map(
        self, namespace: str, name: str, body: dict[str, Any], patience: Patience
    ) -> None:
        """Merge into a ConfigMap.

        Raises:
            AccessRefused: the ServiceAccount may not, or the ConfigMap is gone.
            TransientError: the server stayed away for as long as there was patience.
        """
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        pauses, refusals_end = patience.pauses(), 0.0
        while True:
            try:
                return self._patch(path, json.dumps(body).encode())
            except urllib.error.HTTPError as error:
                code, said = error.code, error.read(2000).decode(errors="replace")
                failure = f"HTTP {code}: {_message(said)}"
            except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
                code, failure = AWAY, str(error)
            told = f"the report could not be written to ConfigMap {namespace}/{name}: {failure}"
            pause = next(pauses, None)
            if code in _REFUSED:
                refusals_end = refusals_end or time.monotonic() + REFUSED_SECONDS
                if pause is None or time.monotonic() >= refusals_end:
                    raise AccessRefused(told)
            elif code not in _BUSY:
                raise AccessRefused(told)
            elif pause is None:
                raise TransientError(told)
            patience.tell(told, pause)
            time.sleep(pause)

    def _patch(self, path: str, body: bytes) -> None:
        token = (self._account / "token").read_text().strip()  # it is rotated
        request = urllib.request.Request(  # noqa: S310 - always https
            self._url + path,
            data=body,
            method="PATCH",
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/merge-patch+json",
                "Accept": "application/json",
            },
        )
        trusted = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        # No proxy: the tenant's may be set for its stores, and the token is nobody else's.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        with opener.open(request, timeout=ATTEMPT_SECONDS) as response:
            response.read()


def publish(
    server: ApiServer,
    namespace: str,
    names: tuple[str, ...],
    manifest: Manifest,
    pieces: tuple[bytes, ...],
    patience: Patience,
) -> None:
    """Write the pieces, the one with the manifest last.

    Raises:
        FeatureLineageError: it could not be handed over.
    """
    for number in reversed(range(len(pieces))):
        body: dict[str, Any] = {
            "binaryData": {PIECE_KEY: base64.b64encode(pieces[number]).decode()}
        }
        if number == 0:
            body["data"] = {MANIFEST_KEY: manifest.model_dump_json()}
        server.patch_config_map(namespace, names[number], body, patience)


def last_words(report: JobReport, manifest: Manifest) -> bytes:
    """What `kubectl describe pod` shows: at most 4 KiB."""
    words: dict[str, Any] = {
        "outcome": report.outcome,
        "reason": report.reason,
        "message": report.message,
        "counts": report.counts,
        "sha256": manifest.sha256,
    }
    text = json.dumps(words).encode()
    if len(text) > TERMINATION_BYTES:
        over = len(text) - TERMINATION_BYTES
        words["message"] = report.message[: max(0, len(report.message) - 6 * over)][:500] + "…"
        text = json.dumps(words).encode()
    return text[:TERMINATION_BYTES]


def _message(said: str) -> str:
    try:
        value = json.loads(said)
    except ValueError:
        return " ".join(said.split())[:300]
    return str(value.get("message", "")) if isinstance(value, dict) else said[:300]
