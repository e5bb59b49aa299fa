"""Repos that cannot be applied: each message says what is wrong and where; nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import FEATURES, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state, registry_of

LOUD = """
import sys
for _ in range(10):
    print("x" * (1 << 20))
sys.stdout.flush()
"""
BROKEN: dict[str, tuple[str, str, str, str]] = {
    # name: start of features.py, reason, fact, next step
    "syntax": ("def f(:\n", "InvalidRepo", "features.py:1: SyntaxError", ""),
    "import": (
        "from feast import Nothing\n",
        "InvalidRepo",
        "features.py:1: ImportError",
        "Nothing",
    ),
    "package": (
        "import notthere\n",
        "InvalidRepo",
        "features.py:1: there is no module named 'notthere'",
        "spec.runtime.image",
    ),
    "endless": ("while True: pass\n", "DeadlineExceeded", "its deadline of 10 s has passed", ""),
}
WRONG: dict[str, tuple[str, str, str]] = {
    "misnamed": ("ProjectMismatch", "says project 'another'", "make them the same"),
    "unsettled": ("InvalidRepo", "there is no feature_store.yaml", "is the path right?"),
    "unset": ("InvalidRepo", "variables that are not set: FEAST_UNSET_DATA", "set them in"),
    "corrupt": ("RegistryUnreadable", "data/registry.db cannot be read", "restore it"),
    "nowhere": ("RefNotFound", "is not a folder", "point source.local.path at"),
}


@pytest.mark.slow
async def test_bad_repo_is_explained_and_writes_nothing(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """All of them in one folder: the good project is not affected, and neither are the others."""
    projects = {name: unique(name) for name in (*BROKEN, *WRONG, "loud")}

    def manifest(name: str) -> dict[str, Any]:
        # A repo that does not end is not retried: it would run to its deadline again.
        runtime = {"timeout": "10s", "retries": 0} if name == "endless" else {"retries": 0}
        source = {"local": {"path": name}}
        return project_manifest(projects[name], name=name, source=source, runtime=runtime)

    for name, project in projects.items():
        if name != "nowhere":
            prefix = LOUD if name == "loud" else BROKEN.get(name, ("",))[0]
            write_repo(tmp_path / name, project, prefix + FEATURES)
    settings = tmp_path / "misnamed" / "feature_store.yaml"
    settings.write_text(settings.read_text().replace(projects["misnamed"], "another"))
    (tmp_path / "unsettled" / "feature_store.yaml").unlink()
    settings = tmp_path / "unset" / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("data/", "${FEAST_UNSET_DATA}/"))
    garbage = b"\xff\xfe this is no registry \x00" * 100
    (tmp_path / "corrupt" / "data" / "registry.db").write_bytes(garbage)
    write_yaml(tmp_path / "manifests.yaml", *map(manifest, projects))
    assert not await run_once(tmp_path)

    for name, (_, reason, fact, step) in BROKEN.items():
        project_ = read_state(tmp_path, name)
        assert project_.state("Applied") == ("False", reason), name
        assert project_.state("Ready") == ("False", reason), name
        assert project_.state("Stalled") == ("True", reason), name
        assert fact in project_.message("Applied"), name
        assert step in project_.message("Applied"), name
        assert [op["result"] for op in project_.status["operations"]] == ["Failed"], name
        assert project_.event_messages(reason), name
        assert not (tmp_path / name / "data" / "registry.db").exists(), name
    for name, (reason, fact, step) in WRONG.items():
        project_ = read_state(tmp_path, name)
        assert project_.state("Ready") == ("False", reason), name
        assert fact in project_.message("Ready"), name
        assert step in project_.message("Ready"), name
        assert "applied" not in project_.status, name
    assert (tmp_path / "corrupt" / "data" / "registry.db").read_bytes() == garbage
    assert not list((tmp_path / "unset").glob("*$*"))

    # The output of a repo is read but not kept: ten megabytes have no effect.
    assert read_state(tmp_path, "loud").state("Ready")[0] == "True"
    assert registry_of(tmp_path / "loud")["services"] == ["driver_activity_v1"]
    state = tmp_path / ".feature-lineage"
    assert sum(path.stat().st_size for path in state.rglob("*") if path.is_file()) < 1 << 20

    # A requested reconcile retries, because a package may have been installed; the repo is applied.
    (tmp_path / "syntax" / "features.py").write_text(FEATURES)
    write_yaml(tmp_path / "manifests.yaml", *map(manifest, ["syntax", "package", "misnamed"]))
    recorder = EventRecorder()
    assert not await run_once(tmp_path, recorder)
    assert read_state(tmp_path, "syntax").state("Ready")[0] == "True"
    assert len(read_state(tmp_path, "package").status["operations"]) == 2
    assert {event.key.name for event in recorder.events} == {"syntax", "package", "misnamed"}
