"""Our apply and materialize jobs against bare ``feast apply`` and ``feast materialize``.

Whole processes, as a shell and the local host start them, each side on its own repo with the same
contents. The floor is Feast without guard, snapshot, verification, transaction and report. Most of
the time of both sides is the import of Feast.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.champions import served_by_lists, served_by_services, services
from benchmarks.measure import Row, Size, in_turn
from benchmarks.repos import END, PROJECT, START, BenchmarkRepo
from feature_lineage.api.enums import OperationKind
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.local.subprocess_jobs import WRITE_PID_AND_EXEC
from feature_lineage.operations.job_report import JobReport, Outcome, decode_report
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import ApplyRequest, JobRequest, MaterializeRequest, encode

GOAL = 1.15
SERVED_GOAL = 0.6
"""Of an apply that retrieves the features of all its champions."""
CHAMPIONS, FEATURES = 20, 4
SIGNATURES, SIGNATURE_SECONDS = 1000, 15.0
SHOWN = 0.005
"""Share of the total time above which a phase is listed."""
SMALL = 5
LARGE = 100

_APPLY = """
from pathlib import Path
from feast.repo_config import load_repo_config
from feast.repo_operations import apply_total
here = Path.cwd()
apply_total(load_repo_config(here, here / "feature_store.yaml"), here, False)
"""
_MATERIALIZE = """
import sys
from datetime import datetime
from feast import FeatureStore
FeatureStore(".").materialize(*map(datetime.fromisoformat, sys.argv[1:]))
"""


@dataclass(frozen=True)
class Cost:
    """One process with all its children, in seconds.

    Attributes:
        wall: from start to end.
        cpu: user and system time.
        phases: phases of one of our jobs, from its report.
    """

    wall: float
    cpu: float
    phases: Mapping[str, float] = field(default_factory=dict)


class CommandLine:
    """Feast with its command line."""

    name = "feast"

    def apply(self, repo: BenchmarkRepo) -> Cost:
        repo.turn()
        return _run([self._feast(), "apply"], repo.folder)

    def materialize(self, repo: BenchmarkRepo) -> Cost:
        window = START.isoformat(), END.isoformat()
        return _run([self._feast(), "materialize", *window], repo.folder)

    @staticmethod
    def _feast() -> str:
        return str(Path(sys.executable).with_name("feast"))


class Library(CommandLine):
    """The functions behind the command line, without the imports of its other commands."""

    name = "feast's functions:"

    def apply(self, repo: BenchmarkRepo) -> Cost:
        repo.turn()
        return _run([sys.executable, "-c", _APPLY], repo.folder)

    def materialize(self, repo: BenchmarkRepo) -> Cost:
        window = START.isoformat(), END.isoformat()
        return _run([sys.executable, "-c", _MATERIALIZE, *window], repo.folder)


def jobs(size: Size) -> Iterator[Row]:
    """Apply and materialize of a small repo, wall and processor time."""
    views = 2 if size.quick else SMALL
    yield from _jobs(size, views, CommandLine())
    yield from _guarded(size, views, CommandLine())
    yield from _signatures(size)


def large_jobs(size: Size) -> Iterator[Row]:
    """The same with a repo in which the work takes longer than the import."""
    yield from _jobs(size, 3 if size.quick else LARGE, CommandLine())


def library_jobs(size: Size) -> Iterator[Row]:
    """The small repo compared with Feast's functions alone, a floor that no real job can reach."""
    yield from _jobs(size, 2 if size.quick else SMALL, Library())


def _jobs(size: Size, views: int, feast: CommandLine) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as tmp:
        theirs, mine = (
            BenchmarkRepo(Path(tmp, "theirs"), views),
            BenchmarkRepo(Path(tmp, "mine"), views),
        )
        runner = Runner(Path(tmp, "jobs"), mine)
        yield from _rows(
            f"apply {views} views",
            *in_turn(size, lambda: feast.apply(theirs), runner.apply),
            f"{feast.name} apply",
        )
        yield from _rows(
            f"materialize {views} views",
            *in_turn(size, lambda: feast.materialize(theirs), runner.materialize),
            f"{feast.name} materialize",
        )


def _guarded(size: Size, views: int, feast: CommandLine) -> Iterator[Row]:
    """An apply with champions that are served through services, against one without any guard."""
    shape = views, 1 if size.quick else CHAMPIONS, FEATURES
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as tmp:
        theirs, mine = (
            BenchmarkRepo(Path(tmp, side), views, tuple(services(*shape)))
            for side in ("theirs", "mine")
        )
        runner = Runner(Path(tmp, "jobs"), mine)
        guard = served_by_services(runner.snapshot(), *shape)
        yield from _rows(
            f"apply {views} views, {len(guard.models)} champions",
            *in_turn(size, lambda: feast.apply(theirs), lambda: runner.apply(guard)),
            f"{feast.name} apply",
            goal=SERVED_GOAL,
        )


