"""Unusable manifests and state folders: exit code 2, a message with the error, no data loss."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import model_manifest, project_manifest, write_repo, write_yaml
from tests.local.state_reader import command, files_of, read_state

from feature_lineage.decide.facts import Key, Resource
from feature_lineage.errors import InvalidManifest, StateUnusable
from feature_lineage.local.host import LocalHost
from feature_lineage.local.state_folder import StateFolder
from feature_lineage.reconcile.reconciler import ReconcileResult

HEAD = (
    "apiVersion: featurelineage.io/v1alpha1\nkind: FeatureStoreProject\nmetadata: {name: other}\n"
)
MODEL = "apiVersion: featurelineage.io/v1alpha1\nkind: TrainedModel\nmetadata: {name: m}\n"
BAD = {
    "yaml.yaml": ("a: [1,\nb: }\n", "yaml.yaml:2"),
    "unknown.yaml": (
        f"{HEAD}spec: {{project: other, source: {{local: {{path: r}}}}, shedules: []}}\n",
        "spec.shedules",
    ),
    "both.yaml": (
        f"{HEAD}spec:\n  project: other\n  source: {{local: {{path: r}}, image: {{path: /r}}}}\n",
        "spec.source",
    ),
    "neither.yaml": (f"{HEAD}spec: {{project: other, source: {{}}}}\n", "spec.source"),
    "alias.yaml": (
        f"{MODEL}spec: {{projectRef: {{name: driver}}, model: {{name: m}}}}\n",
        "spec.model",
    ),
}

DAMAGED = {
    "status: [": "cannot be read",
    "- 1": "contains no resource",
    "spec: 1": "does not validate",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose one project is suspended, so a reconcile starts no job."""
    write_repo(tmp_path / "repo", "paused")
    write_yaml(tmp_path / "manifests.yaml", project_manifest("paused", suspend=True))
    return tmp_path


def test_bad_manifests_are_all_reported_and_nothing_changes(folder: Path) -> None:
    assert command("local", str(folder), "--once").returncode == 1  # suspended is not Ready
    before = files_of(folder / ".feature-lineage")
    for name, (text, _) in BAD.items():
        (folder / name).write_text(text)
    write_yaml(folder / "again.yaml", project_manifest("paused", suspend=True))
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")

    for arguments in (
        ["local", str(folder), "--once"],
        ["plan", str(folder)],
        ["get", str(folder)],
    ):
        done = command(*arguments)
        assert done.returncode == 2, arguments
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        for name, (_, what) in BAD.items():
            line = next(text for text in done.stderr.splitlines() if name in text)
            assert what in line or what in done.stderr, (name, done.stderr)
        assert "binary.yaml: cannot be read" in done.stderr
        assert "FeatureStoreProject/default/driver is defined twice; keep one" in done.stderr
    assert files_of(folder / ".feature-lineage") == before


async def test_running_host_keeps_the_last_valid_manifests(
    folder: Path,
) -> None:
    """Without --once: an invalid file is reported and the project kept; a corrected one is used."""
    recorder = AwaitableRecorder()
    stop = asyncio.Event()
    host = LocalHost(folder, folder / ".feature-lineage", recorder)
    async with asyncio.timeout(60), host:
        running = asyncio.create_task(host.run(stop))
        await recorder.until(lambda: len(recorder.reconciles) >= 1)
        (folder / "bad.yaml").write_text(BAD["unknown.yaml"][0])
        await recorder.until(lambda: len(recorder.rejected) >= 1)
        assert "spec.shedules" in recorder.rejected[0].message
        assert [key.name for key in host.resources.all_keys()] == ["driver"]

        (folder / "bad.yaml").unlink()
        write_yaml(folder / "model.yaml", model_manifest("m"))
        await recorder.until(lambda: any(key.name == "ranker" for key, _ in recorder.reconciles))
        stop.set()
        await running
    assert read_state(folder, "ranker", "ftm").state("Ready") == ("False", "ProjectNotReady")
    assert "set spec.mlflow" in read_state(folder, "ranker", "ftm").message("Ready")


def test_a_folder_that_is_not_there_or_holds_nothing_says_so(tmp_path: Path) -> None:
    absent = command("local", str(tmp_path / "absent"), "--once")
    assert absent.returncode == 2
    assert "absent does not exist; name a folder with manifests" in absent.stderr
    assert not (tmp_path / "absent").exists()
    assert command("get", str(tmp_path)).stdout == "No resources found.\n"
    nothing = command("plan", str(tmp_path))
    assert nothing.returncode == 2
    assert "there is nothing to plan" in nothing.stderr


@pytest.mark.parametrize("name", ["first", "again"])
def test_resources_that_are_not_ready_are_named(folder: Path, name: str) -> None:
    if name == "again":
        command("local", str(folder), "--once")

    ended = command("local", str(folder), "--once")

    assert ended.returncode == 1
    assert ended.stderr.count("= fsp/driver  not Ready, Suspended: ") == 1


def test_a_state_folder_in_use_is_left_alone(folder: Path) -> None:
    state = StateFolder(folder / ".feature-lineage")
    state.acquire()
    try:
        before = files_of(state.root)
        second = command("local", str(folder), "--once")
        assert second.returncode == 2
        assert "is in use by another host (process " in second.stderr
        assert "name another folder with --state" in second.stderr
        assert files_of(state.root) == before
        # `describe` takes no lock, and another state folder is another host.
        assert command("get", str(folder)).returncode == 0
        elsewhere = command("local", str(folder), "--once", "--state", str(folder / "elsewhere"))
        assert elsewhere.returncode == 1
    finally:
        state.release()


def test_a_state_folder_that_cannot_be_written_says_so(folder: Path) -> None:
    """Under root no permission is denied, so the test puts a file where a folder is needed."""
    (folder / ".feature-lineage").write_text("")
    whole = command("local", str(folder), "--once")
    assert whole.returncode == 2
    assert "cannot be written" in whole.stderr
    assert "--state" in whole.stderr

    (folder / ".feature-lineage").unlink()
    (folder / ".feature-lineage").mkdir()
    (folder / ".feature-lineage" / "resources").write_text("")
    part = command("local", str(folder), "--once")
    assert part.returncode == 2
    assert "Traceback" not in part.stderr
    assert ".feature-lineage/resources/" in part.stderr


async def test_a_state_file_that_is_damaged_is_named_and_kept(folder: Path) -> None:
    await run_once(folder)
    path = folder / ".feature-lineage/resources/FeatureStoreProject/default/driver.yaml"
    for text, what in DAMAGED.items():
        path.write_text(text)

        with pytest.raises(StateUnusable) as caught:
            await run_once(folder)

        assert what in caught.value.message
        assert "empty status" in caught.value.message
        assert path.read_text() == text
    done = command("local", str(folder), "--once")
    assert done.returncode == 2
    assert caught.value.message in done.stderr
    assert "Traceback" not in done.stderr


class AwaitableRecorder(EventRecorder):
    """A listener that a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def reconciled(
        self, key: Key, before: Resource, result: ReconcileResult, seconds: float
    ) -> None:
        super().reconciled(key, before, result, seconds)
        self._news.set()

    def invalid(self, error: InvalidManifest) -> None:
        super().invalid(error)
        self._news.set()

    async def until(self, holds: Callable[[], Any]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()
