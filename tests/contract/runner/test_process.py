"""The runner as a process: it always reports, and leaves no process or file behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from tests.contract.runner.harness import Cli, request
from tests.contract.runner.repos import Repo
from tests.contract.runner.stores import on_disk

from feature_lineage.operations.job_report import ExitCode, Outcome

LOUD = """
import json, os, subprocess, sys, threading, time

print(json.dumps({"event": "report", "report": {"outcome": "Succeeded"}}))
for _ in range(10_000):
    print("x" * 1023)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child.pid", "w").write(str(child.pid))
threading.Thread(target=time.sleep, args=(600,)).start()
print("\\x1b[1mthe password is hush-hush")
"""
SLOW = """
import os, signal, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("worker.tmp", "w").write(str(os.getpid()))
os.rename("worker.tmp", "worker.pid")
while True:
    time.sleep(1)
"""
LYING = """
from feature_lineage.runner.reader import Reading, RegistryReader

real = RegistryReader.read

def read(self):
    found = real(self)
    for view in found.proto.feature_views:
        view.spec.tags["seen"] = "by nobody"
    return found

RegistryReader.read = read
"""
REPORTING = """
mlflow: {enabled: true, tracking_uri: "http://127.0.0.1:1", log_operations: true}
openlineage: {enabled: true, transport_type: http, transport_url: "http://127.0.0.1:1"}
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The folder for temporary files; empty afterwards."""
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def gone(pid: int) -> bool:
    """Whether a process has ended, or is about to be reaped."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def appears(path: Path, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.1)
    return path.read_text()


def test_two_machines_come_to_one_digest(tmp_path: Path, scratch: Path) -> None:
    """Another hash seed and directory change nothing, and Feast's own reporting does not either."""
    reports = []
    for seed in ("1", "2"):
        path = tmp_path / f"repo{seed}"
        repo = Repo(path, on_disk("file", path)).rich()
        with (path / "feature_store.yaml").open("a") as file:
            file.write(REPORTING)
        cli = Cli(tmp_path)
        cli.count = int(seed)
        env = {"PYTHONHASHSEED": seed, "TMPDIR": str(scratch)}
        finished = cli.run(request("apply", repo.path), env)
        assert finished.code == ExitCode.DONE, finished.report.message
        assert finished.report.verified
        assert finished.report.output_tail.strip() == ""
        assert finished.report.seconds["apply"] < 10
        assert not list(path.glob("**/mlflow*"))
        names = [event["name"] for event in finished.events if event["event"] == "phase"]
        assert [name for name in names if name != "online_tables"] == [
            *("import_feast", "read", "import_repo", "infer", "dry_retrieval", "plan"),
            *("apply", "read"),
        ]
        reports.append(finished.report)

    assert reports[0].snapshot == reports[1].snapshot
    assert list(scratch.iterdir()) == []


def test_a_loud_repo_that_leaves_threads_and_children(repo: Repo, cli: Cli, scratch: Path) -> None:
    repo.views(a="trips:Int64").write(LOUD, "loud.py")
    with (repo.path / "feature_store.yaml").open("a") as file:
        file.write("registry_password: hush-hush\n")

    finished = cli.run(request("apply", repo.path), {"TMPDIR": str(scratch)})

    assert finished.code == ExitCode.DONE, finished.report.message
    assert finished.report.verified
    assert finished.report.snapshot
    assert len(finished.report.output_tail.encode()) <= 4096
    assert finished.report.output_tail.strip().endswith("x\nthe password is ***")
    assert gone(int((repo.path / "child.pid").read_text()))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("end", "reason", "message", "code"),
    [
        ("os._exit(0)", "InvalidRepo", "the repo's code ended the process (exit code 0)", 65),
        ("os.kill(os.getpid(), 9)", "JobFailed", "killed by the kernel while importing the", 75),
    ],
)
def test_a_process_that_ends_proves_nothing(
    end: str, reason: str, message: str, code: int, repo: Repo, cli: Cli
) -> None:
    repo.views(a="trips:Int64").write(f"import os\nprint('bye', flush=True)\n{end}\n", "ends.py")

    finished = cli.run(request("apply", repo.path))

    assert (finished.code, finished.report.reason) == (code, reason)
    assert message in finished.report.message
    assert finished.report.output_tail == "bye\n"
    assert not (repo.stores.folder / "registry.db").exists()


