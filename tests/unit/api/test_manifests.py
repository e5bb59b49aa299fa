"""Manifests from text: all errors at once, each with its place; no secret in an error; limits."""

import base64

import pytest

from feature_lineage.api import ConfigMap, FeatureStoreProject, Secret, TrainedModel
from feature_lineage.api.manifests import load_manifests, parse
from feature_lineage.api.yaml_text import MAX_CHARACTERS
from feature_lineage.errors import InvalidManifest

MODEL = """\
apiVersion: featurelineage.io/v1alpha1
kind: TrainedModel
metadata: {name: m}
spec:
  projectRef: {name: p}
  model: {name: driver_model, alias: champion}
"""


def errors(text):
    with pytest.raises(InvalidManifest) as caught:
        load_manifests(text, "a.yaml")
    return caught.value.message.splitlines()


def test_documents_come_in_order_with_their_lines():
    text = f"# comment\n---\n{MODEL}---\n---\n{MODEL.replace('name: m}', 'name: n}')}"

    loaded = load_manifests(text, "a.yaml")

    assert [(m.resource.metadata.name, m.source, m.line) for m in loaded] == [
        ("m", "a.yaml", 3),
        ("n", "a.yaml", 11),
    ]
    assert isinstance(loaded[0].resource, TrainedModel)


def test_json_is_yaml():
    (manifest,) = load_manifests(
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}', ""
    )

    assert isinstance(manifest.resource, ConfigMap)


def test_all_errors_of_all_documents_come_together():
    broken = MODEL.replace("alias: champion", "allias: champion") + "  suspend: maybe\n"

    assert errors(f"{broken}---\n{broken}") == [
        'a.yaml:6: TrainedModel/m: spec.model.allias: unknown field: did you mean "alias"?',
        "a.yaml:7: TrainedModel/m: spec.suspend: must be true or false, without quotes",
        'a.yaml:14: TrainedModel/m: spec.model.allias: unknown field: did you mean "alias"?',
        "a.yaml:15: TrainedModel/m: spec.suspend: must be true or false, without quotes",
    ]


def test_a_foreign_kind_is_skipped_with_a_note():
    notes = []

    loaded = load_manifests(
        f"apiVersion: apps/v1\nkind: Deployment\n---\n{MODEL}", "a.yaml", on_skip=notes.append
    )

    assert len(loaded) == 1
    assert notes == ["a.yaml:1: skipped apps/v1 Deployment: not a kind this project reads"]


def test_a_syntax_error_keeps_what_was_found_before_it():
    found = errors(MODEL.replace("projectRef", "projektRef") + "---\nspec: [1, 2\n")

    assert any("projektRef: unknown field" in line for line in found)
    assert found[-1].startswith("a.yaml:9: not YAML: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "a.yaml:1: a manifest is a mapping with a kind"),
        ("just text", "a.yaml:1: a manifest is a mapping with a kind"),
        ("kind: TrainedModel", "a.yaml:1: apiVersion and kind are required, as text"),
        ("? [a]\n: b", "a.yaml:1: a key must be a plain text"),
        ("a: !!python/object:os.system {}", "apiVersion and kind are required"),
        ("a: !custom 1", "a.yaml:1: not a value of type !custom"),
        ("a: &a [*a]", "a.yaml:1: the document expands to too many values"),
        ("a: " + "[" * 2000, "a.yaml:1: "),
        ("a: \x07", "a.yaml:1: not YAML: "),
        ("a" * (MAX_CHARACTERS + 1), f"more than {MAX_CHARACTERS}: split it"),
    ],
)
def test_text_that_is_no_manifest_says_so(text, expected):
    assert any(expected in line for line in errors(text))


def test_anchors_that_expand_without_end_are_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
    )

    assert "expands to too many values" in errors(bomb)[0]


def test_merge_keys_are_filled_in_and_overridden():
    text = MODEL.replace(
        "  model: {name: driver_model, alias: champion}\n",
        "  model: {<<: &m {name: driver_model, alias: old}, alias: champion}\n",
    )

    (manifest,) = load_manifests(text, "a.yaml")

    assert isinstance(manifest.resource, TrainedModel)
    assert manifest.resource.spec.model.name == "driver_model"
    assert manifest.resource.spec.model.alias == "champion"


def test_secrets_are_decoded_and_their_text_wins():
    encoded = base64.b64encode(b"old").decode()
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
        f"data: {{a: {encoded}, b: {encoded}}}\nstringData: {{b: new}}\n"
    )

    (manifest,) = load_manifests(text, "a.yaml")

    assert isinstance(manifest.resource, Secret)
    assert manifest.resource.contents() == {"a": b"old", "b": b"new"}


def test_config_maps_hold_texts_and_bytes():
    config = ConfigMap.model_validate(
        {"metadata": {"name": "c"}, "data": {"a": "text"}, "binaryData": {"b": "AAE="}}
    )

    assert config.contents() == {"a": b"text", "b": b"\x00\x01"}


@pytest.mark.parametrize(
    "field",
    [
        "data: {password: hunter2!}",
        "stringData: {password: 20261121}",
        "stringData: {password: !!int hunter2}",
        "stringData: {password: [hunter2]}",
        "stringData: {password: hunter2, password: hunter2}",
        "stringData: {password: 'hunter2}",
    ],
)
def test_no_error_repeats_a_secret(field):
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{field}\n"

    shown = "\n".join(errors(text))

    assert "hunter2" not in shown
    assert "20261121" not in shown


def test_a_secret_shows_no_values():
    secret = Secret.model_validate(
        {"metadata": {"name": "s"}, "data": {"a": "b2xk"}, "stringData": {"b": "hunter2"}}
    )

    assert "hunter2" not in repr(secret)
    assert "b2xk" not in repr(secret)


def test_api_object_has_the_same_messages():
    content = {"metadata": {"name": "d"}, "spec": {"project": "p", "sauce": {}}}

    with pytest.raises(InvalidManifest) as caught:
        parse(FeatureStoreProject, content)

    assert caught.value.message == (
        'FeatureStoreProject/d: spec.sauce: unknown field: did you mean "source"?'
    )


@pytest.mark.parametrize(
    "value", ["!!bool x", "!!int ''", "!!timestamp x", "!!binary é", '"\\ud800"', "!!float x"]
)
def test_a_value_that_does_not_fit_its_tag_is_an_error(value):
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{k: {value}}}\n"

    assert any(line.startswith("a.yaml:4: ") for line in errors(text))


def test_a_key_that_is_no_text_is_an_error():
    assert errors('apiVersion: v1\nkind: ConfigMap\n"\\udfff": 1\n')[0].startswith("a.yaml:3: ")


def test_a_line_of_an_error_is_short_whatever_it_quotes():
    assert max(map(len, errors(f"apiVersion: v1\nkind: {'x' * 100_000}\nkind: y\n"))) <= 2000
    text = MODEL.replace("kind: TrainedModel", "kind: TrainedModel\n" + "y" * 100_000 + ": 1")
    assert max(map(len, errors(text))) <= 2000


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_data_that_is_not_ascii_is_not_base64(kind):
    field = "data" if kind == "Secret" else "binaryData"
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n{field}: {{k: é}}\n"

    assert "is not base64" in errors(text)[0]
