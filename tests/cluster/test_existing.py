"""With a named cluster, only the tests that run on any cluster are run."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.controlplane import ControlPlane
from tests.cluster.existing import VARIABLE

ROOT = Path(__file__).parents[2]
ANY = "tests/cluster/test_relist.py::test_other_namespaces_are_not_listed"
OWN = "tests/cluster/test_control_plane.py"


def run(named: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with a named cluster, while KUBECONFIG names another one."""
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=ROOT,
        env={**environment, "KUBECONFIG": "/nonexistent", VARIABLE: str(named)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_portable_test_runs_on_the_named_cluster(
    control_plane: ControlPlane,
) -> None:
    done = run(control_plane.kubeconfig, ANY, OWN)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert f"ran on {control_plane.kubeconfig}, named by {VARIABLE}" in done.stdout
    assert " deselected" in done.stdout
    assert "control planes started" not in done.stdout


def test_a_name_that_leads_nowhere_is_no_reason_to_start_one(tmp_path: Path) -> None:
    done = run(tmp_path / "none", ANY)

    assert done.returncode != 0
    assert f"{VARIABLE} is {tmp_path / 'none'}, which is no file" in done.stdout + done.stderr
    assert "passed" not in done.stdout
