"""Each kind of source is in the table, and in the request of a pod."""

import base64
from pathlib import Path

import pytest

from feature_lineage.api import ConfigMap, FeatureStoreProject
from feature_lineage.api.sources import Source
from feature_lineage.errors import TerminalError
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.operations.pod_protocol import PodSource
from feature_lineage.sources.interface import SourceChanged
from feature_lineage.sources.project_sources import LocalProjectSources, local_sources
from feature_lineage.sources.source_kinds import SOURCE_KINDS


def test_every_field_of_a_source_has_a_kind() -> None:
    assert set(SOURCE_KINDS) == Source.model_fields.keys() - {"poll_interval"}


def test_every_field_of_a_pods_source_belongs_to_a_kind() -> None:
    fields = [kind.pod_field for kind in SOURCE_KINDS.values() if kind.pod_field]

    assert sorted(fields) == sorted(PodSource.model_fields)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    return tmp_path / "repo"


def sources(tmp_path: Path, text: str) -> LocalProjectSources:
    data = {"features.py": base64.b64encode(text.encode()).decode()}
    body = {"metadata": {"name": "repo"}, "binaryData": data}
    objects = FolderObjects([ConfigMap.model_validate(body)])
    return local_sources(objects, tmp_path, tmp_path / "repos")


@pytest.mark.parametrize("kind", ["local", "config_map"])
async def test_a_changed_source_is_not_prepared_for_an_apply(
    kind: str, repo: Path, tmp_path: Path
) -> None:
    source = {"local": {"path": "repo"}} if kind == "local" else {"configMapRef": {"name": "repo"}}
    spec = {"project": "ranking", "source": source}
    project = FeatureStoreProject.model_validate({"metadata": {"name": "ranking"}, "spec": spec})
    (repo / "features.py").write_text("x = 1\n")
    before = (await sources(tmp_path, "x = 1\n").resolve(project)).revision
    (repo / "features.py").write_text("x = 2\n")
    changed = sources(tmp_path, "x = 2\n")

    with pytest.raises(SourceChanged, match="its newest state is used next"):
        await changed.prepare(project, before, exact=True)

    folder = await changed.prepare(project, before, exact=False)
    assert (folder / "features.py").read_text() == "x = 2\n"


async def test_a_file_that_left_the_config_map_leaves_the_repo(tmp_path: Path) -> None:
    spec = {"project": "ranking", "source": {"configMapRef": {"name": "repo"}}}
    project = FeatureStoreProject.model_validate({"metadata": {"name": "ranking"}, "spec": spec})
    folder = await sources(tmp_path, "x = 1\n").prepare(project, "", exact=False)
    (folder / "old.py").write_text("y = 1\n")
    (folder / "registry.db").write_bytes(b"registry")

    await sources(tmp_path, "x = 1\n").prepare(project, "", exact=False)

    assert sorted(path.name for path in folder.iterdir()) == ["features.py", "registry.db"]


@pytest.mark.parametrize("key", ["..__evil.py", "a__..__..__evil.py", "__etc__evil.py", "a__.."])
async def test_a_key_that_leads_out_of_the_repository_is_refused(tmp_path: Path, key: str) -> None:
    spec = {"project": "ranking", "source": {"configMapRef": {"name": "repo"}}}
    project = FeatureStoreProject.model_validate({"metadata": {"name": "ranking"}, "spec": spec})
    body = {"metadata": {"name": "repo"}, "data": {key: "x = 1\n"}}
    objects = FolderObjects([ConfigMap.model_validate(body)])

    with pytest.raises(TerminalError, match="or is no file name; rename the key"):
        await local_sources(objects, tmp_path, tmp_path / "repos").prepare(project, "", exact=False)

    assert not list(tmp_path.rglob("evil.py"))