def test_garbage_collector_skips_imported_objects(repo: Repo, cli: Cli) -> None:
    repo.views(a="trips:Int64").write(
        "import gc\nassert gc.isenabled()\nassert gc.get_freeze_count() > 100_000\n", "collects.py"
    )

    finished = cli.run(request("apply", repo.path))

    assert finished.code == ExitCode.DONE, finished.report.message


def test_what_feast_deprecates_is_no_output_of_the_repo(repo: Repo, cli: Cli) -> None:
    plain = "from feast import Entity\nprint('mine')\nplain = Entity(name='plain')\n"
    repo.views(a="trips:Int64").write(plain, "plain.py")

    finished = cli.run(request("apply", repo.path))

    assert finished.code == ExitCode.DONE, finished.report.message
    assert finished.report.output_tail == "mine\n"


def test_the_deadline_takes_the_whole_group(repo: Repo, cli: Cli) -> None:
    repo.views(a="trips:Int64").write(SLOW, "slow.py")

    finished = cli.run(request("apply", repo.path, deadline_seconds=15))

    assert (finished.code, finished.report.reason) == (75, "DeadlineExceeded")
    assert "its deadline of 15 s has passed" in finished.report.message
    assert "importing" in finished.report.message
    assert 15 <= finished.seconds < 25
    if (repo.path / "worker.pid").exists():
        assert gone(int((repo.path / "worker.pid").read_text()))


def test_ending_the_supervisor_ends_the_worker(tmp_path: Path) -> None:
    """When stopped, the runner reports; when killed, the worker is killed too."""
    repos, clis, processes = [], [], []
    for name in ("asked", "killed"):
        path = tmp_path / name
        repos.append(Repo(path, on_disk("file", path)).write(SLOW, "slow.py"))
        (tmp_path / f"{name}-files").mkdir()
        clis.append(Cli(tmp_path / f"{name}-files"))
        env = {"TMPDIR": str(tmp_path)}  # a killed supervisor cannot clean up
        processes.append(clis[-1].start(request("apply", path), env))
    workers = [int(appears(repo.path / "worker.pid")) for repo in repos]

    processes[0].send_signal(signal.SIGTERM)
    processes[1].send_signal(signal.SIGKILL)

    assert all(gone(worker) for worker in workers)
    finished = clis[0].finish(processes[0])
    assert (finished.code, finished.report.reason) == (75, "Interrupted")
    assert finished.report.message == "stopped while importing the repo's code: SIGTERM"
    processes[1].wait(10)
    assert not clis[1].paths["report"].exists()


def test_stop_before_the_start_still_gives_a_report(repo: Repo, cli: Cli) -> None:
    repo.views(a="trips:Int64")
    process = cli.start(request("apply", repo.path))
    while not psutil.Process(process.pid).children():
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)

    finished = cli.finish(process)
    assert (finished.code, finished.report.reason) == (75, "Interrupted")
    assert not (repo.stores.folder / "registry.db").exists()


def test_the_verifier_detects_a_repo_that_interferes(repo: Repo, cli: Cli) -> None:
    repo.views(a="trips:Int64").write(LYING, "lying.py")

    finished = cli.run(request("apply", repo.path))

    assert (finished.code, finished.report.outcome) == (75, Outcome.FAILED)
    assert "the registry does not contain what the job reported" in finished.report.message
    assert not finished.report.verified


def test_a_request_that_is_none_is_a_crash(cli: Cli, tmp_path: Path, repo: Repo) -> None:
    process = cli.start(request("observe", repo.path))
    process.kill()
    process.wait()
    cli.paths["request"].write_text("{}")
    flags = ["--request", cli.paths["request"], "--report", cli.paths["report"]]
    ended = subprocess.run(
        [*process.args[:4], *map(str, flags)],  # type: ignore[index]
        capture_output=True,
        env=dict(os.environ),
    )

    assert ended.returncode not in (0, 65, 75)
    assert not cli.paths["report"].exists()
