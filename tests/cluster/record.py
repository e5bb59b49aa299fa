"""Records the requests of a test run to its API servers, and the tests that ran.

`rbac_coverage` checks the record, and pytest's cache keeps it. The processes of one run
(pytest-xdist) have separate control planes. Each process hands over its part when it ends: its
tests and their requests. The process that started them merges the parts.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pytest
from tests.cluster.audit import AuditRecord
from tests.cluster.controlplane import control_planes_started

SUITE: Final = "tests/cluster/"
RBAC_COVERAGE: Final = f"{SUITE}rbac_coverage/"

_PART: Final = "tests/cluster/record"
_MASTERS: Final = "system:masters"


@dataclass
class Run:
    """The record of one process, or of all processes of a run.

    Attributes:
        tests: node ids of the tests that ran to their end.
        failed: number of their failed reports.
        started_in: start times of the control planes, in seconds.
        asked: requests of users, without those of administrators.
    """

    tests: set[str] = field(default_factory=set)
    failed: int = 0
    started_in: list[float] = field(default_factory=list)
    asked: list[AuditRecord] = field(default_factory=list)

    def add(self, part: Self) -> None:
        self.tests |= part.tests
        self.failed += part.failed
        self.started_in += part.started_in
        self.asked += part.asked

    def dump(self) -> str:
        return json.dumps({**asdict(self), "tests": sorted(self.tests)})

    @classmethod
    def load(cls, text: str) -> Self:
        fields = json.loads(text)
        asked = [
            AuditRecord(**{**each, "groups": tuple(each["groups"])}) for each in fields["asked"]
        ]
        return cls(**{**fields, "tests": set(fields["tests"]), "asked": asked})


def kept(cache: pytest.Cache) -> Path:
    """Return the path of the record of the last run."""
    return cache.mkdir("audit") / "run.json"


class Recorder:
    """A plugin that keeps the record of this process, and of the processes that it started."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.run = Run()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        of_suite = report.nodeid.startswith(SUITE) and not report.nodeid.startswith(RBAC_COVERAGE)
        if not of_suite or hasattr(report, "node"):  # of a process that reports its own part
            return
        self.run.failed += report.failed
        if report.when == "teardown":
            self.run.tests.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Merge the record of a process that ended; a crashed process has none."""
        if (part := getattr(node, "workeroutput", {}).get(_PART)) is not None:
            self.run.add(Run.load(part))

    def pytest_sessionfinish(self) -> None:
        for plane in control_planes_started:
            self.run.asked += [each for each in plane.audit() if _MASTERS not in each.groups]
            self.run.started_in += [plane.started_in] if plane.started_in else []
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        cache: pytest.Cache | None = getattr(self._config, "cache", None)  # -p no:cacheprovider
        if output is not None:
            output[_PART] = self.run.dump()
        elif cache is not None and self.run.tests:
            kept(cache).write_text(self.run.dump(), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if seconds := self.run.started_in:
            terminalreporter.write_line(
                f"{len(seconds)} control planes started in {min(seconds):.1f}"
                f" to {max(seconds):.1f} s"
            )
