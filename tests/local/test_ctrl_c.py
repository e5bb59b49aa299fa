"""Ctrl-C while a job runs: everything ends, and the next run finishes the same operation."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import run_once
from tests.local.scene import FEATURES, MLflow, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state, registry_of

PATIENCE = 120.0

WAITS = """
import os, pathlib, time
here = pathlib.Path(__file__).parent.parent
(here / "started.tmp").write_text(str(os.getpid()))
(here / "started.tmp").rename(here / "started")
while not (here / "go").exists():
    time.sleep(0.05)
"""


@pytest.mark.real_processes
@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_interrupted_host_leaves_no_process(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str], sign: signal.Signals
) -> None:
    project = unique("stopped")
    repo = write_repo(tmp_path / "repo", project, WAITS + FEATURES)
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project, mlflow.url))
    host = subprocess.Popen(
        [sys.executable, "-m", "feature_lineage.cli", "local", str(tmp_path), "--once"],
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    worker = int(appears(tmp_path / "started", host))
    (job,) = (tmp_path / ".feature-lineage" / "jobs").iterdir()
    supervisor = int((job / "pid").read_text())
    host.send_signal(sign)
    _, said = host.communicate(timeout=PATIENCE)

    assert host.returncode == 130
    assert "Traceback" not in said
    assert not alive(worker)
    assert not alive(supervisor)
    assert not (repo / "data" / "registry.db").exists()
    stopped = read_state(tmp_path).status["operation"]
    assert stopped["kind"] == "Apply"

    (tmp_path / "go").touch()
    assert await run_once(tmp_path)

    done = read_state(tmp_path).status["operations"]
    assert [(op["id"], op["result"], op["attempt"]) for op in done] == [
        (stopped["id"], "Succeeded", 1)
    ]
    assert registry_of(repo)["services"] == ["driver_activity_v1"]
    (run,) = mlflow.ops_runs(project)
    assert run["tags"]["featurelineage.io/operation-id"] == stopped["id"]


@pytest.mark.real_processes
@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_plan_leaves_no_process(tmp_path: Path, sign: signal.Signals) -> None:
    """A CI job that is cancelled sends SIGTERM: the job of the plan ends, too."""
    write_repo(tmp_path / "repo", "planned", WAITS + FEATURES)
    write_yaml(tmp_path / "manifests.yaml", project_manifest("planned"))
    (tmp_path / "tmp").mkdir()
    plan = subprocess.Popen(
        [sys.executable, "-m", "feature_lineage.cli", "plan", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        start_new_session=True,
        text=True,
    )
    worker = int(appears(tmp_path / "started", plan))
    plan.send_signal(sign)
    said, errors = plan.communicate(timeout=PATIENCE)

    assert (plan.returncode, said) == (130, "")
    assert "Traceback" not in errors
    assert not alive(worker)
    assert not list((tmp_path / "tmp").glob("feature-lineage-plan-*"))


def appears(path: Path, host: "subprocess.Popen[str]") -> str:
    """A file that the code of the repo writes when it runs."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert host.poll() is None, host.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def alive(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
