"""A project behind a real Feast registry server (``registry_type: remote``), observed and planned.

Its registry was once read as empty: a healthy champion was Broken, and each plan was Clean.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state
from tests.local.test_serving import train
from tests.servers.registry import start_registry_server


def by_server(repo: Path, folder: Path, project: str, address: str) -> Path:
    """A copy of the repo that names the server in place of the registry."""
    shutil.copytree(repo, folder)
    (folder / "feature_store.yaml").write_text(
        f"project: {project}\nprovider: local\nentity_key_serialization_version: 3\n"
        f"registry: {{registry_type: remote, path: '{address}'}}\n"
        f"online_store: {{type: sqlite, path: {repo}/data/online.db}}\n"
    )
    return folder


@pytest.mark.slow
async def test_a_champion_behind_a_registry_server(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("remote")
    owner, user = tmp_path / "owner", tmp_path / "user"
    repo = write_repo(owner / "repo", project)
    write_yaml(owner / "m.yaml", project_manifest(project, mlflow.url))
    assert await run_once(owner)
    train(repo, mlflow, project, "driver_activity_v1")

    with start_registry_server(repo) as address:
        copy = by_server(repo, user / "repo", project, address)
        observed = project_manifest(project, mlflow.url, apply={"mode": "Observe"})
        write_yaml(user / "m.yaml", observed, model_manifest(project))
        assert await run_once(user)
        assert read_state(user).state("Applied") == ("True", "Observed")
        model = read_state(user, "ranker", "ftm").status["lineage"]
        assert (model["verdict"], model["problems"]) == ("Verified", [])

        clean = command("plan", str(user), "-o", "json")
        assert (clean.returncode, json.loads(clean.stdout)[0]["changes"]) == (0, [])
        (copy / "features.py").write_text(FEATURES.replace('"trips"', '"rides"'))
        assert command("plan", str(user)).returncode == 3

        write_yaml(user / "m.yaml", project_manifest(project, mlflow.url), model_manifest(project))
        assert not await run_once(user)
        refused = read_state(user)
        assert refused.state("Applied") == ("False", "InvalidRepo")
        assert refused.message("Applied").startswith("registry_type remote: apply needs")
