"""Validates manifests from text with the rules of an API server, without an API server.

The local host and the pull-request check read folders of YAML with this module. Only a syntax error
stops it: every document is validated, and all errors are returned together, each with its file,
line, object and field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from feature_lineage.api.base import API_VERSION, GROUP
from feature_lineage.api.core_v1 import ConfigMap, Secret
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.api.validation_messages import nearest, validation_messages
from feature_lineage.api.yaml_text import Document, Fault, read_documents
from feature_lineage.errors import InvalidManifest
from feature_lineage.shorten import cut

Resource = FeatureStoreProject | TrainedModel | Secret | ConfigMap
ResourceT = TypeVar("ResourceT", FeatureStoreProject, TrainedModel)

MAX_LINE: Final = 2000

_KINDS: dict[tuple[str, str], type[Resource]] = {
    (API_VERSION, "FeatureStoreProject"): FeatureStoreProject,
    (API_VERSION, "TrainedModel"): TrainedModel,
    ("v1", "Secret"): Secret,
    ("v1", "ConfigMap"): ConfigMap,
}


@dataclass(frozen=True)
class Manifest:
    """A validated resource with its place: `source` is the file, `line` counts from 1."""

    resource: Resource
    source: str
    line: int


def load_manifests(
    text: str, source: str, *, on_skip: Callable[[str], None] | None = None
) -> list[Manifest]:
    """The resources of a YAML text with any number of documents, in order.

    Args:
        text: the YAML.
        source: the name of the file, for messages.
        on_skip: called with each document of another kind, which is not read.

    Raises:
        InvalidManifest: with one line for each error in any of the documents.
    """
    manifests: list[Manifest] = []
    errors: list[str] = []
    for document in read_documents(text):
        if isinstance(document, Fault):
            errors.append(f"{source}:{document.line}: {document.message}")
            continue
        if document.content is None and not document.faults:
            continue
        judged = _judge(document, source)
        errors.extend(judged.errors)
        if judged.manifest is not None:
            manifests.append(judged.manifest)
        if judged.note and on_skip is not None:
            on_skip(judged.note)
    if errors:
        raise InvalidManifest(_lines(errors))
    return manifests


def parse(kind: type[ResourceT], content: Mapping[str, Any]) -> ResourceT:
    """Validate an object as the API server sends it.

    Raises InvalidManifest with one line for each wrong field: an object may be older than the CRD,
    or newer than this operator.
    """
    try:
        return kind.model_validate(dict(content), by_alias=True, by_name=False)
    except ValidationError as error:
        where = f"{kind.__name__}/{_name_of(content)}"
        lines = (f"{where}: {fact}" for _, fact in validation_messages(error, kind))
        raise InvalidManifest(_lines(lines)) from error


def _lines(errors: Iterable[str]) -> str:
    """One line for each error; a line may quote a value, which may be long."""
    return "\n".join(cut(error, MAX_LINE) for error in errors)


@dataclass(frozen=True)
class _Judged:
    manifest: Manifest | None = None
    errors: tuple[str, ...] = ()
    note: str = ""


def _judge(document: Document, source: str) -> _Judged:
    content = document.content
    line = document.line_of(())
    faults = tuple(f"{source}:{fault.line}: {fault.message}" for fault in document.faults)
    if not isinstance(content, dict):
        return _Judged(errors=(*faults, f"{source}:{line}: a manifest is a mapping with a kind"))
    api_version, kind = content.get("apiVersion"), content.get("kind")
    model = _KINDS.get((str(api_version), str(kind)))
    if model is None:
        if not isinstance(api_version, str) or not isinstance(kind, str):
            fact = f"{source}:{line}: apiVersion and kind are required, as text"
            return _Judged(errors=(*faults, fact))
        if api_version.split("/")[0] == GROUP:
            fact = f"{source}:{document.line_of(('kind',))}: {_unknown_kind(api_version, kind)}"
            return _Judged(errors=(*faults, fact))
        note = f"{source}:{line}: skipped {api_version} {kind}: not a kind this project reads"
        return _Judged(errors=faults, note=note)
    try:
        resource = model.model_validate(content, by_alias=True, by_name=False)
    except ValidationError as error:
        where = f"{kind}/{_name_of(content)}"
        wrong = tuple(
            f"{source}:{document.line_of(path)}: {where}: {fact}"
            for path, fact in validation_messages(error, model)
        )
        return _Judged(errors=faults + wrong)
    return _Judged(manifest=Manifest(resource, source, line), errors=faults)


def _unknown_kind(api_version: str, kind: str) -> str:
    kinds = [name for version, name in _KINDS if version == API_VERSION]
    if api_version != API_VERSION:
        return f"{api_version} {kind} is not known: the version of {GROUP} is {API_VERSION}"
    return f"{kind} is not a kind of {API_VERSION}: {nearest(kind, kinds)}"


def _name_of(content: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) and name else "<no name>"
