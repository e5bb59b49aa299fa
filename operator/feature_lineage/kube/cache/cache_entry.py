"""The entry of the cache for one object: a compressed copy, and the values of the indexes."""

import zlib
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.base import GROUP
from feature_lineage.api.validation_messages import validation_messages
from feature_lineage.decide.facts import Key, Resource
from feature_lineage.kube.api_client import Object

ResourceT = TypeVar("ResourceT", bound=Resource)

_CLASSES: Final[dict[str, type[Resource]]] = {
    "FeatureStoreProject": FeatureStoreProject,
    "TrainedModel": TrainedModel,
}
_KEPT: Final = (
    *("name", "namespace", "uid", "generation", "resourceVersion"),
    *("creationTimestamp", "deletionTimestamp", "finalizers"),
)
_OWN: Final = f"{GROUP}/"
"""Prefix of the annotations that are read; a tenant may write 256 KiB of others."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The cache entry of one object.

    Attributes:
        uid: identity; another uid is another object of the same name.
        version: ``resourceVersion``.
        spec_hash: changes with spec, the operator's annotations and deletion, not with the status.
        packed: of a TrainedModel, its JSON; of an object that does not validate, the error message.
        model: registered model of a TrainedModel, "" of a project.
        project: the project that a TrainedModel refers to, None of a project.
        declares: whether the spec of a TrainedModel declares a version or a service.
        valid: whether the object validates.
    """

    uid: str
    version: str
    spec_hash: int
    packed: bytes
    model: str = ""
    project: Key | None = None
    declares: bool = False
    valid: bool = True


def trimmed(body: Object) -> Object:
    """An object with the part of its metadata that is read.

    The rest may be a megabyte: labels, annotations and managed fields have no common limit.
    """
    whole = body["metadata"]
    metadata: dict[str, Any] = {name: whole[name] for name in _KEPT if name in whole}
    metadata["annotations"] = {
        name: value for name, value in whole.get("annotations", {}).items() if name.startswith(_OWN)
    }
    return {**body, "metadata": metadata}


def parsed(body: Object) -> tuple[CacheEntry, Resource | None]:
    """The entry of an object, and the resource if the object validates."""
    metadata = trimmed(body)["metadata"]
    spec_hash = hash(
        (
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            tuple(sorted(metadata["annotations"].items())),
            FINALIZER in metadata.get("finalizers", ()),
        )
    )
    try:
        resource = _CLASSES[body["kind"]].model_validate({**body, "metadata": metadata})
    except ValidationError as error:
        model = _CLASSES[body["kind"]]
        text = "; ".join(fact for _, fact in validation_messages(error, model))
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        return CacheEntry(uid, version, spec_hash, text.encode(), valid=False), None
    return entry_of(resource, spec_hash)


def entry_of(resource: ResourceT, spec_hash: int) -> tuple[CacheEntry, ResourceT]:
    """The entry of a resource, and the resource."""
    uid, version = resource.metadata.uid, resource.metadata.resource_version
    if not isinstance(resource, TrainedModel):
        return CacheEntry(uid, version, spec_hash, b""), resource
    text = resource.model_dump_json(by_alias=True, exclude_none=True)
    packed = zlib.compress(text.encode(), level=1)
    reference = resource.spec.project_ref
    namespace = reference.namespace or resource.metadata.namespace
    project = Key("FeatureStoreProject", namespace, reference.name)
    spec = resource.spec
    entry = CacheEntry(uid, version, spec_hash, packed, spec.model.name, project, spec.declares)
    return entry, resource


def unpacked(entry: CacheEntry) -> TrainedModel:
    """The TrainedModel of an entry."""
    return TrainedModel.model_validate_json(zlib.decompress(entry.packed))


def newer(version: str, than: str) -> bool:
    """Whether one ``resourceVersion`` is later than another of the same kind.

    Kubernetes orders them since 1.35; any other text that differs counts as newer.
    """
    if version.isdigit() and than.isdigit():
        return int(version) > int(than)
    return version != than
