"""``python -P server.py SOCKET MODULE…``: imports Feast and these modules, then forks Pythons.

Each connection to the socket starts one Python. The client sends one message with the open files;
the answers are the pid, and at its end the exit code. The server ends with its standard input.
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.forks.become import Forking, Popen

sys.path.pop(0)

MESSAGE = 1 << 20


def main(path: str, *modules: str) -> None:
    import prometheus_client  # noqa: F401  before Feast: see tests/conftest.py

    from feature_lineage.runner.lazy_typeguard import lazy_typeguard

    # What jobs, commands and scripts import. As in a job, Feast's type checks are compiled lazily.
    with lazy_typeguard():
        import feast.cli.cli
        import feast.infra.compute_engines.local.compute
        import feast.infra.offline_stores.dask
        import feast.infra.online_stores.sqlite
        import feast.infra.passthrough_provider  # noqa: F401
    import feature_lineage.cli.plan
    import feature_lineage.runner.dispatch
    import feature_lineage.runner.failure
    import feature_lineage.runner.newer_guard
    import feature_lineage.runner.report_builder
    import feature_lineage.runner.view_results  # noqa: F401
    from feature_lineage.local import subprocess_jobs
    from feature_lineage.runner import supervisor

    for name in modules:
        importlib.import_module(name)
    for module in (subprocess_jobs, supervisor):
        module.subprocess = Forking  # type: ignore[attr-defined]
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        os.write(1, b"ready\n")
        serve(listener)


def serve(listener: socket.socket) -> None:
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                return
            if key.fileobj is listener:
                connection, _ = listener.accept()
                process = start(connection)
                ended = os.pidfd_open(process.pid)
                selector.register(ended, selectors.EVENT_READ, (process, connection))
                continue
            selector.unregister(key.fileobj)
            os.close(key.fd)
            process, connection = key.data
            with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(str(process.wait()).encode())


def start(connection: socket.socket) -> Popen:
    text, files, _, _ = socket.recv_fds(connection, MESSAGE, 16)
    options: dict[str, Any] = json.loads(text)
    argv, (stdin, stdout, stderr, *others) = options.pop("argv"), files
    process = Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=others, **options)
    for file in files:
        os.close(file)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.send(str(process.pid).encode())
    return process


if __name__ == "__main__":
    main(*sys.argv[1:])
