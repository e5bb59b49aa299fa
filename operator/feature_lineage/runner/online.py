"""Creates online tables before a view is registered, and drops them after it is removed.

In this order every registered view has a table. A killed job leaves at most an extra table, which
the next apply drops: the request lists the views of the last snapshot. Tables are
never guessed from their names, since ``p`` + ``1_x`` and ``p_1`` + ``x`` are the same table.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from feast import FeatureStore
from feast.feature_view import FeatureView
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from feast.protos.feast.core.FeatureView_pb2 import FeatureView as FeatureViewProto
from feast.repo_contents import RepoContents

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.runner.progress import ProgressPipe
from feature_lineage.runner.reader import views_of


def dropped_views(current: RegistrySnapshot, desired: RegistrySnapshot) -> tuple[str, ...]:
    """Deleted views that have an online table, without views that only change their kind."""
    kept = {name for _, name, _ in desired.views()}
    return tuple(
        sorted(
            name
            for kind, name, spec in current.views()
            if name not in kept and has_table(kind, spec)
        )
    )


def has_table(kind: str, spec: Any) -> bool:
    """Whether Feast keeps an online table for the view."""
    return bool(spec.get("write_to_online_store" if kind == "on_demand_feature_view" else "online"))


class OnlineTables:
    """The tables of one project."""

    def __init__(
        self, store: FeatureStore, contents: RepoContents, before: Any, progress: ProgressPipe
    ) -> None:
        self._store = store
        self._progress = progress
        self._contents = contents
        self._before = before

    def create(self) -> None:
        """Create every missing table."""
        contents = self._contents
        views = [
            *contents.feature_views,
            *contents.stream_feature_views,
            *(v for v in contents.on_demand_feature_views if v.write_to_online_store),
            *contents.label_views,
        ]
        if self._store.config.registry.enable_online_feature_view_versioning:
            self._set_versions(views)
        provider = self._store._get_provider()
        with (
            self._progress.phase("online_tables"),
            _one_transaction(provider.online_store, self._store),
        ):
            provider.update_infra(
                project=self._store.project,
                tables_to_delete=[],
                tables_to_keep=views,
                entities_to_delete=[],
                entities_to_keep=contents.entities,
                partial=False,
            )

    def drop(self, names: Iterable[str], last_views: Iterable[str]) -> None:
        """Drop the tables of these views, and of views that an earlier, killed apply left."""
        contents = self._contents
        kept = {
            view.name
            for views in (
                contents.feature_views,
                contents.stream_feature_views,
                contents.on_demand_feature_views,
                contents.label_views,
            )
            for view in views
        }
        known = {message.spec.name: message for _, message in views_of(self._before, self._project)}
        orphans = set(last_views) - kept - known.keys()
        dropped = [known.get(name) or named(name) for name in sorted({*names, *orphans})]
        with self._progress.phase("online_tables"):
            drop_tables(self._store, dropped)

    @property
    def _project(self) -> str:
        return str(self._store.project)

    def _set_versions(self, views: list[Any]) -> None:
        """Set the views' registered versions, which name the tables if tables are versioned."""
        versions = {
            message.spec.name: message.meta.current_version_number
            for _, message in views_of(self._before, self._project)
        }
        for view in views:
            if getattr(view, "current_version_number", None) is None:
                view.current_version_number = versions.get(view.name) or None


@contextmanager
def _one_transaction(online_store: Any, store: FeatureStore) -> Iterator[None]:
    """Use one SQLite transaction: otherwise SQLite syncs three times per view."""
    if type(online_store) is not SqliteOnlineStore:
        yield
        return
    connection = online_store._get_conn(store.config)
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def drop_tables(store: FeatureStore, messages: list[Any]) -> None:
    """Drop the online tables of these views; `OnlineStore.teardown` would drop all tables."""
    if not messages:
        return
    store._get_provider().update_infra(
        project=store.project,
        tables_to_delete=[_as_view(message) for message in messages],
        tables_to_keep=[],
        entities_to_delete=[],
        entities_to_keep=[],
        partial=False,
    )


def named(name: str) -> Any:
    """A view message with a name only."""
    message = FeatureViewProto()
    message.spec.name = name
    return message


def _as_view(message: Any) -> FeatureView:
    """A feature view with the name and features, which is enough to drop its table."""
    bare = FeatureViewProto()
    bare.spec.name = message.spec.name
    bare.spec.features.extend(message.spec.features)
    version = getattr(message.meta, "current_version_number", 0)
    if version:
        bare.meta.current_version_number = version
    return FeatureView.from_proto(bare, skip_udf=True)
