"""Manifests of users as YAML, and custom resources as an API server sends them."""

import json
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import strategies as st
from tests.fuzz.harness import Target
from tests.fuzz.mutations import edited_value, mangled
from tests.fuzz.reports import acceptable
from tests.unit.decide.build import ProjectScenario

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.core_v1 import ConfigMap, Secret
from feature_lineage.api.manifests import load_manifests, parse
from feature_lineage.errors import InvalidManifest
from feature_lineage.shorten import visible

CORPUS: Final = Path(__file__).parent.parent / "corpus"
TEXTS: Final = tuple(path.read_bytes() for path in sorted(CORPUS.glob("*/*.yaml")))
LARGEST: Final = 64 * 1024
"""Bytes: PyYAML reads about 100 kB in a second, and only the user's own machine reads YAML."""
LAUGHS: Final = b"a0: &a0 [x]\n" + b"".join(
    b"a%d: &a%d [%b]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)
)
MERGES: Final = b"a0: &a0 {x: 1}\n" + b"".join(
    b"a%d: &a%d {<<: [%b]}\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)
)
TAGS: Final = ("int", "bool", "float", "null", "timestamp", "binary", "set", "omap", "pairs", "map")
TAGGED: Final = tuple(
    f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{k: !!{tag} {value}}}\n".encode()
    for tag in (*TAGS, "python/object:os.system", "seq", "str")
    for value in ("", "x", "1", "'~'", "2001-99-99", "0x", "1:2", "[]", "{}", '"\\ud800"')
)
SHAPES: Final = (LAUGHS, MERGES, b"&a [*a]", b"&a {<<: *a}", b"? [a]\n: b", b"{" * 1500, *TAGGED)

yaml_texts = mangled(
    st.one_of(st.sampled_from(TEXTS), st.sampled_from(TEXTS), st.sampled_from(SHAPES)), LARGEST
)


def read_yaml(text: str) -> None:
    skipped: list[str] = []
    found = load_manifests(text, "x.yaml", on_skip=skipped.append)
    for manifest in found:
        again(manifest.resource)
    for note in skipped:
        assert len(note) < LARGEST + 1000


def again(resource: Any) -> None:
    """A resource that was accepted is the same after its own JSON was read."""
    if isinstance(resource, Secret | ConfigMap):
        resource.contents()
        return
    text = resource.model_dump_json(by_alias=True, exclude_unset=True)
    assert type(resource).model_validate_json(text, by_alias=True, by_name=False) == resource


def _objects() -> tuple[dict[str, Any], ...]:
    found = []
    for path in sorted((CORPUS / "good").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_bytes()):
            if document and document["kind"] in ("FeatureStoreProject", "TrainedModel"):
                text = json.dumps(document, default=str)
                body = json.loads(text)
                body["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "7"}
                found.append(body)
    return tuple(found)


OBJECTS: Final = _objects()


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    body = draw(st.sampled_from(OBJECTS))
    for _ in range(draw(st.integers(0, 3))):
        changed = draw(edited_value(body, ("spec", "status", "metadata", "name")))
        body = changed if isinstance(changed, dict) else body
    # As an API server sends it: no half of a surrogate pair, no infinity.
    text = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    for number in (b"NaN", b"-Infinity", b"Infinity"):
        text = text.replace(number, b"0")
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def read_object(body: dict[str, Any]) -> None:
    kind: Any = TrainedModel if body.get("kind") == "TrainedModel" else FeatureStoreProject
    try:
        resource = parse(kind, body)
        again(resource)
        if isinstance(resource, FeatureStoreProject):
            decide_on(resource)
    except InvalidManifest as error:
        visible(error.message).encode()
        raise


def decide_on(project: FeatureStoreProject) -> None:
    """A project that was accepted gets a status that the API server takes."""
    scenario = ProjectScenario()
    scenario.spec = project.spec.model_dump(by_alias=True, exclude_unset=True)
    scenario.metadata |= {"annotations": dict(project.metadata.annotations)}
    for _ in range(3):
        scenario.reconcile()
        acceptable(scenario.status.as_dict())
        scenario.later(hours=2)


YAML_TARGET: Final = Target(
    "manifests",
    yaml_texts.map(lambda text: text.decode(errors="replace")),
    read_yaml,
    (InvalidManifest,),
    examples=100,
)
OBJECT_TARGET: Final = Target("resources", objects(), read_object, (InvalidManifest,))
TARGETS: Final = (YAML_TARGET, OBJECT_TARGET)
