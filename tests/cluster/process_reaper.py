"""Starts servers for a test process and stops them after the test process has ended.

A test process cannot stop its servers after SIGKILL, a crash of the interpreter or the timeout of a
runner. So the test process starts this small process, and this process starts the servers. When the
test process has ended for any reason, this process kills the servers and removes their folder. If
this process itself is killed, the kernel kills the servers; only the folder stays. A test process
can also register a process group that it started itself (`adopt`).

Run as ``python process_reaper.py PARENT-PID FOLDER-PREFIX``. It prints where its folder is, then
one line of JSON on stdout for each on stdin:

    {"start": NAME, "command": [...], "log": FILE}   -> {"pid": N}
    {"stop": NAME, "signal": N, "grace": SECONDS}    -> {"status": N or null: there was none}
    {"status_of": NAME}                                   -> {"status": N or null: it runs}
    {"adopt": PROCESS-GROUP, "folder": ITS-FOLDER}   -> {}
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

Json = dict[str, Any]


class ProcessReaper:
    """The servers of one folder."""

    def __init__(self) -> None:
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._adopted: list[tuple[int, str]] = []

    def answer(self, order: Json) -> Json:
        if "start" in order:
            return {"pid": self._start(order["start"], order["command"], order["log"])}
        if "stop" in order:
            return {"status": self._stop(order["stop"], order["signal"], order["grace"])}
        if "adopt" in order:
            self._adopted.append((order["adopt"], order["folder"]))
            return {}
        return {"status": self._servers[order["status_of"]].poll()}

    def _start(self, name: str, command: list[str], log: str) -> int:
        with open(log, "ab") as output:  # noqa: PTH123 - no pathlib: it doubles the start
            server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no threads here
            )
        self._servers[name] = server
        return server.pid

    def _stop(self, name: str, number: int, grace: float) -> int | None:
        server = self._servers.pop(name, None)
        if server is None:
            return None
        server.send_signal(number)
        try:
            return server.wait(grace)
        except subprocess.TimeoutExpired:
            server.kill()
            return server.wait()

    def end(self) -> None:
        """Kill the running servers by their pid, and the adopted process groups."""
        for server in self._servers.values():
            server.kill()
        for group, folder in self._adopted:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
        for server in self._servers.values():
            server.wait()


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(parent: int, reaper: ProcessReaper) -> None:
    """Answer until the parent closes the pipe or has ended."""
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    if os.getppid() != parent:
        return
    orders = sys.stdin.fileno()
    pending = b""
    while True:
        readable, _, _ = select.select([orders, watched], [], [])
        if watched in readable:
            return
        received = os.read(orders, 65536)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            say(reaper.answer(json.loads(line)))


def say(answer: Json) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    parent, prefix = int(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the test process decides, not its terminal
    shared = "/dev/shm"
    roomy = os.path.isdir(shared) and shutil.disk_usage(shared).free > 1 << 30  # noqa: PTH112
    folder = tempfile.mkdtemp(prefix=prefix, dir=shared if roomy else None)
    reaper = ProcessReaper()
    try:
        say({"folder": folder})
        serve(parent, reaper)
    except BrokenPipeError:
        pass  # the parent has ended
    finally:
        reaper.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
