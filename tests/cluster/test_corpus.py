"""The API server and the local validator give the same results for the corpus.

The first lines of a bad manifest say which error to expect, see `tests/unit/api/test_corpus.py`.
"""

import re
from pathlib import Path

import pytest
from kubernetes.aio.client import ApiClient
from tests.cluster.kubectl import KubectlFailed

from feature_lineage.api.manifests import Manifest, load_manifests, parse
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.errors import InvalidManifest
from feature_lineage.kube.kinds import CUSTOM, PROJECTS

CORPUS = Path(__file__).parents[1] / "corpus"
GOOD = sorted(CORPUS.glob("good/*.yaml"))
BAD = sorted(CORPUS.glob("bad/*.yaml"))

ONLY_LOCAL = {
    "schedule-cron-backwards": "a pattern does not compare the two ends of a range",
    "schedule-cron-february-30": "a pattern knows no calendar",
    "schedule-time-zone-unknown": "CEL has no list of the world's time zones",
}
NAMELESS = {
    "secret-not-base64": "a Secret's data is decoded before it has fields",
    "unknown-kind": "there is no kind to have fields",
    "unknown-version": "there is no version to have fields",
}
# kubectl converts YAML to JSON before it sends it, and keeps the last of two equal keys.
KUBECTL_MENDS = "duplicate-key"


def file_name(path: Path) -> str:
    return path.stem


def expectation(path: Path, key: str) -> str | None:
    """Return the text of a comment in the first two lines, or None."""
    for line in path.read_text(encoding="utf-8").split("\n")[:2]:
        if line.startswith(f"# {key}: "):
            return line.removeprefix(f"# {key}: ")
    return None


def locally(path: Path) -> list[Manifest]:
    return load_manifests(path.read_text(encoding="utf-8"), path.name)


def accused(path: Path) -> str:
    """Return the field that the local validator names, as Kubernetes writes it."""
    with pytest.raises(InvalidManifest) as caught:
        locally(path)
    found = re.search(r"\.yaml:\d+: \w+/[^:]+: ([\w.\[\]]+):? ", caught.value.message)
    assert found is not None, caught.value.message
    return found[1]


@pytest.mark.parametrize("path", GOOD, ids=file_name)
async def test_good_manifest_is_stored_and_reads_back_equal(path, kubectl, namespace, admin):
    kubectl("create", f"--namespace={namespace}", "--validate=strict", "-f", str(path))

    for manifest in locally(path):
        meant = manifest.resource
        if not isinstance(meant, FeatureStoreProject | TrainedModel):
            continue
        kind = CUSTOM[meant.kind]
        stored = await admin.get(kind, namespace, meant.metadata.name)
        assert parse(type(meant), stored).spec == meant.spec


@pytest.mark.parametrize(
    "path",
    [path for path in BAD if path.stem not in {*ONLY_LOCAL, KUBECTL_MENDS}],
    ids=file_name,
)
def test_bad_manifest_gets_the_message_of_the_corpus(path, kubectl):
    with pytest.raises(KubectlFailed) as caught:
        kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(path))

    expected = expectation(path, "cluster") or expectation(path, "expect")
    assert expected in caught.value.stderr
    if path.stem not in NAMELESS:
        assert accused(path) in caught.value.stderr


async def test_duplicate_key_is_refused_by_the_server(admin, namespace):
    path = CORPUS / "bad" / f"{KUBECTL_MENDS}.yaml"
    url = f"{admin.configuration.host}{PROJECTS.path(namespace)}?fieldValidation=Strict"

    async with ApiClient(admin.configuration) as client:
        answer = await client.rest_client.request(
            "POST",
            url,
            headers={"Content-Type": "application/yaml"},
            body=path.read_text(encoding="utf-8"),
        )
        said = (await answer.read()).decode()

    assert answer.status == 400
    assert expectation(path, "cluster") in said
    assert '\\"suspend\\"' in said


@pytest.mark.parametrize("path", [path for path in BAD if path.stem in ONLY_LOCAL], ids=file_name)
def test_operator_checks_what_the_crd_cannot(path, kubectl):
    assert expectation(path, "local-only") == "true", ONLY_LOCAL[path.stem]

    kubectl("create", "--dry-run=server", "--validate=strict", "-f", str(path))

    assert accused(path)


def test_every_exception_is_about_a_manifest_of_the_corpus():
    marked = {path.stem for path in BAD if expectation(path, "local-only")}

    assert marked == ONLY_LOCAL.keys()
    assert NAMELESS.keys() <= {path.stem for path in BAD}
