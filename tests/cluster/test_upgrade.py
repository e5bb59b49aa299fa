"""The CRDs of an earlier version, objects stored with them, then the CRDs of today.

`previous/` holds the CRDs of an earlier version as they were generated then.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.controlplane import CRDS, ControlPlane

from feature_lineage.api.manifests import load_manifests, parse
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel

PREVIOUS = Path(__file__).parent / "previous"
CORPUS = Path(__file__).parents[1] / "corpus"
TYPES = {"FeatureStoreProject": FeatureStoreProject, "TrainedModel": TrainedModel}
CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Succeeded",
    "message": "",
    "lastTransitionTime": "2026-07-01T00:00:00Z",
}
STATUS = {
    "FeatureStoreProject": {
        "observedGeneration": 1,
        "sequence": 7,
        "conditions": [CONDITION],
        "operation": {
            "id": "apply-8-9f86d081884c7d65",
            "kind": "Apply",
            "sequence": 8,
            "attempt": 2,
            "phase": "Running",
        },
        "applied": {"revision": "3f78685", "registryDigest": "sha256:0f1e", "created": 3},
        "featureViews": [{"name": "stats", "materializedUntil": "2026-07-01T00:00:00Z"}],
        "counts": {"featureViews": 1, "staleViews": 0},
    },
    "TrainedModel": {
        "observedGeneration": 1,
        "conditions": [CONDITION],
        "resolved": {"version": "3", "aliases": ["champion"], "runId": "r1"},
        "lineage": {"verdict": "Verified", "featureCount": 2, "features": ["a:b", "a:c"]},
        "tags": {"writtenDigest": "sha256:0f1e"},
        "history": [{"version": "2", "from": "2026-06-01T00:00:00Z", "verdict": "Broken"}],
    },
}
DROPPED = {"TrainedModel": {"tags"}}
"""Parts of the status that later versions do not have any more."""

Key = tuple[str, str, str]


def stored(plane: ControlPlane) -> dict[Key, dict[str, Any]]:
    """Every object of ours, by kind, namespace and name."""
    listed = json.loads(plane.kubectl("get", "featurelineage", "-A", "-o", "json"))["items"]
    return {(o["kind"], o["metadata"]["namespace"], o["metadata"]["name"]): o for o in listed}


@pytest.fixture(scope="module")
def upgrade(control_plane):
    """A control plane of its own that was upgraded, and the objects before it was."""
    with ControlPlane().start(PREVIOUS) as plane:
        for number, path in enumerate(sorted(CORPUS.glob("good/*.yaml"))):
            inside = f"--namespace=corpus-{number}"
            plane.kubectl("create", "namespace", f"corpus-{number}")
            plane.kubectl("create", inside, "--validate=strict", "-f", str(path))
        for kind, namespace, name in stored(plane):
            patch = ("patch", kind, name, f"--namespace={namespace}", "--subresource=status")
            plane.kubectl(*patch, "--type=merge", "-p", json.dumps({"status": STATUS[kind]}))
        before = stored(plane)
        plane.establish(CRDS)
        yield plane, before


def test_the_previous_version_is_another_one():
    for path in CRDS.glob("*.yaml"):
        assert (PREVIOUS / path.name).read_text() != path.read_text()


def test_every_object_is_kept_as_it_was(upgrade):
    plane, before = upgrade

    after = stored(plane)

    assert len(before) >= 26
    assert after.keys() == before.keys()
    for key, was in before.items():
        is_now = after[key]
        assert is_now["spec"] == was["spec"], key
        assert is_now["metadata"]["uid"] == was["metadata"]["uid"], key
        assert is_now["metadata"]["generation"] == was["metadata"]["generation"], key
        kept = {k: v for k, v in was["status"].items() if k not in DROPPED.get(key[0], ())}
        assert is_now["status"] == kept, key


def test_every_object_reads_as_its_manifest_with_the_models_of_today(upgrade):
    plane, _ = upgrade
    specs = [
        manifest.resource.spec
        for path in CORPUS.glob("good/*.yaml")
        for manifest in load_manifests(path.read_text(encoding="utf-8"), path.name)
        if isinstance(manifest.resource, FeatureStoreProject | TrainedModel)
    ]

    resources = [parse(TYPES[kind], o) for (kind, _, _), o in stored(plane).items()]

    for resource in resources:
        assert resource.spec in specs
        assert resource.status.conditions[0].reason == "Succeeded"


def test_every_object_can_still_be_written(upgrade):
    plane, before = upgrade
    for kind, namespace, name in before:
        where = (kind, name, f"--namespace={namespace}")
        asked = ("--overwrite", "featurelineage.io/reconcile-requested-at=now")
        plane.kubectl("annotate", *where, *asked)
        patch = json.dumps({"status": {"observedGeneration": 2}})
        update = ("patch", *where, "--subresource=status", "--type=merge")
        plane.kubectl(*update, "-p", patch)

    for was in before.values():
        assert was["status"]["observedGeneration"] == 1
    assert {o["status"]["observedGeneration"] for o in stored(plane).values()} == {2}


def test_the_upgrade_needs_no_second_stored_version(upgrade):
    plane, _ = upgrade

    versions = plane.kubectl("get", "crd", "-o=jsonpath={.items[*].status.storedVersions}")

    assert set(versions.split()) == {'["v1alpha1"]'}
