"""The generated CRDs: up to date, structural, described, and with the rules of the models."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from feature_lineage.api.crd import crd_documents, crd_files, dump, main
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.api.structural import structural_schema

CONDITION = re.compile(r'\[\?\(@\.type=="\w+"\)\]')
CRDS = Path(__file__).parents[3] / "crds"
KINDS = {document["spec"]["names"]["kind"]: document for document in crd_documents()}


def version(kind):
    (only,) = KINDS[kind]["spec"]["versions"]
    return only


def nodes(schema, path=""):
    """Every schema node with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


ALL = [
    (f"{kind}{path}", node)
    for kind in KINDS
    for path, node in nodes(version(kind)["schema"]["openAPIV3Schema"])
]


def rules(path):
    node = dict(ALL)[path]
    return {rule["message"] for rule in node.get("x-kubernetes-validations", [])}


def test_the_files_are_what_the_generator_writes():
    found = {path.name: path.read_text(encoding="utf-8") for path in CRDS.glob("*.yaml")}

    assert found == crd_files(), "run `make crds`"


def test_the_entry_point_writes_the_same_files(tmp_path):
    main(["--output-dir", str(tmp_path / "new")])

    assert {p.name: p.read_text() for p in (tmp_path / "new").iterdir()} == crd_files()


def test_what_is_dumped_reads_back():
    assert list(yaml.safe_load_all(dump(crd_documents()))) == crd_documents()


def test_no_construct_that_kubernetes_refuses():
    forbidden = {"$ref", "$defs", "anyOf", "allOf", "oneOf", "nullable", "title", "const"}

    assert [path for path, node in ALL if forbidden & node.keys()] == []


def test_every_node_has_a_type():
    untyped = [path for path, node in ALL if "type" not in node]

    assert all(dict(ALL)[path].get("x-kubernetes-int-or-string") for path in untyped)


def test_every_field_has_a_description():
    missing = [
        f"{path}.{name}"
        for path, node in ALL
        for name, child in node.get("properties", {}).items()
        if not child.get("description")
    ]

    assert missing == ["FeatureStoreProject.metadata", "TrainedModel.metadata"]


def test_every_list_says_how_it_merges():
    for path, node in ALL:
        if node.get("type") != "array":
            continue
        kind = node.get("x-kubernetes-list-type")
        assert kind in {"map", "set", "atomic"}, path
        if kind == "map":
            keys = node["x-kubernetes-list-map-keys"]
            assert set(keys) <= set(node["items"]["required"]), path


def test_every_list_of_the_spec_is_bounded():
    unbounded = [
        path
        for path, node in ALL
        if ".spec" in path and node.get("type") == "array" and "maxItems" not in node
    ]

    assert unbounded == []


def test_every_text_and_map_of_the_spec_is_bounded():
    """A free field of a megabyte costs the operator a hundred: see `make bench ARGS=objects`."""
    unbounded = [
        path
        for path, node in ALL
        if ".spec" in path
        and (
            "x-kubernetes-preserve-unknown-fields" in node
            or ("additionalProperties" in node and "maxProperties" not in node)
            or (_is_text(node) and not {"maxLength", "enum"} & node.keys())
        )
    ]

    assert unbounded == []


def _is_text(node):
    return node.get("type") == "string" or "x-kubernetes-int-or-string" in node


def test_everything_a_rule_touches_is_bounded():
    for path, node in ALL:
        if node.get("type") == "string" and "x-kubernetes-validations" in node:
            assert "maxLength" in node, path


def test_status_default_is_not_observed_yet():
    defaults = {p: node["default"] for p, node in ALL if ".status" in p and "default" in node}

    assert defaults == {
        "FeatureStoreProject.status": {"observedGeneration": -1},
        "TrainedModel.status": {"observedGeneration": -1},
    }


def test_default_generation_reads_as_none():
    for status in (FeatureStoreProjectStatus, TrainedModelStatus):
        assert status.model_validate({"observedGeneration": -1}).observed_generation is None
        assert status.model_validate({"observedGeneration": 3}).observed_generation == 3


@pytest.mark.parametrize(
    ("path", "union"),
    [
        ("FeatureStoreProject.spec.source", "git, configMapRef, image, local"),
        ("FeatureStoreProject.spec.source.git.ref", "branch, tag, commit"),
        ("FeatureStoreProject.spec.source.git.caBundle", "secretKeyRef, configMapKeyRef"),
        ("FeatureStoreProject.spec.featureStoreYaml", "secretKeyRef, configMapKeyRef"),
        ("FeatureStoreProject.spec.schedules[]", "incremental, window"),
        ("FeatureStoreProject.spec.mlflow", "serverRef, trackingUri"),
        ("FeatureStoreProject.spec.mlflow.auth", "basic, bearer"),
        ("TrainedModel.spec.model", "alias, version"),
    ],
)
def test_every_union_is_a_rule(path, union):
    assert f"set exactly one of {union}" in rules(path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("FeatureStoreProject", "metadata.name must be at most 63 characters"),
        ("FeatureStoreProject.spec", "source is required, unless apply.mode is Observe"),
        ("FeatureStoreProject.spec.project", "project is immutable"),
        ("FeatureStoreProject.spec.backfills[]", "end must be after start"),
        ("FeatureStoreProject.spec.backfills[].chunk", "must be at least 1m"),
        ("FeatureStoreProject.spec.allowedNamespaces", "names is for from: List only"),
    ],
)
def test_what_a_schema_cannot_say_is_a_rule(path, message):
    assert any(rule.startswith(message) for rule in rules(path))


def test_names_columns_and_selectors():
    project, model = KINDS["FeatureStoreProject"], KINDS["TrainedModel"]

    assert project["spec"]["names"]["shortNames"] == ["fsp"]
    assert model["spec"]["names"]["shortNames"] == ["ftm"]
    for document in (project, model):
        assert document["spec"]["names"]["categories"] == ["featurelineage"]
        assert document["spec"]["versions"][0]["subresources"] == {"status": {}}
    columns = {
        kind: " ".join(column["name"] for column in version(kind)["additionalPrinterColumns"])
        for kind in KINDS
    }
    assert columns == {
        "FeatureStoreProject": "Project Revision Ready Reason Materialized Stale Broken Age",
        "TrainedModel": "Model Version Service Verdict Fresh Ready Reason Age",
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_columns_and_selectors_point_at_fields(kind):
    known = {path for path, _ in ALL}
    paths = [column["jsonPath"] for column in version(kind)["additionalPrinterColumns"]]
    paths += [field["jsonPath"] for field in version(kind)["selectableFields"]]

    for path in paths:
        if path != ".metadata.creationTimestamp":
            assert kind + CONDITION.sub("[]", path) in known


def test_a_construct_without_structural_form_is_an_error():
    class Union(BaseModel):
        either: str | int

    with pytest.raises(ValueError, match="no structural form"):
        structural_schema(Union, defaults=True)
