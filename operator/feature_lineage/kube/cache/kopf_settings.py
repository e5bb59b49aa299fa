"""kopf's settings: lists and watches only, retries without end, little memory per object.

- ``idle_timeout``: kopf keeps a task, a queue and a whole body for each object for this time.
- The diffbase storage does nothing: kopf would compute a digest of every object for handlers that
  do not exist.
- ``error_backoffs`` never ends: when it ends, kopf ends because one server was unavailable.
"""

from collections.abc import Iterator
from typing import Any, Final

import kopf
from kubernetes.aio.client import Configuration

from feature_lineage.api import GROUP
from feature_lineage.kube.kinds import JOBS, MANAGED_BY, MANAGER

INACTIVITY_SECONDS: Final = 70.0
"""A server sends a bookmark each minute; a stream that is silent for longer is dead."""

CHUNK: Final = 25
"""Objects of a page: kopf parses a page at once, and an object may have a megabyte."""


def kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # does not list namespaces and definitions
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/never-set"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    settings.queueing.idle_timeout = 0.05
    settings.queueing.exit_timeout = 1.0
    settings.watching.chunk_size = CHUNK
    settings.watching.inactivity_timeout = INACTIVITY_SECONDS
    settings.watching.reconnect_backoff = 1.0
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = _EndlessBackoffs()
    settings.watching.label_selectors[JOBS.group, JOBS.version, JOBS.plural] = (
        f"{MANAGED_BY}={MANAGER}"
    )
    return settings


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """Server, proxy, certificates and token of the operator's client; read again on a 401."""
    header = await configuration.get_api_key_with_prefix("BearerToken")
    token = header.split(" ", 1)[-1].strip() if header else None
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        token=token,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


class _EndlessBackoffs:
    """Seconds between the attempts of a request; kopf iterates once for each request."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0)
        while True:
            yield 3.0


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores nothing, so kopf writes no annotation."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:  # noqa: ARG002
        return {}

    def fetch(self, *, body: Any) -> None:  # noqa: ARG002
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing to store."""
