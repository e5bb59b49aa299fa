"""The older of two resources owns a project; deleting others' objects needs a permission."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.local.conftest import run_once
from tests.local.scene import FEATURES, project_manifest, write_repo, write_yaml
from tests.local.state_reader import feast, files_of, read_state, registry_of, state_file

ANNOTATION = "featurelineage.io/allow-adoption"
SMALLER = FEATURES[: FEATURES.index("driver_activity_v1")]


@pytest.mark.slow
async def test_older_project_owns_and_adoption_needs_permission(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    owned, adopted = unique("owned"), unique("adopted")
    write_repo(tmp_path / "owned", owned)
    theirs = write_repo(tmp_path / "adopted", adopted)
    feast(theirs, "apply")
    registry = (theirs / "data" / "registry.db").read_bytes()
    (theirs / "features.py").write_text(SMALLER)

    adopter = project_manifest(adopted, name="adopter", source={"local": {"path": "adopted"}})
    documents = [
        project_manifest(owned, name="z-older", source={"local": {"path": "owned"}}),
        adopter,
    ]
    write_yaml(tmp_path / "manifests.yaml", *documents)
    assert not await run_once(tmp_path)
    assert read_state(tmp_path, "z-older").state("Ready")[0] == "True"

    # Their objects are not in this repo: the first apply would delete them, so it stops.
    stopped = read_state(tmp_path, "adopter")
    assert stopped.state("Applied") == ("False", "AdoptionWouldDelete")
    assert stopped.state("Stalled") == ("True", "AdoptionWouldDelete")
    assert "feature_service/driver_activity_v1" in stopped.message("Applied")
    digest = stopped.status["plan"]["digest"][:12]
    assert f'{ANNOTATION}: "{digest}: <why>"' in stopped.message("Applied")
    assert (theirs / "data" / "registry.db").read_bytes() == registry

    # A younger resource for the same project in the same registry never applies.
    documents.append(project_manifest(owned, name="a-younger", source={"local": {"path": "owned"}}))
    adopter["metadata"]["annotations"] = {ANNOTATION: f"{digest}: moved here"}
    write_yaml(tmp_path / "manifests.yaml", *documents)
    before = files_of(tmp_path / "owned" / "data")["registry.db"]
    make_older(tmp_path, "z-older")
    assert not await run_once(tmp_path)

    younger = read_state(tmp_path, "a-younger")
    assert younger.state("Applied") == ("False", "ProjectOwnedByOther")
    assert younger.state("Stalled") == ("True", "ProjectOwnedByOther")
    assert "delete one of the two" in younger.message("Applied")
    assert read_state(tmp_path, "z-older").state("Ready")[0] == "True"
    assert files_of(tmp_path / "owned" / "data")["registry.db"] == before

    done = read_state(tmp_path, "adopter")
    assert done.state("Ready")[0] == "True"
    assert registry_of(theirs)["services"] == []
    assert done.status["applied"]["deleted"] == 1
    assert done.status["operations"][0]["override"] == {
        "kind": "allow-adoption",
        "why": "moved here",
    }

    # Without the older resource, the younger one continues automatically.
    write_yaml(tmp_path / "manifests.yaml", *documents[1:])
    await run_once(tmp_path)
    assert await run_once(tmp_path)
    assert read_state(tmp_path, "a-younger").state("Ready")[0] == "True"
    assert not state_file(tmp_path, "z-older").exists()


def make_older(folder: Path, name: str) -> None:
    """Set the creation time of a resource to an earlier year."""
    path = state_file(folder, name)
    resource = yaml.safe_load(path.read_text())
    resource["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    path.write_text(yaml.safe_dump(resource))
