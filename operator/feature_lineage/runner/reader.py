"""Reads a registry without creating, refreshing, unpickling or running anything.

Feast's own registry classes write when they are opened (a missing file registry is created, a SQL
one gets its tables and a metadata row), and their ``list_*`` methods execute the stored code of
on-demand views. This module only reads the file or the project's rows.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast import FeatureStore
from feast.infra.registry import sql
from feast.infra.registry.file import FileRegistryStore
from feast.infra.registry.registry import (
    get_registry_store_class_from_scheme,
    get_registry_store_class_from_type,
)
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RepoConfig
from google.protobuf.message import DecodeError
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from feature_lineage.runner.errors import InvalidRepo, RegistryUnreadable, error_line

# Registry message field → SQL table and its column; the same for every Feast SQL registry.
TABLES = {
    "entities": (sql.entities, "entity_proto"),
    "data_sources": (sql.data_sources, "data_source_proto"),
    "feature_views": (sql.feature_views, "feature_view_proto"),
    "stream_feature_views": (sql.stream_feature_views, "feature_view_proto"),
    "on_demand_feature_views": (sql.on_demand_feature_views, "feature_view_proto"),
    "label_views": (sql.label_views, "feature_view_proto"),
    "feature_services": (sql.feature_services, "feature_service_proto"),
    "permissions": (sql.permissions, "permission_proto"),
    "saved_datasets": (sql.saved_datasets, "saved_dataset_proto"),
    "validation_references": (sql.validation_references, "validation_reference_proto"),
    "projects": (sql.projects, "project_proto"),
}


@dataclass(frozen=True)
class Reading:
    """The content of a registry at one moment.

    Attributes:
        proto: Feast's message; of a SQL registry, this project's rows only.
        exists: whether there was a registry at all.
        fingerprint: digest of a file registry's bytes, "" elsewhere.
    """

    proto: Any
    exists: bool
    fingerprint: str = ""


class RegistryReader:
    """Reads the registry that a feature_store.yaml names."""

    def __init__(self, config: RepoConfig, repo: Path) -> None:
        self._config = config
        self._repo = repo

    def read(self) -> Reading:
        """The registry's current content.

        Raises:
            RegistryUnreadable: the registry does not answer or cannot be parsed.
        """
        registry = self._config.registry
        kind = registry.registry_type or "file"
        try:
            if kind == "sql":
                return self._read_sql()
            if kind == "file" or registry.registry_store_type is not None:
                return self._read_stored()
            if kind == "remote":
                from feature_lineage.runner.registry_server import read_server

                return Reading(read_server(self._config), exists=True)
            store = FeatureStore(repo_path=str(self._repo), config=self._config)
            return Reading(store.registry.proto(), exists=True)
        except ArgumentError as error:
            raise InvalidRepo(f"registry.path is no database URL: {error_line(error)}") from error
        except SQLAlchemyError as error:
            raise RegistryUnreadable(
                f"the SQL registry cannot be read: {error_line(error)}"
            ) from error
        except (OSError, DecodeError) as error:
            raise RegistryUnreadable(
                f"the registry at {registry.path} cannot be read: {error_line(error)}; "
                "restore it from a backup if this stays"
            ) from error

    def _read_stored(self) -> Reading:
        store = registry_store(self._config, self._repo)
        if isinstance(store, FileRegistryStore):
            return read_file(store._filepath)
        try:
            return Reading(store.get_registry_proto(), exists=True)
        except FileNotFoundError:
            return Reading(Registry(), exists=False)

    def _read_sql(self) -> Reading:
        registry = self._config.registry
        engine = create_engine(registry.path, **registry.sqlalchemy_config_kwargs)
        try:
            database = engine.url.database
            if engine.dialect.name == "sqlite" and database and not Path(database).exists():
                return Reading(Registry(), exists=False)  # connecting would create the file
            with engine.connect() as connection:
                if not inspect(connection).has_table(sql.projects.name):
                    return Reading(Registry(), exists=False)
                return Reading(rows_of(connection, self._config.project), exists=True)
        finally:
            engine.dispose()


def registry_store(config: RepoConfig, repo: Path) -> Any:
    """Feast's registry store object of a file-like registry (file, S3, GCS, …)."""
    registry = config.registry
    if registry.registry_store_type is None:
        cls = get_registry_store_class_from_scheme(registry.path)
    else:
        cls = get_registry_store_class_from_type(str(registry.registry_store_type))
    return cls(registry, repo)


def read_file(path: Path) -> Reading:
    """A local file registry."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Reading(Registry(), exists=False)
    proto = Registry()
    proto.ParseFromString(data)
    return Reading(proto, exists=True, fingerprint=hashlib.sha256(data).hexdigest())


def rows_of(connection: Any, project: str) -> Any:
    """One project's rows of a SQL registry, read over the given connection."""
    proto = Registry()
    for field, (table, column) in TABLES.items():
        for (data,) in connection.execute(
            select(table.c[column]).where(table.c.project_id == project)
        ):
            message = getattr(proto, field).add()
            message.ParseFromString(data)
            if field != "projects":
                spec = message.spec if "spec" in message.DESCRIPTOR.fields_by_name else message
                spec.project = project  # a column of the row, not part of the message
    return proto


def views_of(proto: Any, project: str) -> Iterator[tuple[str, Any]]:
    """(section of the message, view message) of every view of a project."""
    for section in (
        "feature_views",
        "stream_feature_views",
        "on_demand_feature_views",
        "label_views",
    ):
        for message in getattr(proto, section):
            if message.spec.project == project:
                yield section, message
