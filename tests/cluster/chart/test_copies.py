"""The generated files of the chart are the same as their sources in the project."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.generate import files, values
from tests.cluster.chart.helm import CHART, ROOT, Helm, config, of, only, pod

from feature_lineage import __version__
from feature_lineage.api.crd import crd_documents
from feature_lineage.api.manifests import load_manifests

METADATA: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_copies_and_tables_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files()[path], "run `make chart`"


def test_no_copy_is_left_of_a_definition_that_is_gone() -> None:
    there = {file.name for file in (CHART / "files/crds").iterdir()}

    assert there == {file.name for file in (ROOT / "crds").glob("*.yaml")}


def test_chart_and_operator_have_one_version() -> None:
    assert METADATA["appVersion"] == __version__
    assert METADATA["version"] == __version__


def annotation(name: str) -> Any:
    return yaml.safe_load(METADATA["annotations"][f"artifacthub.io/{name}"])


def test_annotations_name_the_definitions_that_are_installed() -> None:
    installed = {
        (d["metadata"]["name"], d["spec"]["names"]["kind"], d["spec"]["versions"][0]["name"])
        for d in crd_documents()
    }

    assert {(c["name"], c["kind"], c["version"]) for c in annotation("crds")} == installed


def test_the_examples_of_the_annotations_are_manifests() -> None:
    text = yaml.safe_dump_all(annotation("crdsExamples"))

    assert {m.resource.kind for m in load_manifests(text, "crdsExamples")} == {
        "FeatureStoreProject",
        "TrainedModel",
    }


def test_annotations_name_the_images_that_are_run(helm: Helm) -> None:
    objects = helm.render()
    run = {pod(objects)["containers"][0]["image"], config(objects)["runner"]["image"]}

    assert {i["image"] for i in annotation("images")} == set(run)


def test_a_rendered_definition_is_the_projects_own(helm: Helm) -> None:
    rendered = {o["metadata"]["name"]: o for o in of(helm.render(), "CustomResourceDefinition")}

    assert {name: o["spec"] for name, o in rendered.items()} == {
        d["metadata"]["name"]: d["spec"] for d in crd_documents()
    }


def test_rules_are_the_alerts_of_the_documentation_word_by_word(helm: Helm) -> None:
    objects = helm.render({"metrics": {"prometheusRule": {"enabled": True}}})
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    (alerts,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    assert only(objects, "PrometheusRule")["spec"] == yaml.safe_load(alerts)


def leaves(value: Any, path: str = "") -> set[str]:
    """Return the paths of the defaults, down to the values that a user sets."""
    if isinstance(value, dict) and value and path not in WHOLE:
        return set().union(*(leaves(v, f"{path}.{k}".lstrip(".")) for k, v in value.items()))
    return {path}


WHOLE = {"resources", "runner.resources", "podSecurityContext", "securityContext"}


def test_every_value_has_a_default_a_schema_and_a_meaning() -> None:
    documented = dict(values(SCHEMA, SCHEMA, ""))
    own = {path for path in documented if "[]" not in path and path != "global"}

    assert own == leaves(DEFAULTS)
    assert [path for path, field in documented.items() if not field.get("description")] == []


def test_the_readme_names_every_kind_that_is_rendered(helm: Helm) -> None:
    from tests.cluster.chart.values import SETS

    readme = (CHART / "README.md").read_text(encoding="utf-8")
    kinds = {o["kind"] for values in SETS.values() for o in helm.render(values)}
    plain = {"RoleBinding", "ClusterRoleBinding"}

    assert {kind for kind in kinds - plain if kind not in readme} == set()


@pytest.mark.parametrize("page", ["blob/main/docs/install.md", "blob/main/LICENSE"])
def test_links_of_the_readme_lead_to_files(page: str) -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")

    assert f"{METADATA['home']}/{page}" in readme
    assert (ROOT / page.removeprefix("blob/main/")).exists()
