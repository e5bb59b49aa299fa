"""A process that runs no repo code and reads the registry to verify the worker's report.

The repo's code shares a process with the apply and can patch anything in it, Feast included. The
verifier is forked before that code is imported, with Feast already in memory. After the report is
sent, the verifier reads the registry and answers with a digest. This detects accidental
interference; malicious code can write to the pipe.
"""

import json
import os
from pathlib import Path

from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.runner.canonical import snapshot_of
from feature_lineage.runner.errors import InvalidRepo, error_line
from feature_lineage.runner.reader import RegistryReader
from feature_lineage.runner.settings import Settings, load_settings


def needed(request: JobRequest) -> bool:
    return KINDS[request.kind].verified


def fork(request: JobRequest, requests: int, replies: int, also_close: int) -> None:
    """Fork the verifier; returns only in the worker.

    The configuration is read before the fork, so that all modules are imported and the verifier
    answers within milliseconds. If the configuration is invalid, there is no fork: the worker
    reports the same error.

    Forking after ``import feast`` is safe for the verifier: the native threads at that point
    belong to libraries with their own at-fork handling, and reading a registry uses none of them.
    """
    repo = Path(request.repo).resolve()
    try:
        settings = load_settings(repo, request.feature_store_yaml)
    except InvalidRepo:
        return
    if os.fork() != 0:
        return
    os.close(also_close)
    try:
        if os.read(requests, 5):
            os.write(replies, _registry_message(settings, repo))
    finally:
        os._exit(0)


def _registry_message(settings: Settings, repo: Path) -> bytes:
    project = settings.config.project
    try:
        os.chdir(repo)
        reading = RegistryReader(settings.config, repo).read()
        digest = snapshot_of(reading.proto, project, project).objects_digest
        message = {"event": "registry", "digest": digest}
    except Exception as error:  # noqa: BLE001  the supervisor reports a failed read
        message = {"event": "registry", "error": error_line(error)}
    return json.dumps(message).encode() + b"\n"
