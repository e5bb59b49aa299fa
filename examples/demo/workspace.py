"""Folders, processes and ports of one demo; every started process is stopped, also on Ctrl-C.

Every process is the leader of its own process group, so only the demo decides when it ends. The
processes have the environment of the demo, and variables with the addresses of the servers.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.demo import screen
from examples.mlflow_server import Server, free_port, launch_mlflow

BIN = Path(sys.executable).parent
GRACE_SECONDS = 25.0
COMMAND_SECONDS = 240.0


class DemoError(Exception):
    """A check of the demo failed; the text is for the user."""


def check(holds: object, claim: str, *evidence: object) -> None:
    """Stop the demo unless a claim is true.

    Raises:
        DemoError: the claim is not true; with the evidence.
    """
    if not holds:
        raise DemoError("\n".join([f"not true: {claim}", *map(str, evidence)]))


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    code: int
    output: str


@dataclass
class Process:
    """A process of the demo, leader of its own process group."""

    name: str
    popen: "subprocess.Popen[str]"
    log: Path | None = None

    def wait(self, seconds: float = COMMAND_SECONDS) -> int:
        """Wait for the end of the process.

        Raises:
            DemoError: it takes too long.
        """
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} has not ended after {seconds:.0f} s") from None

    def stop(self) -> None:
        """End the process group, first with SIGTERM: a host then ends its jobs itself."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.popen.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(GRACE_SECONDS)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log else ""


@dataclass
class Workspace:
    """The files, servers and processes of one demo.

    Attributes:
        root: ``.demo``; removed when the demo starts, and when it succeeds.
        house: manifests and feature repo of the team whose repo the operator applies.
        elsewhere: manifests and feature repo of a team that applies itself.
    """

    root: Path
    server: Server | None = None
    _processes: list[Process] = field(default_factory=list)
    _env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def house(self) -> Path:
        return self.root / "house"

    @property
    def elsewhere(self) -> Path:
        return self.root / "elsewhere"

    @property
    def mlflow(self) -> str:
        assert self.server is not None
        return self.server.url

    @property
    def _kept(self) -> Path:
        return self.root / "kept"

    def clear(self) -> None:
        """Remove the files of an earlier demo.

        Raises:
            DemoError: an earlier demo was left running.
        """
        with contextlib.suppress(FileNotFoundError):
            groups = [int(group) for group in self._kept.read_text().split()]
            if any(_runs(group) for group in groups):
                raise DemoError(f"an earlier demo still runs here; stop it: {stop_command(groups)}")
        self.remove()
        for name in ("logs", "tmp"):
            (self.root / name).mkdir(parents=True)
        self._env["TMPDIR"] = str(self.root / "tmp")

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def launch_mlflow(self) -> None:
        """Launch the server, without waiting until it is ready."""
        port = free_port()
        local = "127.0.0.1,localhost"
        self._env |= {
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "NO_PROXY": local,
            "no_proxy": local,
            "PYTHONUNBUFFERED": "1",
        }
        self.server = launch_mlflow(self.root / "mlflow", port=port, env=self._env)

    def start(self, name: str, words: list[str], *, cwd: Path | None = None) -> Process:
        """Start a background process that reads commands and writes to a log."""
        log = self.root / "logs" / f"{name}.log"
        with log.open("wb") as output:
            return self._popen(
                name, words, cwd, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output
            )

    def start_logged(self, name: str, words: list[str], *, cwd: Path | None = None) -> Process:
        """Start a background process without input; all its output goes to a log."""
        log = self.root / "logs" / f"{name}.log"
        with log.open("wb") as output:
            return self._popen(
                name,
                words,
                cwd,
                log,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def lineage(self, *words: str, expect: int, show: bool = True) -> Ended:
        """Run ``feature-lineage`` as a user would, and print its output.

        Raises:
            DemoError: it ends with another exit code than expected.
        """
        typed = ["feature-lineage", *(_short(word) for word in words)]
        if show:
            screen.command(shlex.quote(word) if " " in word else word for word in typed)
        process = self._popen(
            typed[1],
            [str(BIN / "feature-lineage"), *words],
            None,
            None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines = []
        assert process.popen.stdout is not None
        for line in process.popen.stdout:
            lines.append(line)
            if show:
                screen.said(line.rstrip())
        code = process.wait()
        check(
            code == expect,
            f"`{' '.join(typed)}` ends with {expect}, it ended with {code}",
            *([] if show else ["".join(lines)]),
        )
        return Ended(code, "".join(lines))

    def resources(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Return the resources of a folder from ``feature-lineage get -o json``, by name."""
        answer = self.lineage("get", str(folder), "-o", "json", expect=0, show=False)
        return {item["metadata"]["name"]: item for item in json.loads(answer.output)}

    def close(self) -> None:
        """Stop everything, the newest first."""
        while self._processes:
            self._processes.pop().stop()
        if self.server is not None:
            self.server.stop()

    def leave_running(self) -> list[int]:
        """Leave the running processes alone; return their process groups.

        The next demo finds them and refuses to start.
        """
        groups = [p.popen.pid for p in self._processes if p.popen.poll() is None]
        self._processes.clear()
        if self.server is not None:
            groups.append(self.server.pid)
            self.server = None
        self._kept.write_text(" ".join(map(str, groups)))
        return groups

    def _popen(
        self, name: str, words: list[str], cwd: Path | None, log: Path | None, **streams: Any
    ) -> Process:
        popen = subprocess.Popen(
            words, cwd=cwd, env=self._env, text=True, start_new_session=True, **streams
        )
        process = Process(name, popen, log)
        self._processes.append(process)
        return process


def stop_command(groups: list[int]) -> str:
    return f"kill -- {' '.join(f'-{group}' for group in groups)}"


def _runs(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _short(word: str) -> str:
    """Shorten a path as a user in the checkout would type it."""
    here = f"{Path.cwd()}{os.sep}"
    return word.removeprefix(here)
