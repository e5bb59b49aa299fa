"""The resources of a manifest folder, and their index."""

from datetime import timedelta
from pathlib import Path

from tests.unit.decide.build import NOW, ProjectScenario, model

from feature_lineage.api import TrainedModel
from feature_lineage.decide.facts import Key, Resource
from feature_lineage.local.folder import LocalResources, Manifests
from feature_lineage.local.state_folder import StateFolder

CHAMPION = Key("TrainedModel", "ml", "champion")


def _manifests(*resources: Resource) -> Manifests:
    return Manifests({Key(r.kind, r.metadata.namespace, r.metadata.name): r for r in resources}, ())


def test_a_manifest_from_a_cluster_gets_new_metadata(tmp_path: Path) -> None:
    exported = ProjectScenario().apply()
    exported.delete()
    resources = LocalResources(StateFolder(tmp_path))

    resources.load(_manifests(exported.project), NOW, keep=True)

    taken = resources.project("ml", "ranking")
    assert taken is not None
    assert taken.status == type(taken.status)()
    assert taken.metadata.deletion_timestamp is None


async def test_models_are_found_by_their_registered_model(tmp_path: Path) -> None:
    resources = LocalResources(StateFolder(tmp_path))
    other = {"name": "other_model", "alias": "champion"}

    def named(name: str) -> list[TrainedModel]:
        return list(resources.models_named(name))

    resources.load(_manifests(model()), NOW, keep=True)
    assert named("driver_model") == list(resources.models())

    resources.load(_manifests(model(model=other)), NOW + timedelta(seconds=1), keep=True)
    assert not named("driver_model")
    assert named("other_model") == list(resources.models())

    saved = model(model=other, status={"observedGeneration": 1})
    await resources.save(saved)
    assert named("other_model") == [saved]

    resources.drop(CHAMPION)
    assert not named("other_model")
