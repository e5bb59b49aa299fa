"""A plan of several projects ends with the first of 2, 3, 1, 4 and 0 that one of them has."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
from tests.local.scene import FEATURES, MLflow, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, feast

PRECEDENCE: Final = (2, 3, 1, 4, 0)
NAMES: Final = {3: "b-blocked", 1: "a-failed", 4: "d-allowed", 0: "c-clean"}
"""Projects are planned by name: in some pairs the first one decides, in others the second."""
VERDICTS: Final = {3: "  Blocked\n", 1: "could not be planned", 4: "  Allowed\n", 0: "  Clean\n"}
WITHOUT_TRIPS: Final = FEATURES.replace('Field(name="trips", dtype=Int64),', "").replace(
    '[["conv_rate", "trips"]]', '[["conv_rate"]]'
)


@pytest.mark.slow
def test_the_worst_project_decides_the_exit_code(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    projects = {code: prepared(tmp_path, code, mlflow, unique(f"code{code}")) for code in NAMES}
    manifests, bad = tmp_path / "manifests.yaml", tmp_path / "bad.yaml"
    wrong = {}
    for codes in combinations(PRECEDENCE, 2):
        write_yaml(manifests, *(projects[code] for code in codes if code in projects))
        bad.unlink(missing_ok=True)
        if 2 in codes:
            write_yaml(bad, project_manifest("x", name="bad", surprise=True))
        done = command("plan", str(tmp_path), "--detailed-exitcode")
        said = [code for code in NAMES if VERDICTS[code] in done.stdout]
        shown = [] if 2 in codes else sorted(codes, key=[*NAMES].index)
        if (done.returncode, said) != (codes[0], shown):
            wrong[codes] = (done.returncode, said, done.stdout[-500:] + done.stderr[-500:])
    assert not wrong


def prepared(root: Path, code: int, mlflow: MLflow, project: str) -> dict[str, Any]:
    """The manifest of a project whose plan alone ends with a code, with a champion of its own."""
    name = NAMES[code]
    repo = write_repo(root / name, project)
    feast(repo, "apply")
    refs = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"]
    mlflow.train(f"{project}_model", project, refs, alias="champion")
    repo.joinpath("features.py").write_text(
        {3: WITHOUT_TRIPS, 4: WITHOUT_TRIPS, 1: "def f(:\n"}.get(code, FEATURES)
    )
    source = {"local": {"path": name}}
    more = {"apply": {"protection": {"mode": "Warn"}}} if code == 4 else {}
    return project_manifest(project, mlflow.url, name=name, source=source, **more)
