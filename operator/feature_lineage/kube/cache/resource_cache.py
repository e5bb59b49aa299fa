"""The custom resources as the API server last reported them, and the writer of their statuses.

The cache keeps projects whole and TrainedModels compressed, so ten thousand of them need little
memory. An event may come late, twice or out of order: an object older than the cached one is
ignored.
"""

from collections.abc import Callable, Iterable, Set
from typing import Final, TypeVar

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Conflict
from feature_lineage.kube.cache.cache_entry import CacheEntry, entry_of, newer, parsed, unpacked
from feature_lineage.kube.kinds import CUSTOM
from feature_lineage.kube.merge import merge_diff
from feature_lineage.ports import ModelStamp, ResourceT

MAX_DELETED_UIDS: Final = 4096
MAX_RECENT: Final = 64
"""Number of whole TrainedModels that are kept: a reconcile reads the same ones several times."""

IndexT = TypeVar("IndexT")


class ResourceCache:
    """`Resources` of the cluster host.

    Args:
        api: where statuses are written.
        on_change: receives the registered models of which a TrainedModel was created, changed or
            deleted, and those of the TrainedModels of a changed project: TrainedModels on one
            version of one MLflow server read each other.
    """

    def __init__(self, api: Api, on_change: Callable[[Set[str]], None] = lambda _: None) -> None:
        self._api = api
        self._on_change = on_change
        self._entries: dict[Key, CacheEntry] = {}
        self._projects: dict[Key, FeatureStoreProject] = {}
        self._by_model: dict[str, set[Key]] = {}
        self._by_project: dict[Key, set[Key]] = {}
        self._deleted: dict[str, None] = {}
        self._recent: dict[Key, tuple[CacheEntry, TrainedModel]] = {}

    # For the reconciler

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        return self._projects.get(Key("FeatureStoreProject", namespace, name))

    def model(self, namespace: str, name: str) -> TrainedModel | None:
        found = self.get(Key("TrainedModel", namespace, name))
        return found if isinstance(found, TrainedModel) else None

    def projects(self) -> Iterable[FeatureStoreProject]:
        return list(self._projects.values())

    def models(self) -> Iterable[TrainedModel]:
        """Each one is unpacked when the iteration reaches it; a deleted one is left out.

        A scrape iterates in another thread.
        """
        for key in self.all_keys("TrainedModel"):
            entry = self._entries.get(key)
            if entry is not None and entry.valid:
                yield unpacked(entry)

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        found = (self.get(key) for key in sorted(self._by_model.get(name, ()), key=str))
        return [model for model in found if isinstance(model, TrainedModel)]

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        return tuple(
            ModelStamp(
                (entry.uid, entry.version),
                key.namespace,
                entry.project,
                _spec_of(entry) if entry.declares else None,
            )
            for key in self._by_model.get(name, ())
            if (entry := self._entries[key]).project is not None
        )

    def models_of(self, project: Key) -> list[Key]:
        """The TrainedModels that refer to a project."""
        return sorted(self._by_project.get(project, ()), key=str)

    def keys_named(self, names: Iterable[str]) -> list[Key]:
        """The TrainedModels of registered models of these names, of any MLflow server."""
        return sorted((key for name in names for key in self._by_model.get(name, ())), key=str)

    async def save(self, resource: ResourceT) -> ResourceT:
        """Patch the fields of the status that differ.

        Raises:
            Conflict: the object is not the one that the status was computed from.
            NotFound: the object was deleted.
        """
        key = key_of(resource)
        before = self.get(key)
        if before is None or before.metadata.resource_version != resource.metadata.resource_version:
            raise Conflict(f"{key} changed while its status was computed; it is computed again")
        change = merge_diff(before.status.as_dict(), resource.status.as_dict())
        answer = await self._api.patch(
            CUSTOM[key.kind],
            key.namespace,
            key.name,
            {
                "metadata": {"resourceVersion": resource.metadata.resource_version},
                "status": change,
            },
            subresource="status",
        )
        version = str(answer["metadata"]["resourceVersion"])
        metadata = resource.metadata.model_copy(update={"resource_version": version})
        written = resource.model_copy(update={"metadata": metadata})
        cached = self._entries.get(key)
        if cached is not None and cached.uid == metadata.uid and not newer(cached.version, version):
            self._hold(key, entry_of(written, cached.spec_hash))
        return written

    # For the host and its informer

    def get(self, key: Key) -> Resource | None:
        """One resource; None: there is none that validates."""
        if key.kind == "FeatureStoreProject":
            return self._projects.get(key)
        entry = self._entries.get(key)
        if entry is None or not entry.valid:
            return None
        recent = self._recent.get(key)
        if recent is not None and recent[0] is entry:
            return recent[1]
        found = unpacked(entry)
        self._recent[key] = (entry, found)
        if len(self._recent) > MAX_RECENT:
            del self._recent[next(iter(self._recent))]
        return found

    def entry(self, key: Key) -> CacheEntry | None:
        return self._entries.get(key)

    def invalid(self, key: Key) -> str | None:
        """Why an object does not validate; None if it does, or if there is none."""
        entry = self._entries.get(key)
        return None if entry is None or entry.valid else entry.packed.decode()

    def all_keys(self, kind: str = "") -> list[Key]:
        """Every object, or every one of a kind; projects first, then by name; for any thread."""
        cached = list(self._entries)  # a copy: a scrape calls this in another thread
        return sorted((key for key in cached if kind in ("", key.kind)), key=str)

    def versions(self, kind: str) -> dict[Key, tuple[str, str]]:
        """uid and resourceVersion of every object of a kind."""
        return {
            key: (entry.uid, entry.version)
            for key, entry in self._entries.items()
            if key.kind == kind
        }

    def take(self, body: Object, *, read: bool = False) -> Key | None:
        """Cache an object from the API server; returns its key, None if the cached one is as new.

        Args:
            read: the object was just read by name, so it is the current one of its name; an event
                may be of an earlier object of that name.
        """
        metadata = body["metadata"]
        key = Key(body["kind"], metadata["namespace"], metadata["name"])
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        cached = self._entries.get(key)
        if uid in self._deleted:
            return None
        late = cached is not None and not newer(version, cached.version)
        if late and cached is not None and (cached.uid == uid or not read):
            return None
        self._hold(key, parsed(body))
        return key

    def drop(self, key: Key, uid: str = "") -> bool:
        """Remove a deleted object; whether it was cached.

        Args:
            uid: of the deleted object, where it is known: a later object of its name stays.
        """
        cached = self._entries.get(key)
        if cached is None or (uid and cached.uid != uid):
            self._mark_deleted(uid)
            return False
        self._mark_deleted(cached.uid)
        self._hold(key, None)
        return True

    def _mark_deleted(self, uid: str) -> None:
        """Remember that a later event about an object of this uid is outdated."""
        if uid:
            self._deleted[uid] = None
        while len(self._deleted) > MAX_DELETED_UIDS:
            del self._deleted[next(iter(self._deleted))]

    def _hold(self, key: Key, held: tuple[CacheEntry, Resource | None] | None) -> None:
        before = self._entries.pop(key, None)
        if before is not None and before.project is not None:
            _discard(self._by_model, before.model, key)
            _discard(self._by_project, before.project, key)
        self._projects.pop(key, None)
        entry, resource = held or (None, None)
        if entry is not None:
            self._entries[key] = entry
            if entry.project is not None:
                self._by_model.setdefault(entry.model, set()).add(key)
                self._by_project.setdefault(entry.project, set()).add(key)
        if isinstance(resource, FeatureStoreProject):
            self._projects[key] = resource
        # A status that this operator wrote changes the version only.
        if _spec_of(before) != _spec_of(entry):
            models = {each.model for each in (before, entry) if each and each.model}
            self._on_change(models | {self._entries[each].model for each in self.models_of(key)})


def _spec_of(entry: CacheEntry | None) -> tuple[str, int] | None:
    return (entry.uid, entry.spec_hash) if entry is not None else None


def _discard(index: dict[IndexT, set[Key]], name: IndexT, key: Key) -> None:
    """Remove a key from an index, and the name with its last key."""
    named = index[name]
    named.discard(key)
    if not named:
        del index[name]
