"""One MLflow server with one credential: everything that a host needs of it."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta

from feature_lineage.clock import utc_now
from feature_lineage.errors import NotFound
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.past import FIRST, Entry, Place, RegistryState
from feature_lineage.operations.past_operations import PastOperation
from feature_lineage.operations.records import OpsRun
from feature_lineage.reasons import Reason
from feature_lineage.tracking.cache_budget import Share
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.history_reader import HistoryReader
from feature_lineage.tracking.mlflow_server import MLflowServer
from feature_lineage.tracking.ops import OpsRuns
from feature_lineage.tracking.registry_cache import OnRegistryChange, RegistryCache
from feature_lineage.tracking.tags import set_version_tag
from feature_lineage.tracking.timeline_reader import TimelineReader


class MLflowRegistry:
    """Shared by all resources that name this server with this credential.

    Every method raises `ServerUnavailable`, `AccessRefused` or `RequestRejected` as the server
    answers; during an outage all calls but one probe every 5 to 30 seconds fail at once.

    Args:
        server: address and credential.
        now: the current time, aware, in UTC.
        on_change: called with the names of registered models that have changed.
        share: see `RegistryCache`.
    """

    def __init__(
        self,
        server: MLflowServer,
        *,
        now: Callable[[], datetime] = utc_now,
        on_change: OnRegistryChange = lambda _: None,
        share: Share | None = None,
    ) -> None:
        self.server = server
        self._client = MLflowClient(server, now=now)
        self._view = RegistryCache(self._client, now=now, on_change=on_change, share=share)
        self._ops = OpsRuns(self._client)
        self._timeline = TimelineReader(self._client)
        self._past = HistoryReader(self._client)

    @property
    def last_view(self) -> RegistryView | None:
        """The last good reading, however old; survives an outage."""
        return self._view.last

    async def view(
        self, *, max_age: timedelta, full: bool = False, wait: bool = True
    ) -> RegistryView:
        """The model registry, read at most `max_age` before this call; with `full`, all of it.

        Without `wait`, the last good reading is returned while a newer one is being read.
        """
        return await self._view.view(max_age=max_age, full=full, wait=wait)

    async def record(self, run: OpsRun) -> str:
        """Create or complete the ops run of one operation; returns its id. Idempotent."""
        return await self._ops.record(run)

    async def history(
        self, experiment: str, *, namespace: str | None = None
    ) -> tuple[SnapshotRecord, ...]:
        """The registry's timeline from the ops runs, oldest first.

        Args:
            namespace: only the runs of projects in this namespace count.
        """
        return await self._timeline.history(experiment, namespace=namespace)

    async def snapshot(
        self, experiment: str, digest: str, *, namespace: str | None = None
    ) -> RegistrySnapshot | None:
        """A snapshot stored with an ops run, with its digest checked; None if there is none.

        Args:
            namespace: the runs of projects in this namespace are searched first.
        """
        return await self._timeline.snapshot(experiment, digest, namespace=namespace)

    async def aliases_at(self, place: Place, at: datetime | None = None) -> AliasState | None:
        """The aliases of a project's models at a time, or as of the last record."""
        return await self._past.aliases_at(place, at)

    async def registry_at(self, place: Place, at: datetime) -> RegistryState | None:
        """The Feast registry in force at a time, as the ops runs say."""
        return await self._past.registry_at(place, at)

    async def operations_at(self, place: Place, at: datetime) -> tuple[PastOperation, ...]:
        """The operations that ran at a time, and the last one that had ended."""
        return await self._past.operations_at(place, at)

    def entries(
        self,
        place: Place,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: tuple[int, str] = FIRST,
    ) -> AsyncIterator[Entry]:
        """All entries of the history that began within a time, oldest first."""
        return self._past.entries(place, since=since, until=until, after=after)

    async def set_version_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags on a version, after checking that it was not deleted and created again.

        Raises:
            NotFound: the version is gone, or was created again.
            RequestRejected: a value is too long (reason ``TagTooLong``); earlier tags are written.
        """
        if not tags:
            return
        await self._check_same_version(version)
        for key, value in tags.items():
            await set_version_tag(self._client, version.name, version.version, key, value)
            self._view.record_tag_write(version, {key: value})

    async def delete_version_tags(self, version: ModelVersion, keys: tuple[str, ...]) -> None:
        """Remove tags from a version; a missing tag or version is no error."""
        try:
            if keys:
                await self._check_same_version(version)
            for key in keys:
                await self._client.delete_version_tag(version.name, version.version, key)
                self._view.record_tag_write(version, {key: None})
        except NotFound:
            return

    async def close(self) -> None:
        """Cancel a reading in progress and close the connections."""
        await self._view.close()
        await self._client.close()

    async def _check_same_version(self, version: ModelVersion) -> None:
        found = await self._client.get_version(version.name, version.version)
        if found.version.created_at != version.created_at:
            raise NotFound(
                f"model {version.name} version {version.version} at {self.server.tracking_uri} was"
                f" created {found.version.created_at}, not {version.created_at}: it was deleted and"
                " created again; the next reading of the registry shows the new one",
                reason=Reason.VERSION_NOT_FOUND,
            )
