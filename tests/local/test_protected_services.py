"""A protected feature service without a model: held, said everywhere, and let through."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import run_once
from tests.local.scene import FEATURES, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, read_state, registry_of

SERVICES = {"protection": {"services": {"include": ["driver_activity_*"]}}}
WITHOUT = FEATURES[: FEATURES.index("driver_activity_v1 = ")]
HARMLESS = FEATURES.replace('name="driver_activity_v1",', 'name="driver_activity_v1", owner="us",')


def planned(folder: Path, *options: str) -> dict[str, Any]:
    result = command("plan", str(folder), "-o", "json", *options)
    plan: dict[str, Any] = json.loads(result.stdout)[0]
    return {"code": result.returncode, **plan}


@pytest.mark.slow
async def test_a_service_leaves_in_two_commits_or_by_permission(tmp_path: Path) -> None:
    repo = write_repo(tmp_path / "repo", "services")
    manifest = project_manifest("services", apply=SERVICES)
    write_yaml(tmp_path / "m.yaml", manifest)
    assert await run_once(tmp_path)

    # Before a change: who would be affected. There is no MLflow.
    reach = json.loads(
        command("impact", str(tmp_path), "driver_hourly_stats:trips", "-o", "json").stdout
    )
    assert (reach[0]["total"], reach[0]["protectedServices"]) == (0, ["driver_activity_v1"])
    unused = command("impact", str(tmp_path), "driver_hourly_stats:acc_rate")
    assert unused.returncode == 0
    assert "protected" not in unused.stdout
    text = command("impact", str(tmp_path), "service/driver_activity_v1").stdout
    assert "protected feature services: driver_activity_v1" in text

    # A harmless change of the service passes.
    (repo / "features.py").write_text(HARMLESS)
    assert await run_once(tmp_path)
    assert read_state(tmp_path).status["plan"]["verdict"] == "Clean"

    # One commit removes the service and its protection: it is held, here and in a check with an
    # empty state folder.
    (repo / "features.py").write_text(WITHOUT)
    write_yaml(tmp_path / "m.yaml", project_manifest("services"))
    check = planned(tmp_path, "--state", str(tmp_path / "ci-state"))
    assert (check["code"], check["verdict"]) == (3, "Blocked")
    assert [impact["service"] for impact in check["impacts"]] == ["driver_activity_v1"]
    assert check["summary"] == "1 to delete; 1 protected feature service: 1 broken."
    lines = command("plan", str(tmp_path)).stdout.splitlines()
    assert "  Affected feature services, by cause:" in lines
    assert "    Broken: feature service driver_activity_v1 is gone" in lines
    assert "      feature service driver_activity_v1" in lines
    assert not await run_once(tmp_path)
    held = read_state(tmp_path)
    assert held.state("Applied") == held.state("Ready") == ("False", "Blocked")
    assert "feature service driver_activity_v1 is gone" in held.message("Applied")
    assert held.event_messages("Blocked") == [held.message("Applied")]
    plan = held.status["plan"]
    assert (plan["impactsTotal"], plan["impacts"][0]["service"]) == (1, "driver_activity_v1")
    assert "model" not in plan["impacts"][0]

    # A permission for this plan lets it through, and is recorded.
    manifest = project_manifest("services")
    why = f"{plan['digest'][:12]}: no client asks for it"
    manifest["metadata"]["annotations"] = {"featurelineage.io/allow-breaking": why}
    write_yaml(tmp_path / "m.yaml", manifest)
    assert await run_once(tmp_path)
    allowed = read_state(tmp_path)
    assert allowed.status["plan"]["verdict"] == "Allowed"
    override = {"kind": "allow-breaking", "why": "no client asks for it"}
    assert allowed.status["operations"][0]["override"] == override
    assert "feature service driver_activity_v1 is gone" in allowed.event_messages("ModelsHurt")[0]

    # Or the protection goes first, in a commit of its own.
    write_yaml(tmp_path / "m.yaml", project_manifest("services", apply=SERVICES))
    (repo / "features.py").write_text(FEATURES)
    assert await run_once(tmp_path)
    write_yaml(tmp_path / "m.yaml", project_manifest("services"))
    assert await run_once(tmp_path)
    (repo / "features.py").write_text(WITHOUT)
    assert await run_once(tmp_path)
    assert registry_of(repo)["features"]
    assert read_state(tmp_path).status["plan"]["verdict"] == "Clean"
