"""The repositories that ``feast init`` makes run as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.forks.client import output_of
from tests.local.conftest import run_once
from tests.local.scene import backfill, project_manifest, write_yaml
from tests.local.state_reader import read_state, registry_of


@pytest.mark.slow
async def test_feasts_own_templates_are_applied_unmodified(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """Templates that need no service and no other package, and one that needs a package.

    The minimal template has paths to fill in; spec.featureStoreYaml sets them.
    """
    local, nlp, minimal = unique("local"), unique("nlp"), unique("minimal")
    milvus = unique("milvus")
    init(tmp_path, {local: "local", minimal: "minimal", nlp: "pytorch_nlp", milvus: "milvus"})
    settings = (tmp_path / minimal / "feature_repo" / "feature_store.yaml").read_text()
    text = settings.replace("/path/to", str(tmp_path / minimal))
    assert text != settings
    filled = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "minimal"},
        "data": {"feature_store.yaml": text},
    }
    reference = {"configMapKeyRef": {"name": "minimal", "key": "feature_store.yaml"}}
    write_yaml(
        tmp_path / "manifests.yaml",
        filled,
        *(
            project_manifest(
                project,
                name=name,
                source={"local": {"path": f"{project}/feature_repo"}},
                **more,
            )
            for name, project, more in (
                ("local", local, {"backfills": [backfill()]}),
                ("nlp", nlp, {"backfills": [backfill()]}),
                ("minimal", minimal, {"featureStoreYaml": reference}),
                ("milvus", milvus, {}),
            )
        ),
    )
    await run_once(tmp_path)

    for name in ("local", "nlp", "minimal"):
        found = read_state(tmp_path, name)
        assert found.state("Ready")[0] == "True", found.message("Ready")
    for name in ("local", "nlp"):
        found = read_state(tmp_path, name)
        assert found.state("Materialized")[0] == "True", found.message("Materialized")
    needs = read_state(tmp_path, "milvus")
    assert needs.state("Applied") == ("False", "InvalidRepo")
    assert "it needs the package 'pymilvus': add it to this machine" in needs.message("Applied")
    assert registry_of(tmp_path / local / "feature_repo")["services"]
    assert read_state(tmp_path, "local").status["counts"]["featureViews"] > 1
    assert read_state(tmp_path, "minimal").status["counts"]["featureViews"] == 0


def init(folder: Path, templates: dict[str, str]) -> None:
    """Run ``feast init -t TEMPLATE NAME`` in this process, for several templates."""
    code = f"""
import sys
from feast.repo_operations import init_repo
for name, template in {templates!r}.items():
    sys.modules.pop("bootstrap", None)
    init_repo(name, template)
"""
    output_of("-c", code, cwd=folder)
