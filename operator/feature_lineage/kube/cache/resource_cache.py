"""The custom resources as the API server last told them, and the one way to write their status.

What is kept of an object is small: a compressed copy and what it is found by. Whole objects are
made when somebody asks, so ten thousand of them do not have to be in memory at once. An object
that is older than what is known is passed over: events may come late, twice or out of order.
"""

import zlib
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.annotations import FINALIZER
from feature_lineage.api.validation_messages import validation_messages
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.kube.client import Api, Conflict, Object
from feature_lineage.kube.kinds import CUSTOM
from feature_lineage.kube.merge import merge_diff
from feature_lineage.ports import ModelStamp, ResourceT

Resource = FeatureStoreProject | TrainedModel
AnyResource = TypeVar("AnyResource", bound=Resource)

_CLASSES: Final[dict[str, type[Resource]]] = {
    "FeatureStoreProject": FeatureStoreProject,
    "TrainedModel": TrainedModel,
}
REMEMBERED_GONE: Final = 4096
RECENT: Final = 64
"""Whole models that are kept: a pass asks for the same ones again and again."""
_DROPPED: Final = ("managedFields", "selfLink")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one object.

    Attributes:
        uid: identity; another uid is another object of the same name.
        version: ``resourceVersion``, which this operator only compares with its own.
        wish: what the user wants: changes with spec, annotations and deletion, not with status.
        packed: the resource, as JSON; of one that does not validate, its complaint.
        model: registered model of a TrainedModel, "" of a project.
        home: the project a TrainedModel refers to, None of a project.
        valid: whether `packed` is a resource.
    """

    uid: str
    version: str
    wish: int
    packed: bytes
    model: str = ""
    home: Key | None = None
    valid: bool = True


class ResourceCache:
    """`Resources` of the cluster host.

    Args:
        api: where statuses are written.
        on_news: told of registered models for which other resources stand than before, or want
            something else, or whose project does: one whose project is on the same MLflow server
            shares a version with them.
    """

    def __init__(self, api: Api, on_news: Callable[[Set[str]], None] = lambda _: None) -> None:
        self._api = api
        self._on_news = on_news
        self._entries: dict[Key, Entry] = {}
        self._projects: dict[Key, FeatureStoreProject] = {}
        self._by_model: dict[str, set[Key]] = {}
        self._by_home: dict[Key, set[Key]] = {}
        self._gone: dict[str, None] = {}
        self._recent: dict[Key, tuple[Entry, TrainedModel]] = {}

    # Resources

    def project(self, namespace: str, name: str) -> FeatureStoreProject | None:
        return self._projects.get(Key("FeatureStoreProject", namespace, name))

    def model(self, namespace: str, name: str) -> TrainedModel | None:
        found = self.get(Key("TrainedModel", namespace, name))
        return found if isinstance(found, TrainedModel) else None

    def projects(self) -> Iterable[FeatureStoreProject]:
        return list(self._projects.values())

    def models(self) -> Iterable[TrainedModel]:
        """Each is made when it is its turn; what is gone by then is left out.

        A scrape goes through them in a thread of its own.
        """
        for key in self.all_keys("TrainedModel"):
            entry = self._entries.get(key)
            if entry is not None and entry.valid:
                yield _unpacked(entry)

    def models_named(self, name: str) -> Iterable[TrainedModel]:
        found = (self.get(key) for key in sorted(self._by_model.get(name, ()), key=str))
        return [model for model in found if isinstance(model, TrainedModel)]

    def stamps_named(self, name: str) -> tuple[ModelStamp, ...]:
        return tuple(
            ModelStamp((entry.uid, entry.version), key.namespace, entry.home)
            for key in self._by_model.get(name, ())
            if (entry := self._entries[key]).home is not None
        )

    def models_of(self, project: Key) -> list[Key]:
        """TrainedModels that refer to a project."""
        return sorted(self._by_home.get(project, ()), key=str)

    def keys_named(self, names: Iterable[str]) -> list[Key]:
        """TrainedModels on registered models of these names, on whichever server."""
        return sorted((key for name in names for key in self._by_model.get(name, ())), key=str)

    async def save(self, resource: ResourceT) -> ResourceT:
        """Patch what differs in the status.

        Raises:
            Conflict: the object is not the one that the status was computed from.
            NotFound: it is gone.
        """
        key = key_of(resource)
        before = self.get(key)
        if before is None or before.metadata.resource_version != resource.metadata.resource_version:
            raise Conflict(f"{key} changed while its status was computed; it is computed anew")
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
        known = self._entries.get(key)
        if known is not None and known.uid == metadata.uid and not newer(known.version, version):
            self._hold(key, _entry(written, known.wish))
        return written

    # What the watcher and the sweep do with it

    def get(self, key: Key) -> Resource | None:
        """One resource; None where there is none that validates."""
        if key.kind == "FeatureStoreProject":
            return self._projects.get(key)
        entry = self._entries.get(key)
        if entry is None or not entry.valid:
            return None
        recent = self._recent.get(key)
        if recent is not None and recent[0] is entry:
            return recent[1]
        found = _unpacked(entry)
        self._recent[key] = (entry, found)
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return found

    def entry(self, key: Key) -> Entry | None:
        return self._entries.get(key)

    def complaint(self, key: Key) -> str | None:
        """Why an object is no resource; None where it is one, or is not there."""
        entry = self._entries.get(key)
        return None if entry is None or entry.valid else entry.packed.decode()

    def all_keys(self, kind: str = "") -> list[Key]:
        """Every known object, or those of a kind; projects first, then by name."""
        known = list(self._entries)  # at once: a scrape asks from another thread
        return sorted((key for key in known if kind in ("", key.kind)), key=str)

    def versions(self, kind: str) -> dict[Key, tuple[str, str]]:
        """uid and resourceVersion of every known object of a kind."""
        return {
            key: (entry.uid, entry.version)
            for key, entry in self._entries.items()
            if key.kind == kind
        }

    def take(self, body: Object, *, read: bool = False) -> Key | None:
        """An object as the API server tells it; its key, or None where that is no news.

        Args:
            read: it was asked for by name just now, so it is the one of its name; an event may
                still tell of a predecessor.
        """
        metadata = body["metadata"]
        key = Key(body["kind"], metadata["namespace"], metadata["name"])
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        known = self._entries.get(key)
        if uid in self._gone:
            return None
        late = known is not None and not newer(version, known.version)
        if late and known is not None and (known.uid == uid or not read):
            return None
        self._hold(key, parsed(body))
        return key

    def drop(self, key: Key, uid: str = "") -> bool:
        """The object is gone; whether it was known.

        Args:
            uid: of the object that is gone, where that is known: a successor of its name stays.
        """
        known = self._entries.get(key)
        if known is None or (uid and known.uid != uid):
            self._bury(uid)
            return False
        self._bury(known.uid)
        self._hold(key, None)
        return True

    def _bury(self, uid: str) -> None:
        """An object never comes back: an event about it that is still to come is a late one."""
        if uid:
            self._gone[uid] = None
        while len(self._gone) > REMEMBERED_GONE:
            del self._gone[next(iter(self._gone))]

    def _hold(self, key: Key, held: tuple[Entry, Resource | None] | None) -> None:
        before = self._entries.pop(key, None)
        if before is not None and before.home is not None:
            _discard(self._by_model, before.model, key)
            _discard(self._by_home, before.home, key)
        self._projects.pop(key, None)
        entry, resource = held or (None, None)
        if entry is not None:
            self._entries[key] = entry
            if entry.home is not None:
                self._by_model.setdefault(entry.model, set()).add(key)
                self._by_home.setdefault(entry.home, set()).add(key)
        if isinstance(resource, FeatureStoreProject):
            self._projects[key] = resource
        # A status of ours changes the version only, and is no news.
        if _wanted(before) != _wanted(entry):
            models = {each.model for each in (before, entry) if each and each.model}
            self._on_news(models | {self._entries[each].model for each in self.models_of(key)})


def _wanted(entry: Entry | None) -> tuple[str, int] | None:
    return (entry.uid, entry.wish) if entry is not None else None


def newer(version: str, than: str) -> bool:
    """Whether one ``resourceVersion`` is later than another of the same kind.

    Kubernetes orders them since 1.35; whatever is no number is taken for news.
    """
    if version.isdigit() and than.isdigit():
        return int(version) > int(than)
    return version != than


def parsed(body: Object) -> tuple[Entry, Resource | None]:
    """What is kept of an object, and the resource where it validates."""
    metadata: dict[str, Any] = {k: v for k, v in body["metadata"].items() if k not in _DROPPED}
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != _LAST_APPLIED}
    metadata["annotations"] = annotations
    wish = hash(
        (
            metadata.get("generation"),
            metadata.get("deletionTimestamp"),
            tuple(sorted(annotations.items())),
            tuple(sorted(metadata.get("labels", {}).items())),
            FINALIZER in metadata.get("finalizers", ()),
        )
    )
    try:
        resource = _CLASSES[body["kind"]].model_validate({**body, "metadata": metadata})
    except ValidationError as error:
        model = _CLASSES[body["kind"]]
        text = "; ".join(fact for _, fact in validation_messages(error, model))
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        return Entry(uid, version, wish, text.encode(), valid=False), None
    return _entry(resource, wish)


def _entry(resource: AnyResource, wish: int) -> tuple[Entry, AnyResource]:
    metadata = resource.metadata
    if isinstance(resource, TrainedModel):
        text = resource.model_dump_json(by_alias=True, exclude_none=True)
        packed = zlib.compress(text.encode(), level=1)
        reference = resource.spec.project_ref
        home = Key("FeatureStoreProject", reference.namespace or metadata.namespace, reference.name)
        model = resource.spec.model.name
        return Entry(metadata.uid, metadata.resource_version, wish, packed, model, home), resource
    return Entry(metadata.uid, metadata.resource_version, wish, b""), resource


def _unpacked(entry: Entry) -> TrainedModel:
    return TrainedModel.model_validate_json(zlib.decompress(entry.packed))


IndexT = TypeVar("IndexT")


def _discard(index: dict[IndexT, set[Key]], name: IndexT, key: Key) -> None:
    """Take a key out of an index; a name without keys goes."""
    named = index[name]
    named.discard(key)
    if not named:
        del index[name]
