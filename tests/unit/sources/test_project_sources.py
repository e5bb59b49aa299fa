"""A source that a cluster cannot resolve has the documented reason."""

from collections.abc import Mapping

import pytest

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.errors import HostNotAllowed, TerminalError
from feature_lineage.objects import ObjectKind
from feature_lineage.sources.project_sources import cluster_sources


class Nothing:
    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        raise AssertionError(f"{kind} {namespace}/{name} is not asked for")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"local": {"path": "repo"}}, "LocalSourceUnsupported"),
        ({"git": {"url": "file:///srv/repo", "ref": {"branch": "main"}}}, "HostNotAllowed"),
    ],
    ids=["local", "file"],
)
async def test_a_cluster_refuses_local_folders_and_file_urls(
    source: dict[str, object], reason: str
) -> None:
    project = FeatureStoreProject.model_validate(
        {"metadata": {"name": "ranking"}, "spec": {"project": "ranking", "source": source}}
    )

    with pytest.raises(TerminalError) as caught:
        await cluster_sources(Nothing(), "runner:1", lambda _: True).resolve(project)

    assert caught.value.reason == reason
    assert reason in PROJECT_REASONS[ProjectCondition.SOURCE_READY]


async def test_a_git_host_not_on_the_allowlist_is_refused() -> None:
    git = {"url": "https://git.example.org/repo", "ref": {"commit": "a" * 40}}
    spec = {"project": "ranking", "source": {"git": git}}
    project = FeatureStoreProject.model_validate({"metadata": {"name": "ranking"}, "spec": spec})

    with pytest.raises(HostNotAllowed, match="is not on a host in the platform's allowedGitHosts"):
        await cluster_sources(Nothing(), "runner:1", lambda _: False).resolve(project)


async def test_the_revision_of_an_image_is_its_name() -> None:
    spec = {"project": "ranking", "source": {"image": {"path": "/repo"}}}
    own = {**spec, "runtime": {"image": "team/repo:7"}}
    found = [
        await cluster_sources(Nothing(), "runner:1", lambda _: True).resolve(
            FeatureStoreProject.model_validate({"metadata": {"name": "ranking"}, "spec": each})
        )
        for each in (spec, own)
    ]

    assert [facts.revision for facts in found] == ["image:runner:1", "image:team/repo:7"]
