"""The CRDs of Argo CD and Flux accept the examples; an API server checks each field."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.gitops.judging import EXAMPLES, FLUX
from tests.cluster.gitops.test_examples import APPLICATIONS, flux
from tests.cluster.kubectl import Kubectl, KubectlFailed, manifest_list
from tests.cluster.modules import module_folder

TOOLS = Path(__file__).with_name("schemas")
DEFINITIONS = {
    "github.com/argoproj/argo-cd/v3": "manifests/crds/application-crd.yaml",
    "github.com/fluxcd/kustomize-controller": (
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"
    ),
    "github.com/fluxcd/source-controller": (
        "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"
    ),
}
NAMESPACES = ("argocd", "flux-system")
SOURCE = EXAMPLES / "flux/source.yaml"


@pytest.fixture(scope="module")
def judge(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl on a server that has the kinds of both tools."""
    crds = [module_folder(TOOLS, module) / file for module, file in DEFINITIONS.items()]
    for crd in crds:
        kubectl.establish(crd)
    for namespace in NAMESPACES:
        kubectl("create", "namespace", namespace)
    yield kubectl
    kubectl("delete", "namespaces", *NAMESPACES)
    for crd in crds:
        kubectl("delete", "-f", str(crd))


def accepted(judge: Kubectl, manifests: str) -> list[str]:
    strict = ("--dry-run=server", "--validate=strict", "-o", "name")
    return judge("create", *strict, "-f", "-", stdin=manifests).split()


@pytest.mark.parametrize("file", [APPLICATIONS, FLUX, SOURCE], ids=lambda file: file.name)
def test_every_field_is_one_that_the_tool_knows(judge: Kubectl, file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert len(accepted(judge, text)) == text.count("\nkind: ")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_what_kustomize_makes_for_a_cluster_is_accepted_too(
    judge: Kubectl, environment: str
) -> None:
    objects = flux(environment)

    assert len(accepted(judge, manifest_list(objects.values()))) == len(objects)


@pytest.mark.parametrize(
    ("file", "field"),
    [(APPLICATIONS, "syncPolicy:"), (FLUX, "healthCheckExprs:"), (SOURCE, "interval:")],
    ids=["argocd", "flux", "source"],
)
def test_a_misspelt_field_is_not_accepted(judge: Kubectl, file: Path, field: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert field in text

    with pytest.raises(KubectlFailed, match=r"unknown field|is required|Required value"):
        accepted(judge, text.replace(field, f"x{field}"))