def _signatures(size: Size) -> Iterator[Row]:
    """The dry retrieval of many models, no two of which ask for the same features."""
    views, count = (3, 10) if size.quick else (LARGE, SIGNATURES)
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as tmp:
        runner = Runner(Path(tmp, "jobs"), BenchmarkRepo(Path(tmp, "mine"), views))
        guard = served_by_lists(runner.snapshot(), views, count, FEATURES)
        costs = [runner.apply(guard) for _ in range(1 if size.quick else 3)]
    took = [cost.phases["dry_retrieval"] for cost in costs]
    yield Row(f"dry retrieval of {count} signatures", took, limit=SIGNATURE_SECONDS)


def _rows(
    name: str, floor: list[Cost], ours: list[Cost], against: str, goal: float = GOAL
) -> Iterator[Row]:
    walls = [cost.wall for cost in ours], [cost.wall for cost in floor]
    yield Row(f"{name}, wall", *walls, against=against, goal=goal)
    for phase in ours[0].phases:
        took = [cost.phases[phase] for cost in ours]
        if median(took) >= SHOWN * median(walls[0]):
            yield Row(f"{name}, of which {phase}", took)
    cpus = [cost.cpu for cost in ours], [cost.cpu for cost in floor]
    yield Row(f"{name}, cpu of all processes", *cpus, against=against)


class Runner:
    """Our jobs, started as the local host starts them."""

    def __init__(self, folder: Path, repo: BenchmarkRepo) -> None:
        self._folder, self._repo = folder, repo
        self._numbers = count()

    def apply(self, guard: Guard | None = None) -> Cost:
        self._repo.turn()
        return self._cost(OperationKind.APPLY, apply=ApplyRequest(guard=guard))

    def materialize(self) -> Cost:
        start, end = START.to_pydatetime(), END.to_pydatetime()
        body = MaterializeRequest(all_views_start=start, all_views_end=end)
        return self._cost(OperationKind.MATERIALIZE, materialize=body)

    def snapshot(self) -> RegistrySnapshot:
        """The registry after a first apply."""
        _, report = self.run(OperationKind.APPLY, apply=ApplyRequest())
        if report.snapshot is None:
            raise RuntimeError(f"the job reported no registry: {report.message}")
        return report.snapshot

    def _cost(
        self,
        kind: OperationKind,
        apply: ApplyRequest | None = None,
        materialize: MaterializeRequest | None = None,
    ) -> Cost:
        return self.run(kind, apply, materialize)[0]

    def run(
        self,
        kind: OperationKind,
        apply: ApplyRequest | None = None,
        materialize: MaterializeRequest | None = None,
        probe: ProbeRequest | None = None,
    ) -> tuple[Cost, JobReport]:
        """Run one job to its end.

        Raises:
            RuntimeError: the job did not succeed.
        """
        home = self._folder / str(next(self._numbers))
        home.mkdir(parents=True)
        request = JobRequest(
            operation_id=f"bench-{home.name}",
            kind=kind,
            project=PROJECT,
            repo=str(self._repo.folder),
            revision=f"r{self._repo.version}",
            apply=apply,
            materialize=materialize,
            probe=probe,
        )
        (home / "request.json").write_text(encode(request))
        command = ["/bin/sh", "-c", WRITE_PID_AND_EXEC, str(home / "pid"), sys.executable]
        command += ["-m", "feature_lineage.runner", "--request", str(home / "request.json")]
        command += ["--report", str(home / "report.json"), "--log", str(home / "progress.jsonl")]
        cost = _run(command, home)
        report = decode_report((home / "report.json").read_bytes())
        checked = report.verified or kind is OperationKind.PROBE  # which writes nothing
        if report.outcome is not Outcome.SUCCEEDED or not checked:
            raise RuntimeError(f"the job ended as {report.outcome}: {report.message}")
        around = cost.wall - (report.finished_at - report.started_at).total_seconds()
        phases = {**report.seconds, "before and after the worker": around}
        return replace(cost, phases=phases), report


def run_process(code: str, arguments: Iterable[str], folder: Path) -> Cost:
    """Run lines of Python in a process of their own."""
    return _run([sys.executable, "-c", code, *arguments], folder)


def _run(command: list[str], folder: Path) -> Cost:
    log = folder / "output.log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime)
