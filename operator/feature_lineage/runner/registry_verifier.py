"""The process that never ran the repo's code and says what the registry really holds.

The repo's code shares a process with the apply and can patch anything in it, Feast included. A
fork taken before that code was imported has Feast in memory for free; it waits until the report is
out, reads the registry by itself and answers with a digest. This catches mistakes, not malice: code
that wants to lie can find the pipe.
"""

import json
import os
from pathlib import Path

from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.runner.canonical import snapshot_of
from feature_lineage.runner.errors import InvalidRepo, one_line
from feature_lineage.runner.reader import RegistryReader
from feature_lineage.runner.settings import Settings, load_settings


def needed(request: JobRequest) -> bool:
    return KINDS[request.kind].verified


def fork(request: JobRequest, requests: int, replies: int, also_close: int) -> None:
    """Leave a witness behind; returns in the worker only.

    The configuration is read before the fork, so that the witness has every module it needs and
    answers within milliseconds. Where it cannot be read there is nothing to witness: the worker
    will find the same fault and report it.

    Forking after ``import feast`` is safe for what the witness does: the native threads there are
    by then belong to libraries with their own at-fork handling, and reading a registry uses none.
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
    except Exception as error:  # noqa: BLE001  a witness that cannot read says so, and why
        message = {"event": "registry", "error": one_line(error)}
    return json.dumps(message).encode() + b"\n"
