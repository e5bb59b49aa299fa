"""The CRDs of an earlier version, objects stored with them, then the current CRDs.

`previous/` holds the generated CRDs of an earlier version.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.kubectl import manifest_list

from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.base import API_VERSION
from feature_lineage.api.enums import ReadyRequirement
from feature_lineage.api.manifests import load_manifests, parse
from feature_lineage.api.model_spec import TrainedModelSpec
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.api.yaml_text import read_documents

PREVIOUS = Path(__file__).parent / "previous"
NEWER = {"project-probe-off.yaml", "project-protected-services.yaml"}
"""Manifests with fields that the earlier version does not have."""
GOOD = sorted(
    path
    for path in (Path(__file__).parents[1] / "corpus" / "good").glob("*.yaml")
    if path.name not in NEWER
)
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
"""Fields of the status that later versions do not have any more."""

Key = tuple[str, str, str]


def stored(plane: ControlPlane) -> dict[Key, dict[str, Any]]:
    """Return every object of our kinds, by kind, namespace and name."""
    listed = json.loads(plane.kubectl("get", "featurelineage", "-A", "-o", "json"))["items"]
    return {(o["kind"], o["metadata"]["namespace"], o["metadata"]["name"]): o for o in listed}


def in_namespaces(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Return the documents of these files, each file in its own namespace, which comes first."""
    for number, path in enumerate(paths):
        name = f"corpus-{number}"
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for document in read_documents(path.read_text(encoding="utf-8")):
            metadata = {**document.content["metadata"], "namespace": name}
            yield {**document.content, "metadata": metadata}


def known(kind: str, status: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a status that the current version knows."""
    return {key: value for key, value in status.items() if key not in DROPPED.get(kind, ())}


def write_status(plane: ControlPlane, status: dict[str, dict[str, Any]]) -> None:
    """Give every stored object the status of its kind."""
    items = [
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "status": status[kind],
        }
        for kind, namespace, name in stored(plane)
    ]
    # kubectl's own validation would require the spec, which a status patch does not contain.
    apply = ("apply", "--server-side", "--subresource=status", "--validate=false", "-f", "-")
    plane.kubectl(*apply, stdin=manifest_list(items))


@pytest.fixture(scope="module")
def upgrade(control_plane):
    """A control plane that was upgraded, and the objects before the upgrade."""
    with ControlPlane().start(PREVIOUS) as plane:
        corpus = manifest_list(in_namespaces(GOOD))
        plane.kubectl("create", "--validate=strict", "-f", "-", stdin=corpus)
        write_status(plane, STATUS)
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
        assert is_now["status"] == known(key[0], was["status"]), key


def test_stored_objects_read_as_their_manifests(upgrade):
    plane, _ = upgrade
    specs = [
        as_stored(manifest.resource.spec)
        for path in GOOD
        for manifest in load_manifests(path.read_text(encoding="utf-8"), path.name)
        if isinstance(manifest.resource, FeatureStoreProject | TrainedModel)
    ]

    resources = [parse(TYPES[kind], o) for (kind, _, _), o in stored(plane).items()]

    for resource in resources:
        assert resource.spec in specs
        assert resource.status.conditions[0].reason == "Succeeded"


def as_stored(spec: FeatureStoreProjectSpec | TrainedModelSpec) -> Any:
    """The spec with the default that the earlier version stored, which is computed now."""
    if not isinstance(spec, TrainedModelSpec) or spec.ready_requires is not None:
        return spec
    return spec.model_copy(update={"ready_requires": (ReadyRequirement.LINEAGE,)})


def test_what_ready_requires_is_not_stored_any_more(upgrade):
    """Models of the earlier version keep its default; new ones get what is computed."""
    plane, before = upgrade
    old = next(o for (kind, _, _), o in before.items() if kind == "TrainedModel")
    metadata = {"name": "made-later", "namespace": old["metadata"]["namespace"]}
    spec = {name: value for name, value in old["spec"].items() if name != "readyRequires"}
    body = {"apiVersion": API_VERSION, "kind": "TrainedModel", "metadata": metadata, "spec": spec}

    plane.kubectl("create", "-f", "-", stdin=json.dumps(body))
    found = stored(plane)["TrainedModel", metadata["namespace"], metadata["name"]]
    plane.kubectl("-n", metadata["namespace"], "delete", "trainedmodel", metadata["name"])

    assert "readyRequires" not in found["spec"]
    assert all(o["spec"]["readyRequires"] for key, o in before.items() if is_default(key, o))


def is_default(key: Key, stored_object: dict[str, Any]) -> bool:
    """Whether it is a model that requires something."""
    return key[0] == "TrainedModel" and stored_object["spec"].get("readyRequires") != []


def test_every_object_can_still_be_written(upgrade):
    plane, before = upgrade

    annotate = ("annotate", "featurelineage", "--all", "-A", "--overwrite")
    plane.kubectl(*annotate, f"{RECONCILE_REQUESTED_AT}=now")
    write_status(
        plane, {kind: {**known(kind, STATUS[kind]), "observedGeneration": 2} for kind in STATUS}
    )

    after = stored(plane)
    assert {o["status"]["observedGeneration"] for o in after.values()} == {2}
    assert {o["metadata"]["annotations"][RECONCILE_REQUESTED_AT] for o in after.values()} == {"now"}
    assert [o["spec"] for o in after.values()] == [o["spec"] for o in before.values()]


def test_the_upgrade_needs_no_second_stored_version(upgrade):
    plane, _ = upgrade

    versions = plane.kubectl("get", "crd", "-o=jsonpath={.items[*].status.storedVersions}")

    assert set(versions.split()) == {'["v1alpha1"]'}
