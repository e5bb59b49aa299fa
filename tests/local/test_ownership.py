"""Who has applied a project owns it; what belongs to others needs a permission."""

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
async def test_who_has_applied_owns_and_adoption_needs_permission(
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
        project_manifest(owned, name="owner", source={"local": {"path": "owned"}}),
        adopter,
    ]
    write_yaml(tmp_path / "manifests.yaml", *documents)
    assert not await run_once(tmp_path)
    assert read_state(tmp_path, "owner").state("Ready")[0] == "True"
    revision = read_state(tmp_path, "owner").status["applied"]["revision"]

    # Their objects are not in this repo: the first apply would delete them, so it stops.
    stopped = read_state(tmp_path, "adopter")
    assert stopped.state("Applied") == ("False", "AdoptionWouldDelete")
    assert stopped.state("Stalled") == ("True", "AdoptionWouldDelete")
    assert "feature_service/driver_activity_v1" in stopped.message("Applied")
    digest = stopped.status["plan"]["digest"][:12]
    assert f'{ANNOTATION}: "{digest}: <why>"' in stopped.message("Applied")
    assert (theirs / "data" / "registry.db").read_bytes() == registry

    # Another resource for the same project in the same registry never applies, although it is
    # older, and although its status says that it has applied there.
    claimant = project_manifest(owned, name="claimant", source={"local": {"path": "owned"}})
    waiting = project_manifest(owned, name="waiting", source={"local": {"path": "nowhere"}})
    documents += [claimant, waiting]
    adopter["metadata"]["annotations"] = {ANNOTATION: f"{digest}: moved here"}
    write_yaml(tmp_path / "manifests.yaml", *documents)
    before = files_of(tmp_path / "owned" / "data")["registry.db"]
    assert not await run_once(tmp_path)
    for name in ("claimant", "waiting"):
        forge_claim(tmp_path, name, "owner")
    (tmp_path / "owned" / "features.py").write_text(f"{FEATURES}\n# another revision\n")
    assert not await run_once(tmp_path)

    owner = read_state(tmp_path, "owner")
    assert owner.state("Ready") == ("True", "Succeeded")
    assert owner.status["applied"]["revision"] != revision
    refused = read_state(tmp_path, "claimant")
    assert refused.state("Applied") == ("False", "ProjectOwnedByOther")
    assert refused.state("Stalled") == ("True", "ProjectOwnedByOther")
    assert "another resource applied this project" in refused.message("Applied")
    assert "owner" not in refused.message("Applied")
    assert files_of(tmp_path / "owned" / "data")["registry.db"] == before

    done = read_state(tmp_path, "adopter")
    assert done.state("Ready")[0] == "True"
    assert registry_of(theirs)["services"] == []
    assert done.status["applied"]["deleted"] == 1
    assert done.status["operations"][0]["override"] == {
        "kind": "allow-adoption",
        "why": "moved here",
    }

    # The owner is gone and its objects stayed: a permission hands the project over.
    digest = refused.status["plan"]["digest"][:12]
    claimant["metadata"]["annotations"] = {ANNOTATION: f"{digest}: the owner is gone"}
    write_yaml(tmp_path / "manifests.yaml", *documents[1:3])
    assert await run_once(tmp_path)
    taken = read_state(tmp_path, "claimant")
    assert taken.state("Ready") == ("True", "Succeeded")
    assert taken.status["operations"][0]["override"]["why"] == "the owner is gone"
    assert not state_file(tmp_path, "owner").exists()


def forge_claim(folder: Path, name: str, victim: str) -> None:
    """Make a resource the older one, with the registry of another in its status."""
    theirs, path = yaml.safe_load(state_file(folder, victim).read_text()), state_file(folder, name)
    resource = yaml.safe_load(path.read_text())
    resource["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    resource["status"] |= {key: theirs["status"][key] for key in ("registry", "applied")}
    path.write_text(yaml.safe_dump(resource))
