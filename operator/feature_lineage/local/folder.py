"""The manifest folder: its resources, with the statuses of the state folder."""

import hashlib
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from feature_lineage.api import ConfigMap, FeatureStoreProject, Secret, TrainedModel
from feature_lineage.api.manifests import load_manifests
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.errors import InvalidManifest, StateUnusable
from feature_lineage.local.state_folder import StateFolder
from feature_lineage.ports import ModelStamp, ResourceT


@dataclass(frozen=True)
class Manifests:
    """The contents of a folder.

    Attributes:
        resources: custom resources by key, without status.
        objects: Secrets and ConfigMaps.
        skipped: notes about documents of other kinds.
    """

    resources: dict[Key, Resource]
    objects: tuple[Secret | ConfigMap, ...]
    skipped: tuple[str, ...] = ()


def manifest_files(folder: Path, state: Path) -> list[Path]:
    """The YAML files of a folder and its subfolders.

    A subfolder with a ``feature_store.yaml`` is a feature repo, and has no manifests; neither has
    the state folder.
    """
    found: list[Path] = []
    pending = [folder]
    while pending:
        current = pending.pop()
        if current == state or (current != folder and (current / "feature_store.yaml").exists()):
            continue
        for path in sorted(current.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                pending.append(path)
            elif path.suffix in (".yaml", ".yml") and path.name != "feature_store.yaml":
                found.append(path)
    return sorted(found)


def check_is_folder(folder: Path) -> None:
    """Check the path before anything is written to the state folder in it.

    Raises:
        InvalidManifest: the path does not exist, or is a file.
    """
    if not folder.exists():
        raise InvalidManifest(f"{folder} does not exist; name a folder with manifests")
    if not folder.is_dir():
        raise InvalidManifest(
            f"{folder} is a file, and the other manifests of its folder would count as removed; "
            f"name the folder {folder.parent}"
        )


def read_folder(folder: Path, state: Path) -> Manifests:
    """Read and validate every manifest.

    Raises:
        InvalidManifest: with every error of every file.
    """
    check_is_folder(folder)
    errors: list[str] = []
    skipped: list[str] = []
    resources: dict[Key, Resource] = {}
    objects: list[Secret | ConfigMap] = []
    for path in manifest_files(folder, state):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f"{path}: cannot be read: {error}")
            continue
        name = str(path.relative_to(folder))
        try:
            manifests = load_manifests(text, name, on_skip=skipped.append)
        except InvalidManifest as error:
            errors.append(error.message)
            continue
        for manifest in manifests:
            resource = manifest.resource
            if isinstance(resource, Secret | ConfigMap):
                objects.append(resource)
                continue
            key = Key(resource.kind, resource.metadata.namespace, resource.metadata.name)
            if key in resources:
                errors.append(f"{name}:{manifest.line}: {key} is defined twice; keep one")
            resources[key] = resource
    if errors:
        raise InvalidManifest("\n".join(errors))
    return Manifests(resources, tuple(objects), tuple(skipped))


