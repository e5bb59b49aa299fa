"""Generates the CustomResourceDefinitions in `crds/` from the pydantic models.

`python -m feature_lineage.api.crd --output-dir crds` writes the files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from feature_lineage.api.base import GROUP, VERSION, ApiModel
from feature_lineage.api.meta import UNSEEN
from feature_lineage.api.model_spec import TrainedModelSpec
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.api.structural import structural_schema

Json = dict[str, Any]

_READY = '.status.conditions[?(@.type=="Ready")]'


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""

    def as_dict(self) -> Json:
        """The column as the CRD spells it."""
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
        }


_STATE_COLUMNS = (
    Column("Ready", f"{_READY}.status", description="Whether the spec is in effect."),
    Column("Reason", f"{_READY}.reason", description="The reason for Ready."),
)
_AGE = Column("Age", ".metadata.creationTimestamp", "date", "Time since the creation.")


@dataclass(frozen=True)
class Definition:
    """The properties of a kind in its CRD besides the schema."""

    resource: type[ApiModel]
    spec: type[ApiModel]
    status: type[ApiModel]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.resource.__name__

    @property
    def name(self) -> str:
        return f"{self.plural}.{GROUP}"


DEFINITIONS = (
    Definition(
        resource=FeatureStoreProject,
        spec=FeatureStoreProjectSpec,
        status=FeatureStoreProjectStatus,
        plural="featurestoreprojects",
        short_name="fsp",
        columns=(
            Column("Project", ".spec.project", description="The Feast project."),
            Column("Revision", ".status.applied.revision", description="The revision in effect."),
            *_STATE_COLUMNS,
            Column(
                "Materialized",
                '.status.conditions[?(@.type=="Materialized")].status',
                description="Whether no view failed at its last materialization.",
            ),
            Column("Stale", ".status.counts.staleViews", "integer", "Views that are not fresh."),
            Column(
                "Broken",
                ".status.counts.brokenModels",
                "integer",
                "Model versions that are Broken.",
            ),
            _AGE,
        ),
        selectable=(".spec.project",),
    ),
    Definition(
        resource=TrainedModel,
        spec=TrainedModelSpec,
        status=TrainedModelStatus,
        plural="trainedmodels",
        short_name="ftm",
        columns=(
            Column("Model", ".spec.model.name", description="The registered model."),
            Column("Version", ".status.resolved.version", description="The version of the model."),
            Column("Service", ".status.lineage.featureService", description="Its feature service."),
            Column(
                "Verdict",
                ".status.lineage.verdict",
                description="The comparison of its features with those at training time.",
            ),
            Column(
                "Fresh", ".status.freshness.fresh", "boolean", "Whether its features are fresh."
            ),
            *_STATE_COLUMNS,
            _AGE,
        ),
        selectable=(".spec.projectRef.name", ".spec.model.name"),
    ),
)


def resource_schema(definition: Definition) -> Json:
    """The structural schema of a whole resource."""
    whole = structural_schema(definition.resource, defaults=False)
    fields = whole["properties"]
    return {
        "type": "object",
        "description": whole["description"],
        "required": ["spec"],
        "x-kubernetes-validations": whole["x-kubernetes-validations"],
        "properties": {
            "apiVersion": {"type": "string", "description": fields["apiVersion"]["description"]},
            "kind": {"type": "string", "description": fields["kind"]["description"]},
            "metadata": {"type": "object"},  # Kubernetes allows nothing else here
            "spec": structural_schema(definition.spec, defaults=True),
            "status": {
                **structural_schema(definition.status, defaults=False),
                "default": {"observedGeneration": UNSEEN},
            },
        },
    }


def crd(definition: Definition) -> Json:
    """The CustomResourceDefinition of one kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short_name],
                "categories": ["featurelineage"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [c.as_dict() for c in definition.columns],
                    "selectableFields": [{"jsonPath": path} for path in definition.selectable],
                    "schema": {"openAPIV3Schema": resource_schema(definition)},
                }
            ],
        },
    }


def crd_documents() -> list[Json]:
    """All CustomResourceDefinitions, in the order they are listed above."""
    return [crd(definition) for definition in DEFINITIONS]


def dump(documents: Iterable[Json]) -> str:
    """The documents as one YAML text, the same for the same documents."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - yaml's signature
            return True

    return "# Generated from feature_lineage.api by `make crds`; do not edit.\n" + yaml.dump_all(
        documents, Dumper=Plain, sort_keys=False, width=100, allow_unicode=True, explicit_start=True
    )


def crd_files() -> dict[str, str]:
    """File name → text of each CRD: the content of `crds/`."""
    return {
        f"{GROUP}_{document['spec']['names']['plural']}.yaml": dump([document])
        for document in crd_documents()
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the CRDs into a directory."""
    parser = argparse.ArgumentParser(description="Write the CustomResourceDefinitions as YAML.")
    parser.add_argument("--output-dir", type=Path, default=Path("crds"))
    directory: Path = parser.parse_args(arguments).output_dir
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in crd_files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
