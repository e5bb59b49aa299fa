"""An MLflow server of the platform, as one namespace and Feast project may use it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from feature_lineage.errors import AccessNotGranted, NotFound
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.past import FIRST, Entry, Place, RegistryState
from feature_lineage.operations.past_operations import PastOperation
from feature_lineage.operations.records import OpsRun
from feature_lineage.reasons import Reason
from feature_lineage.tracking.access import Access, Permission, project_of_experiment
from feature_lineage.tracking.mlflow_server import MLflowServer
from feature_lineage.tracking.registry import MLflowRegistry


@dataclass(frozen=True, slots=True)
class Accesses:
    """The access of a project's namespace, and that of the namespace of its TrainedModel.

    A permission needs both. For most models they are the same.
    """

    both: tuple[Access, ...]

    def sees(self, model: str) -> bool:
        return all(access.sees(model) for access in self.both)

    def may(self, permission: Permission, model: str) -> bool:
        return all(access.may(permission, model) for access in self.both)


class PermittedModels:
    """The part of a server's model registry that an access may see; shared by all who have it.

    The last result is kept, because every reconcile asks for the view, which seldom changes.
    """

    def __init__(self, accesses: Accesses) -> None:
        self._accesses = accesses
        self._sees: dict[str, bool] = {}
        self._last: tuple[RegistryView, RegistryView] | None = None

    def of(self, view: RegistryView) -> RegistryView:
        """The view without the models that may not be seen; the same object for the same view."""
        if self._last is not None and self._last[0] is view:
            return self._last[1]
        known = self._sees
        self._sees = sees = {
            name: known[name] if name in known else self._accesses.sees(name)
            for name in view.versions
        }
        versions = {name: found for name, found in view.versions.items() if sees[name]}
        shown = view if len(versions) == len(view.versions) else replace(view, versions=versions)
        self._last = (view, shown)
        return shown

    def forget(self) -> None:
        """Free the last result, whose reading was given up."""
        self._last = None
        self._sees = {}


@dataclass(frozen=True, slots=True)
class PermittedRegistry:
    """`ModelRegistry` of a project with ``serverRef``; equal for the same access.

    A model outside the access looks like one that MLflow does not have.

    Attributes:
        shared: the server, shared by all projects that name it.
        models: the part of its model registry that may be seen.
        accesses: what may be tagged.
        name: of the server in the platform's values.
        namespace: of the project.
        access: the access of this namespace with a Feast project; None: none.
    """

    shared: MLflowRegistry
    models: PermittedModels
    accesses: Accesses
    name: str
    namespace: str
    access: Callable[[str, str], Access | None] = field(compare=False)

    @property
    def server(self) -> MLflowServer:
        return self.shared.server

    @property
    def last_view(self) -> RegistryView | None:
        """The last good reading of the models that may be seen."""
        last = self.shared.last_view
        return self.models.of(last) if last is not None else None

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The models that may be seen, read at most `max_age` before this call."""
        return self.models.of(await self.shared.view(max_age=max_age, full=full, wait=wait))

    async def record(self, run: OpsRun) -> str:
        """Create or complete the ops run of one operation.

        Raises:
            AccessNotGranted: no entry allows OpsRuns for the Feast project of the experiment.
        """
        project = project_of_experiment(run.experiment)
        access = self.access(self.namespace, project)
        if access is None or not access.may_record:
            raise AccessNotGranted(
                f"server {self.name}: namespace {self.namespace} has no entry with OpsRuns for the "
                f"Feast project {project}; ask who runs the operator for one in "
                "mlflowServers[].access, or set spec.mlflow.logOperations: false"
            )
        return await self.shared.record(run)

    async def history(self, experiment: str) -> tuple[SnapshotRecord, ...]:
        """The timeline from the ops runs of this namespace; those of others do not count."""
        if self.access(self.namespace, project_of_experiment(experiment)) is None:
            return ()
        return await self.shared.history(experiment, namespace=self.namespace)

    async def snapshot(self, experiment: str, digest: str) -> RegistrySnapshot | None:
        """A snapshot stored with an ops run; its digest proves its content, whoever wrote it."""
        if self.access(self.namespace, project_of_experiment(experiment)) is None:
            return None
        return await self.shared.snapshot(experiment, digest, namespace=self.namespace)

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        """The recorded aliases; None without access, which then is an error of `record`."""
        return await self.shared.aliases_at(place, at) if self._owns(place) else None

    async def registry_at(self, place: Place, at: datetime) -> RegistryState | None:
        """The registry in force at a time; raises as `entries` does."""
        self._check_owns(place)
        return await self.shared.registry_at(place, at)

    async def operations_at(self, place: Place, at: datetime) -> tuple[PastOperation, ...]:
        """The operations at a time; raises as `entries` does."""
        self._check_owns(place)
        return await self.shared.operations_at(place, at)

    def entries(
        self,
        place: Place,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[int, str] = FIRST,
    ) -> AsyncIterator[Entry]:
        """The entries of the history of a project in this namespace.

        Raises:
            AccessNotGranted: it is of another namespace, or no entry names its Feast project.
        """
        self._check_owns(place)
        return self.shared.entries(place, since=since, until=until, after=after)

    def _owns(self, place: Place) -> bool:
        """Whether the history is that of a project in this namespace, which may use the server."""
        namespace, _, _ = place.resource.partition("/")
        experiments = (place.operations, place.aliases)
        return namespace == self.namespace and all(
            self.access(namespace, project_of_experiment(each)) is not None for each in experiments
        )

    def _check_owns(self, place: Place) -> None:
        if not self._owns(place):
            raise AccessNotGranted(
                f"server {self.name}: namespace {self.namespace} has no entry for the history of "
                f"{place.resource} in the experiment {place.operations}; ask who runs the operator "
                "for one in mlflowServers[].access"
            )

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags on a version.

        Raises:
            NotFound: the model may not be seen.
            AccessNotGranted: no entry allows Tags on it.
        """
        self._check_may_tag(version)
        await self.shared.set_version_tags(version, tags)

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        """Remove tags from a version; raises as `set_version_tags` does."""
        self._check_may_tag(version)
        await self.shared.delete_version_tags(version, keys)

    def _check_may_tag(self, version: ModelVersion) -> None:
        model = version.name
        if not self.accesses.sees(model):
            raise NotFound(
                f"MLflow has no registered model {model} with versions",
                reason=Reason.MODEL_NOT_FOUND,
            )
        if not self.accesses.may(Permission.TAGS, model):
            raise AccessNotGranted(
                f"server {self.name}: no entry of mlflowServers[].access allows Tags on the "
                f"registered model {model} in this namespace and for this project; ask who runs "
                "the operator for one, or set spec.tags.mode: Off"
            )
