"""A removed manifest deletes objects in Feast only if the user asks for it, and `plan` says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.scene import FEATURES, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, registry_of


@pytest.mark.slow
def test_a_removed_manifest_deletes_only_with_the_option(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    folder = str(tmp_path)
    stays, goes = unique("stays"), unique("goes")
    for name, project in (("stays", stays), ("goes", goes)):
        write_repo(tmp_path / "repos" / name, project, FEATURES)
        source = {"local": {"path": f"repos/{name}"}}
        manifest = project_manifest(project, name=name, source=source, deletionPolicy="Delete")
        write_yaml(tmp_path / f"{name}.yaml", manifest)
    assert command("local", folder, "--once").returncode == 0
    before = registry_of(tmp_path / "repos" / "goes")
    assert before["features"]

    # A file in place of the folder is refused: the other manifest would count as removed.
    for name in ("local", "plan"):
        of_file = command(name, f"{folder}/stays.yaml", *(["--once"] if name == "local" else []))
        assert (of_file.returncode, of_file.stdout) == (2, "")
        assert "stays.yaml is a file, and the other manifests of its folder" in of_file.stderr
        assert f"name the folder {folder}" in of_file.stderr

    (tmp_path / "goes.yaml").unlink()
    planned = command("plan", folder)
    assert planned.returncode == 0, planned.stderr
    assert "fsp/goes  removed" in planned.stdout
    assert "`local --delete-removed` would delete the project" in planned.stdout
    as_data = {
        item["resource"]: item for item in json.loads(command("plan", folder, "-o", "json").stdout)
    }
    assert as_data["FeatureStoreProject/default/goes"]["verdict"] == "Removed"
    assert as_data["FeatureStoreProject/default/stays"]["verdict"] == "Clean"

    kept = command("local", folder, "--once")
    assert kept.returncode == 0, kept.stderr
    assert "fsp/goes  its manifest was removed" in kept.stderr
    assert registry_of(tmp_path / "repos" / "goes") == before
    assert "goes" in command("get", folder).stdout

    deleted = command("local", folder, "--once", "--delete-removed")
    assert deleted.returncode == 0, deleted.stderr
    assert not registry_of(tmp_path / "repos" / "goes")["features"]
    assert registry_of(tmp_path / "repos" / "stays")["features"]
    assert "goes" not in command("get", folder).stdout
