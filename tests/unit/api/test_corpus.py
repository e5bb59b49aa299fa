"""The corpus, checked by the local validator.

A bad manifest names its error in the first line, `# expect:`. If an API server words it
differently, `# cluster:` has that text; `# local-only:` marks errors that only the local validator
can detect.
"""

from pathlib import Path

import pytest

from feature_lineage.api.crd import crd_documents
from feature_lineage.api.manifests import load_manifests
from feature_lineage.errors import InvalidManifest

CORPUS = Path(__file__).parents[2] / "corpus"
GOOD = sorted(CORPUS.glob("good/*.yaml"))
BAD = sorted(CORPUS.glob("bad/*.yaml"))


def file_name(path: Path) -> str:
    return path.stem


def test_the_corpus_is_there():
    assert len(GOOD) >= 18
    assert len(BAD) >= 42


@pytest.mark.parametrize("path", GOOD, ids=file_name)
def test_good_manifests_load(path):
    assert load_manifests(path.read_text(encoding="utf-8"), path.name)


@pytest.mark.parametrize("path", BAD, ids=file_name)
def test_bad_manifests_say_what_is_wrong(path):
    text = path.read_text(encoding="utf-8")
    first, _ = text.split("\n", 1)
    expected = first.removeprefix("# expect: ")
    assert expected != first, "the first line says which error to expect"

    with pytest.raises(InvalidManifest) as caught:
        load_manifests(text, f"bad/{path.name}")

    assert expected in caught.value.message
    assert "\n" not in caught.value.message, "one mistake, one complaint"


def rule_messages(node):
    """Every message of a CEL rule anywhere in a CRD."""
    if isinstance(node, dict):
        yield from (rule["message"] for rule in node.get("x-kubernetes-validations", []))
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from rule_messages(child)


def test_default_message_is_that_of_a_rule():
    messages = set(rule_messages(crd_documents()))

    for path in BAD:
        first, second = path.read_text(encoding="utf-8").split("\n")[:2]
        if second.startswith(("# cluster: ", "# local-only: ")):
            continue
        expected = first.removeprefix("# expect: ")
        assert any(expected in message for message in messages), path.name
