"""The HTTP API of the cluster host: with tokens of the cluster, over TLS, by the leader."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from feature_lineage.errors import InvalidManifest
from feature_lineage.http.problems import problems
from feature_lineage.http.server import HttpServer
from feature_lineage.kube.api_access import TokenAccess
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.config import ApiConfig
from feature_lineage.lineage.http_api import LineageApi, Projects
from feature_lineage.lineage.query import LineageQuery

RELOAD_SECONDS: Final = 30.0

_log = logging.getLogger(__name__)


class ApiServer:
    """Serves the API from construction until `stop`. Constructed on the loop of the operator.

    Args:
        unavailable: why this process does not answer; "" if it does.

    Raises:
        InvalidManifest: the certificate cannot be read.
        TerminalError: the port cannot be listened on.
    """

    def __init__(
        self,
        config: ApiConfig,
        api: Api,
        projects: Projects,
        query: LineageQuery,
        unavailable: Callable[[], str],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._certificate = Certificate(Path(config.tls_dir)) if config.tls_dir else None
        lineage = LineageApi(
            projects,
            query,
            TokenAccess(api, loop),
            loop,
            unavailable,
            config.feast_ui_without_token,
        )
        self._server = HttpServer(
            lineage.routes(),
            config.port,
            "0.0.0.0",  # noqa: S104 - clients come from outside the pod
            middlewares=[problems],
            tls=self._certificate.context if self._certificate is not None else None,
        )
        self.port = self._server.port

    async def run(self) -> None:
        """Read a changed certificate again, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            if self._certificate is not None:
                self._certificate.reload()

    def stop(self) -> None:
        self._server.stop()


class Certificate:
    """The certificate of a mounted Secret (``tls.crt`` and ``tls.key``), which may be rotated.

    Raises:
        InvalidManifest: a file is missing or has no certificate or key.
    """

    def __init__(self, folder: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._folder = folder
        self._read = b""
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            raise InvalidManifest(
                f"certificate of the HTTP API in {folder}: {error}; check the Secret that "
                "api.tls.secretName of the chart names"
            ) from error

    def reload(self) -> None:
        """Use a changed certificate for new connections, if it can be read."""
        try:
            self._load()
        except (OSError, ssl.SSLError) as error:
            _log.warning("certificate of the HTTP API in %s is not read: %s", self._folder, error)

    def _load(self) -> None:
        certificate, key = self._folder / "tls.crt", self._folder / "tls.key"
        content = certificate.read_bytes() + key.read_bytes()
        if content != self._read:
            # A pair that does not fit would replace the certificate before it is refused.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
            self.context.load_cert_chain(certificate, key)
            self._read = content
