"""The process of the operator: reads the configuration, runs the manager, sets the exit code."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from feature_lineage import __version__
from feature_lineage.errors import FeatureLineageError
from feature_lineage.kube import logs
from feature_lineage.kube.api_client import connect
from feature_lineage.kube.config import OperatorConfig, read_config
from feature_lineage.kube.manager import Identity, Manager

ENDED: Final = 0
FAILED: Final = 1
YOUNG_OBJECTS: Final = 5_000
"""Threshold of the garbage collector; Python's 700 are the objects of three models' JSON."""

_log = logging.getLogger(__name__)


def run_operator(config: Path, *, kubeconfig: str, log_level: str, log_format: str) -> int:
    """Run until SIGTERM; returns the process's exit code.

    Raises:
        InvalidManifest: the configuration cannot be used.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    logs.setup(log_level, json=as_json)
    gc.freeze()  # the collector skips the objects of imported modules
    gc.set_threshold(YOUNG_OBJECTS)
    return asyncio.run(_run(read_config(config), kubeconfig))


def identity() -> Identity:
    """Name, namespace and account of this process, from the downward API or the host's name."""
    return Identity(
        name=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        namespace=os.environ.get("POD_NAMESPACE") or "default",
        service_account=os.environ.get("POD_SERVICE_ACCOUNT") or "feature-lineage-operator",
    )


async def _run(config: OperatorConfig, kubeconfig: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    async with await connect(kubeconfig) as api:
        host = Manager(api, config, identity())
        _log.info("feature-lineage %s serves /metrics on port %d", __version__, host.server.port)
        code = ENDED
        try:
            await host.run(stop)
        except* FeatureLineageError as group:
            for error in _leaves(group):
                _log.error("%s: %s; this process ends", error.reason, error.message)
            code = FAILED
    return code


def _leaves(group: BaseExceptionGroup[FeatureLineageError]) -> list[FeatureLineageError]:
    found: list[FeatureLineageError] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
