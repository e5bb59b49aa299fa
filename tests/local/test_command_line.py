"""The command line for users and pipelines: exit codes, texts, JSON; queries write nothing."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, files_of, read_state

TRIPS = "driver_hourly_stats:trips"
PROJECT_COLUMNS = [
    "NAME",
    "PROJECT",
    "REVISION",
    "READY",
    "REASON",
    "MATERIALIZED",
    "STALE",
    "BROKEN",
    "AGE",
]
MODEL_COLUMNS = [
    *("NAME", "MODEL", "VERSION", "SERVICE", "VERDICT", "FRESH", "READY", "REASON", "AGE"),
]
COMMANDS = (
    *("local", "plan", "get", "describe", "crds", "completion"),
    *("impact", "features", "versions", "graph", "search", "unused", "history"),
)


@pytest.mark.real_processes
@pytest.mark.slow
def test_a_pipeline_reads_exit_codes_and_a_person_the_rest(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("typed")
    model = f"{project}_model"
    repo = write_repo(tmp_path / "repo", project)
    manifests = [project_manifest(project, mlflow.url), model_manifest(model)]
    write_yaml(tmp_path / "manifests.yaml", *manifests)
    folder = str(tmp_path)

    # Before the first run, the commands already print the resources, and create nothing.
    empty = command("get", folder)
    assert (empty.returncode, empty.stderr) == (0, "")
    assert not (tmp_path / ".feature-lineage").exists()

    # One resource is not Ready: exit code 1, and the lines say which and why.
    missing = command("local", folder, "--once")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "= fsp/driver  Ready, Succeeded" in missing.stderr
    assert "= ftm/ranker  not Ready, ModelNotFound" in missing.stderr
    assert "▸ fsp/driver  Apply" in missing.stderr
    assert "Traceback" not in missing.stderr

    mlflow.train(model, project, [TRIPS], alias="champion")
    done = command("local", folder, "--once")
    assert done.returncode == 0, done.stderr

    shown = command("get", folder).stdout.splitlines()
    assert shown[0].split() == [
        "NAME",
        "PROJECT",
        "REVISION",
        "READY",
        "REASON",
        "MATERIALIZED",
        "STALE",
        "BROKEN",
        "AGE",
    ]
    row = shown[1].split()
    assert row[:2] == ["driver", project]
    assert row[2].startswith("sha256:")
    assert row[3:8] == ["True", "Succeeded", "Unknown", "0", "0"]
    assert shown[3].split() == MODEL_COLUMNS
    assert shown[4].split()[:3] == ["ranker", model, "1"]
    assert "Verified" in shown[4]
    as_json = json.loads(command("get", folder, "-o", "json").stdout)
    as_yaml = list(yaml.safe_load_all(command("get", folder, "-o", "yaml").stdout))
    assert [item["kind"] for item in as_json] == ["FeatureStoreProject", "TrainedModel"]
    assert [item["metadata"]["name"] for item in as_yaml] == ["driver", "ranker"]

    output = command("describe", folder).stdout
    for part in ("FeatureStoreProject default/driver", "TrainedModel default/ranker", "LineageVer"):
        assert part in output
    status = read_state(tmp_path).status
    one = command("describe", folder, "fsp/driver").stdout
    assert status["operations"][0]["id"] in one
    assert "ApplySucceeded" in one
    assert "ranker" not in one
    unknown = command("describe", folder, "nobody")
    assert unknown.returncode == 2
    assert "there is no nobody; the folder has: fsp/driver, ftm/ranker" in unknown.stderr

    # The pull-request check: 3 when it would break the champion, and nothing is written.
    (repo / "features.py").write_text(
        FEATURES.replace('Field(name="trips", dtype=Int64),', "").replace(
            '[["conv_rate", "trips"]]', '[["conv_rate"]]'
        )
    )
    before = files_of(tmp_path / ".feature-lineage"), files_of(repo), mlflow.ops_runs(project)
    breaks = command("plan", folder)
    assert breaks.returncode == 3, breaks.stderr
    for part in ("fsp/driver", "Blocked", f"{model} v1 (@champion)", f"{TRIPS} is gone"):
        assert part in breaks.stdout
    as_data = command("plan", folder, "-o", "json")
    assert as_data.returncode == 3
    (plan,) = json.loads(as_data.stdout)
    assert plan["resource"] == "FeatureStoreProject/default/driver"
    assert plan["verdict"] == "Blocked"
    assert plan["revision"].startswith("sha256:")
    assert [(impact["model"], impact["version"]) for impact in plan["impacts"]] == [(model, "1")]
    assert f"- feature_view {TRIPS}" in breaks.stdout
    assert plan["digest"][:12] in breaks.stdout
    assert "2 to change; 1 protected model version: 1 broken." in breaks.stdout

    # The policy lets it through: 0, or 4 for a check that asks for details.
    warns = copy.deepcopy(manifests)
    warns[0]["spec"].setdefault("apply", {})["protection"] = {"mode": "Warn"}
    write_yaml(tmp_path / "manifests.yaml", *warns)
    allowed = command("plan", folder)
    assert (allowed.returncode, command("plan", folder, "--detailed-exitcode").returncode) == (0, 4)
    assert "Not blocked: apply.protection.mode: Warn permits the change." in allowed.stdout
    write_yaml(tmp_path / "manifests.yaml", *manifests)

    # 1 when there can be no plan, with the reason; 0 when the plan may be applied.
    (repo / "features.py").write_text("def f(:\n")
    unreadable = command("plan", folder)
    assert unreadable.returncode == 1
    assert "features.py:1: SyntaxError" in unreadable.stdout
    (repo / "features.py").write_text(FEATURES)
    fine = command("plan", folder)
    assert fine.returncode == 0, fine.stdout
    assert "No changes" in fine.stdout
    after = files_of(tmp_path / ".feature-lineage"), files_of(repo), mlflow.ops_runs(project)
    assert after[0] == before[0]
    assert after[1].keys() == before[1].keys()
    assert after[1]["data/registry.db"] == before[1]["data/registry.db"]
    assert after[2] == before[2]


def test_every_command_has_help_and_exit_codes() -> None:
    overview = command("--help").stdout
    for name in COMMANDS:
        assert f"  {name} " in overview
    for name, codes in {"local": "012", "plan": "01234"}.items():
        helped = command(name, "--help")
        assert helped.returncode == 0
        assert "Exit codes" in helped.stdout
        for code in codes:
            assert f"\n    {code}  " in helped.stdout
    assert command("frobnicate").returncode == 2
    assert command("--version").stdout.startswith("feature-lineage, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    done = command("completion", shell)

    assert done.returncode == 0
    assert "_FEATURE_LINEAGE_COMPLETE" in done.stdout