class LocalResources:
    """`Resources` of the local host: specs from manifests, statuses from the state folder."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._resources: dict[Key, Resource] = {}
        self._by_model: dict[str, dict[Key, TrainedModel]] = {}

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        found = self._resources.get(Key("FeatureStoreProject", namespace, name))
        return found if isinstance(found, FeatureStoreProject) else None

    def model(self, namespace: str, name: str) -> TrainedModel | None:
        found = self._resources.get(Key("TrainedModel", namespace, name))
        return found if isinstance(found, TrainedModel) else None

    def projects(self) -> Iterable[FeatureStoreProject]:
        return [r for r in self._resources.values() if isinstance(r, FeatureStoreProject)]

    def models(self) -> Iterable[TrainedModel]:
        return [r for r in self._resources.values() if isinstance(r, TrainedModel)]

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        return list(self._by_model.get(name, {}).values())

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        return tuple(map(ModelStamp.of, self._by_model.get(name, {}).values()))

    def models_of(self, project: Key) -> list[Key]:
        return [key_of(model) for model in self.models() if ModelStamp.of(model).project == project]

    def get(self, key: Key) -> Resource | None:
        return self._resources.get(key)

    def all_keys(self) -> list[Key]:
        return sorted(self._resources, key=str)

    async def save(self, resource: ResourceT) -> ResourceT:
        key = Key(resource.kind, resource.metadata.namespace, resource.metadata.name)
        self._state.save(key, resource.as_dict())
        self._hold(key, resource)
        return resource

    def drop(self, key: Key) -> None:
        """Remove a deleted resource that has no work left."""
        self._state.delete(key)
        self._hold(key, None)

    def removed(self, manifests: Manifests) -> list[Resource]:
        """The resources of the state folder that have no manifest any more, sorted by key.

        Raises:
            StateUnusable: a state file is damaged.
        """
        gone = sorted({*self._state.keys()} - manifests.resources.keys(), key=str)
        return [found for key in gone if (found := self._resources.get(key) or self._stored(key))]

    def load(
        self, manifests: Manifests, now: datetime, *, keep: bool, retained: Set[Key] = frozenset()
    ) -> set[Key]:
        """Take over changed manifests; returns the resources that are new or changed.

        A resource whose manifest was removed is deleted, as by ``kubectl delete``.

        Args:
            keep: write changes to the state folder, so that uid and generation stay.
            retained: resources that stay as they are although their manifest was removed.

        Raises:
            StateUnusable: a state file is damaged.
        """
        changed = set()
        for key in {*manifests.resources, *self._state.keys()}:
            before = self._resources.get(key) or self._stored(key)
            _check_immutable(key, manifests.resources.get(key), before)
            if key in retained and before is not None:
                after = before
            else:
                after = _merged(manifests.resources.get(key), before, key, now)
            if after != self._resources.get(key):
                changed.add(key)
                if keep and (before is None or _described(before) != _described(after)):
                    self._state.save(key, after.as_dict())
            self._hold(key, after)
        return changed

    def _hold(self, key: Key, resource: Resource | None) -> None:
        """Set or remove a resource, and its entry in the index of model names."""
        before = self._resources.pop(key, None)
        if isinstance(before, TrainedModel):
            named = self._by_model[before.spec.model.name]
            del named[key]
            if not named:
                del self._by_model[before.spec.model.name]
        if resource is not None:
            self._resources[key] = resource
        if isinstance(resource, TrainedModel):
            self._by_model.setdefault(resource.spec.model.name, {})[key] = resource

    def _stored(self, key: Key) -> Resource | None:
        stored = self._state.load(key)
        return None if stored is None else parse_stored(key, stored)


def parse_stored(key: Key, stored: dict[str, Any]) -> Resource:
    """Parse a resource of the state folder.

    Raises:
        StateUnusable: it does not validate.
    """
    try:
        if key.kind == "FeatureStoreProject":
            return FeatureStoreProject.model_validate(stored)
        return TrainedModel.model_validate(stored)
    except ValidationError as error:
        raise StateUnusable(
            f"the state of {key} does not validate ({error.error_count()} errors); "
            "delete its file under resources/ to start with an empty status"
        ) from error


def _check_immutable(key: Key, manifest: Resource | None, before: Resource | None) -> None:
    """Refuse a change that the CRD refuses with a transition rule.

    Raises:
        InvalidManifest: the Feast project of a resource has changed.
    """
    if isinstance(manifest, FeatureStoreProject) and isinstance(before, FeatureStoreProject):
        was, now = before.spec.project, manifest.spec.project
        if was != now:
            raise InvalidManifest(
                f"{key}: spec.project: project is immutable: create another FeatureStoreProject "
                f"for another project; this one is {was!r}, not {now!r}"
            )


def _described(resource: Resource) -> tuple[object, object]:
    return resource.metadata, resource.spec


def _merged(
    manifest: Resource | None, before: Resource | None, key: Key, now: datetime
) -> Resource:
    """Spec of the manifest, status of the state folder, and metadata as an API server sets it."""
    if manifest is None:
        assert before is not None
        metadata = before.metadata
        if metadata.deletion_timestamp is None:
            metadata = metadata.model_copy(update={"deletion_timestamp": now})
        return before.model_copy(update={"metadata": metadata})
    given = manifest.metadata
    if before is None:
        uid = hashlib.sha256(f"{key}@{now.isoformat()}".encode()).hexdigest()[:32]
        fresh = {"uid": uid, "generation": 1, "creation_timestamp": now.replace(microsecond=0)}
        # A manifest from `kubectl get -o yaml` has metadata of a cluster.
        fresh |= {"deletion_timestamp": None}
        status = type(manifest.status)()
        return manifest.model_copy(
            update={"metadata": given.model_copy(update=fresh), "status": status}
        )
    generation = before.metadata.generation + (manifest.spec != before.spec)
    kept = {
        "uid": before.metadata.uid,
        "generation": generation,
        "creation_timestamp": before.metadata.creation_timestamp,
    }
    return manifest.model_copy(
        update={"metadata": given.model_copy(update=kept), "status": before.status}
    )
