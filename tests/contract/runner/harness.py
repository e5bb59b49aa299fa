"""Two ways to run an operation in tests: in a new process, or forked from a process with Feast."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_lineage.operations.job_report import JobReport, decode_report
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import (
    ApplyRequest,
    DeleteRequest,
    JobRequest,
    MaterializeRequest,
    ObserveRequest,
    encode,
)

ZYGOTE = Path(__file__).with_name("zygote.py")
PROJECT = "ranking"
Part = ApplyRequest | MaterializeRequest | DeleteRequest | ObserveRequest | ProbeRequest


def request(kind: str, repo: Path, part: Part | None = None, **fields: Any) -> JobRequest:
    """Build a request of any kind; `part` is its apply, materialize or delete section."""
    sections = {"plan": "apply"}
    body = {} if part is None else {sections.get(kind, kind): part}
    fields = {"operation_id": f"op-{kind}", "project": PROJECT, "revision": "r1", **fields}
    return JobRequest(kind=kind, repo=str(repo), **body, **fields)


@dataclass
class Finished:
    """The result of one ``python -m feature_lineage.runner``."""

    code: int
    report: JobReport
    events: list[dict[str, Any]]
    seconds: float


class Cli:
    """Runs the runner as hosts do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def start(
        self, job: JobRequest, env: dict[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        self.count += 1
        self.paths = {
            name: self.folder / f"{self.count}-{name}.json" for name in ("request", "report", "log")
        }
        self.paths["request"].write_text(encode(job))
        flags = [part for name, path in self.paths.items() for part in (f"--{name}", str(path))]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "feature_lineage.runner", *flags],
            env={**os.environ, **(env or {})},
        )

    def finish(self, process: "subprocess.Popen[bytes]", timeout: float = 120) -> Finished:
        started = time.monotonic()
        code = process.wait(timeout)
        report = decode_report(self.paths["report"].read_bytes())
        log = self.paths["log"]
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Finished(code, report, events, time.monotonic() - started)

    def run(self, job: JobRequest, env: dict[str, str] | None = None) -> Finished:
        started = time.monotonic()
        finished = self.finish(self.start(job, env))
        finished.seconds = time.monotonic() - started
        return finished


class Zygote:
    """A process that has imported Feast and forks one child per operation."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(ZYGOTE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def post(self, job: JobRequest, kill: dict[str, Any] | None = None) -> None:
        """Start an operation without waiting."""
        self._write({"request": json.loads(encode(job)), "kill": kill})

    def _write(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def send(self, job: JobRequest, kill: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run an operation; return the raw answer."""
        self.post(job, kill)
        return self.receive()

    def run(self, job: JobRequest) -> JobReport:
        answer = self.send(job)
        assert answer["report"] is not None, f"the child ended with {answer['status']}"
        return JobReport.model_validate(answer["report"])

    def script(self, script: str, *arguments: str, folder: Path) -> str:
        """Return what a script prints in a folder, where Feast is already imported."""
        self._write({"script": script, "arguments": arguments, "folder": str(folder)})
        answer = self.receive()
        assert answer["status"] == 0, answer["printed"]
        return str(answer["printed"]).strip()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
