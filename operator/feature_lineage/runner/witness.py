"""The process that never ran the repo's code and says what the registry really holds.

The repo's code shares a process with the apply and can patch anything in it, Feast included. A
fork taken before that code was imported has Feast in memory for free; it waits until the report is
out, reads the registry by itself and answers with a digest. This catches mistakes, not malice: code
that wants to lie can find the pipe.
"""

import json
import os
from pathlib import Path

from feature_lineage.operations.protocol import JobRequest, OperationKind
from feature_lineage.runner.ending import one_line

VERIFIED_KINDS = frozenset({OperationKind.APPLY, OperationKind.MATERIALIZE, OperationKind.DELETE})


def wanted(request: JobRequest) -> bool:
    return request.kind in VERIFIED_KINDS


def fork(request: JobRequest, ask: int, answer: int, also_close: int) -> None:
    """Leave a witness behind; returns in the worker only.

    Forking after ``import feast`` is safe for what the witness does: the native threads there are
    by then belong to libraries with their own at-fork handling, and reading a registry uses none.
    """
    if os.fork() != 0:
        return
    os.close(also_close)
    try:
        if os.read(ask, 5):
            os.write(answer, _testimony(request))
    finally:
        os._exit(0)


def _testimony(request: JobRequest) -> bytes:
    try:
        from feature_lineage.runner.canonical import snapshot_of
        from feature_lineage.runner.reader import RegistryReader
        from feature_lineage.runner.settings import load_settings

        repo = Path(request.repo).resolve()
        os.chdir(repo)
        settings = load_settings(repo, request.feature_store_yaml)
        reading = RegistryReader(settings.config, repo).read()
        digest = snapshot_of(reading.proto, settings.config.project, settings.config.project).digest
        message = {"event": "registry", "digest": digest}
    except Exception as error:  # noqa: BLE001  a witness that cannot read says so, and why
        message = {"event": "registry", "error": one_line(error)}
    return json.dumps(message).encode() + b"\n"
