"""Sources of a repo: a Git branch or a ConfigMap; each change is the next revision."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import run_once
from tests.local.scene import FEATURE_STORE, FEATURES, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state, registry_of

WIDER = FEATURES.replace(
    'Field(name="trips", dtype=Int64),',
    'Field(name="trips", dtype=Int64), Field(name="rating", dtype=Float32),',
)


@pytest.mark.slow
async def test_commits_and_config_maps_are_applied_as_they_change(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    committed, mapped = unique("committed"), unique("mapped")
    origin, folder = tmp_path / "origin", tmp_path / "folder"
    folder.mkdir()
    write_repo(origin / "features" / "repo", committed)
    git(origin, "init", "-q", "-b", "main")
    first = commit(origin, "first")
    git_source = {"url": f"file://{origin}", "ref": {"branch": "main"}, "path": "features/repo"}
    projects = [
        project_manifest(committed, name="committed", source={"git": git_source}),
        project_manifest(mapped, name="mapped", source={"configMapRef": {"name": "repo"}}),
    ]
    write_yaml(folder / "manifests.yaml", *projects, config_map(mapped, FEATURES))
    assert await run_once(folder)

    assert read_state(folder, "committed").status["applied"]["revision"] == first
    assert first[:12] in read_state(folder, "committed").message("SourceReady")
    tree, copy = working_tree(folder, "committed"), working_tree(folder, "mapped")
    assert registry_of(tree)["services"] == registry_of(copy)["services"] == ["driver_activity_v1"]
    before = read_state(folder, "mapped").status["applied"]["revision"]

    # The next commit, and the next content; the registries next to the code are kept.
    (origin / "features" / "repo" / "features.py").write_text(WIDER)
    second = commit(origin, "second")
    write_yaml(folder / "manifests.yaml", *projects, config_map(mapped, WIDER))
    assert await run_once(folder)

    assert read_state(folder, "committed").status["applied"]["revision"] == second
    assert read_state(folder, "mapped").status["applied"]["revision"] != before
    for name, repo in (("committed", tree), ("mapped", copy)):
        assert "driver_hourly_stats:rating" in registry_of(repo)["features"]
        applied = read_state(folder, name).status["applied"]
        assert (applied["created"], applied["updated"], applied["deleted"]) == (0, 1, 0)

    # The named ref is deleted: the condition says so, and the revision in effect is kept.
    git(origin, "branch", "-m", "main", "trunk")
    write_yaml(folder / "manifests.yaml", *projects)
    assert not await run_once(folder)

    for name, fact in (("committed", "main"), ("mapped", "ConfigMap default/repo does not exist")):
        lost = read_state(folder, name)
        assert lost.state("SourceReady")[0] == "False"
        assert fact in lost.message("SourceReady")
        assert lost.state("Ready")[0] == "False"
        assert lost.state("Applied")[0] == "True"
    assert read_state(folder, "committed").state("SourceReady")[1] == "RefNotFound"
    assert "driver_hourly_stats:rating" in registry_of(tree)["features"]


def config_map(project: str, features: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "repo"},
        "data": {
            "feature_store.yaml": FEATURE_STORE.format(project=project),
            "definitions__features.py": features,
        },
    }


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def working_tree(folder: Path, name: str) -> Path:
    """Where the local host keeps the repo of a project that is not a local folder."""
    home = folder / ".feature-lineage" / "repos" / "default" / name
    (settings,) = home.rglob("feature_store.yaml")
    return settings.parent


@pytest.mark.real_processes
@pytest.mark.slow
async def test_pythonpath_comes_from_the_manifest_only(
    tmp_path: Path, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package beside the repo: `runtime.env` may name its folder; this process cannot."""
    project = unique("pathed")
    write_repo(tmp_path / "repo", project, "import beside\n" + FEATURES)
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "beside.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project))
    assert not await run_once(tmp_path)
    assert "there is no module named 'beside'" in read_state(tmp_path).message("Applied")

    env = [{"name": "PYTHONPATH", "value": str(tmp_path / "packages")}]
    write_yaml(tmp_path / "manifests.yaml", project_manifest(project, runtime={"env": env}))
    assert await run_once(tmp_path)
