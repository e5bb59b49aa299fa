"""The records of several processes are merged, and a part of the suite is not checked."""

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.audit import AuditRecord
from tests.cluster.record import RBAC_COVERAGE, Run

ROOT = Path(__file__).parents[2]
ASKED = AuditRecord(
    user="system:serviceaccount:lineage:operator",
    verb="patch",
    group="featurelineage.io",
    resource="trainedmodels",
    subresource="status",
    namespace="team",
    name="champion",
    code=200,
    message="",
    uri="/apis/featurelineage.io/v1alpha1/namespaces/team/trainedmodels/champion/status",
    agent="feature-lineage-operator",
    at="2026-10-01T12:00:00Z",
    groups=("system:serviceaccounts", "system:authenticated"),
)


def test_parts_that_processes_hand_over_are_one_run() -> None:
    run = Run({"a"}, 0, [3.5], [ASKED])

    run.add(Run.load(Run({"b", "c"}, 1, [4.0], [ASKED, ASKED]).dump()))

    assert run == Run({"a", "b", "c"}, 1, [3.5, 4.0], [ASKED] * 3)


def test_a_run_of_a_part_of_the_suite_judges_no_permission(tmp_path: Path) -> None:
    kept = tmp_path / "d/audit/run.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(Run({f"{Path(__file__).relative_to(ROOT)}::test_alone"}, 0, [], []).dump())

    options = ("-q", "-p", "no:xdist", "-o", f"cache_dir={tmp_path}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, RBAC_COVERAGE],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        capture_output=True,
        text=True,
        timeout=180,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "tests were not played in the last run, tests/cluster/" in done.stdout
    assert "passed" not in done.stdout
    assert "were compared" not in done.stdout
