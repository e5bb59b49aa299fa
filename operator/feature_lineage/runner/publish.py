"""Hands a report over: into the ConfigMaps that were made for it, with the pod's own token.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from feature_lineage.errors import AccessRefused, TransientError
from feature_lineage.operations.delivery import MANIFEST_KEY, PIECE_KEY, Manifest
from feature_lineage.operations.protocol import JobReport

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TERMINATION_LOG: Final = Path("/dev/termination-log")
TERMINATION_BYTES: Final = 4096
ATTEMPT_SECONDS: Final = 10.0
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
_PATIENCE: Final = frozenset({408, 409, 429, 500, 502, 503, 504})


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

    def patch_config_map(self, namespace: str, name: str, body: dict[str, Any]) -> None:
        """Merge into a ConfigMap; patient with a server that is busy or away.

        Raises:
            AccessRefused: the ServiceAccount may not, or the ConfigMap is gone.
            TransientError: the server stayed away.
        """
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        for pause in (*PAUSES, None):
            try:
                return self._patch(path, json.dumps(body).encode())
            except urllib.error.HTTPError as error:
                code, said = error.code, error.read(2000).decode(errors="replace")
                if code not in _PATIENCE:
                    raise AccessRefused(
                        f"the report could not be written to ConfigMap {namespace}/{name}: "
                        f"HTTP {code}: {_message(said)}"
                    ) from error
                failure = f"HTTP {code}: {_message(said)}"
            except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
                failure = str(error)
            if pause is None:
                break
            time.sleep(pause)
        raise TransientError(
            f"the report could not be written to ConfigMap {namespace}/{name}: {failure}"
        )

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
        server.patch_config_map(namespace, names[number], body)


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
