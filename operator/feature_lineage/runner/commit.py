"""Changes the registry atomically: after a kill the registry is the old or the new one.

Stock Feast commits row by row (SQL) or truncates the file before it writes. Here, all of
Feast's writes to a SQL registry share one transaction. A file registry is built in memory and
renamed into place. Both compare first: if the registry differs from the one that the plan was made
for, nothing is written.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from feast import FeatureStore
from feast.infra.registry import sql
from feast.infra.registry.file import FileRegistryStore
from feast.infra.registry.registry import REGISTRY_SCHEMA_VERSION
from sqlalchemy.exc import OperationalError

from feature_lineage.runner.canonical import snapshot_of
from feature_lineage.runner.changes import Changes
from feature_lineage.runner.errors import RegistryUnreadable, SteppedBack, error_line
from feature_lineage.runner.owner import owner_of
from feature_lineage.runner.reader import Reading, read_file, registry_store, rows_of
from feature_lineage.runner.repo import memory_registry

_LOCK_TIMEOUT: Final = "60s"
REGISTRY_CHANGED: Final = (
    "another writer changed the registry between plan and apply; "
    "the job changed nothing, and the plan is made again"
)


def commit(
    store: FeatureStore,
    repo: Path,
    before: Reading,
    expected: str,
    changes: Changes,
    prepare: Callable[[], None],
) -> None:
    """Write the changes if the registry is still the one they were computed from.

    Args:
        before: the registry as it was read for the plan.
        expected: digest of this project's snapshot then.
        prepare: called before the commit; an exception rolls all changes back.

    Raises:
        SteppedBack: the registry has changed.
    """
    config = store.config
    kind = config.registry.registry_type or "file"
    if kind == "sql":
        with sql_transaction(store, before, expected) as registry:
            changes.write(registry, store.project)
            prepare()
    elif kind == "file" or config.registry.registry_store_type is not None:
        registry = staged_registry(store, before)
        changes.write(registry, store.project)
        prepare()
        publish(registry.cached_registry_proto, registry_store(config, repo), before)
    else:  # Snowflake: there is no transaction, so the registry is only compared
        _check_unchanged(store.registry.proto(), store.project, before, expected)
        changes.write(store.registry, store.project)
        prepare()
        store.registry.commit()


def _check_unchanged(found: Any, project: str, before: Reading, expected: str) -> None:
    """Compare the project's objects and its owner record with those that were read."""
    snapshot = snapshot_of(found, project, project)
    same_owner = owner_of(found, project) == owner_of(before.proto, project)
    if snapshot.objects_digest != expected or not same_owner:
        raise SteppedBack(REGISTRY_CHANGED)


def staged_registry(store: FeatureStore, before: Reading) -> Any:
    """A file-like registry in memory, to be changed and then published."""
    registry = memory_registry(store, before.proto)
    settings = store.config.registry
    registry.purge_feast_metadata = settings.purge_feast_metadata
    registry.enable_online_versioning = settings.enable_online_feature_view_versioning
    if not registry.cached_registry_proto.registry_schema_version:
        registry.cached_registry_proto.registry_schema_version = REGISTRY_SCHEMA_VERSION
    return registry


def publish(proto: Any, target: Any, before: Reading) -> None:
    """Replace the file-like registry that was read.

    Raises:
        SteppedBack: the registry has changed since it was read.
    """
    if isinstance(target, FileRegistryStore):
        with file_lock(target._filepath):
            found = read_file(target._filepath)
            if (found.exists, found.fingerprint) != (before.exists, before.fingerprint):
                raise SteppedBack(REGISTRY_CHANGED)
            replace_file(target, proto)
        return
    try:
        version = target.get_registry_proto().version_id
    except FileNotFoundError:
        version = ""
    if version != before.proto.version_id:
        raise SteppedBack(REGISTRY_CHANGED)
    target.update_registry_proto(proto)  # object stores write atomically


def replace_file(target: Any, proto: Any) -> None:
    """Write a file registry to a temporary file, and rename it into place."""
    path: Path = target._filepath
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    target._filepath = temporary
    try:
        FileRegistryStore._write_registry(target, proto)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    finally:
        target._filepath = path
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Lock the file's directory against this product's other writers; no lock file is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def sql_transaction(store: FeatureStore, before: Reading, expected: str) -> Iterator[Any]:
    """The SQL registry with every write of Feast's inside one transaction.

    Raises:
        SteppedBack: this project's rows have changed since the plan.
        RegistryUnreadable: another writer held the lock for too long.
    """
    registry = store.registry
    engine, reading = registry.write_engine, registry.read_engine
    refresh = registry.refresh
    with engine.connect() as connection, connection.begin():
        exclusive = lock_tables(connection)
        found = rows_of(connection, store.project)
        _check_unchanged(found, store.project, before, expected)

        @contextlib.contextmanager
        def part() -> Iterator[Any]:
            # Feast retries after a conflict. With an exclusive lock there are no conflicts, and a
            # savepoint per statement would double the number of statements.
            with contextlib.nullcontext() if exclusive else connection.begin_nested():
                yield connection

        class Joined:
            dialect = engine.dialect
            begin = connect = staticmethod(part)

        registry.write_engine = registry.read_engine = Joined()
        registry.refresh = lambda project=None: None  # noqa: ARG005  Feast refreshes at each write
        try:
            yield registry
        finally:
            registry.write_engine, registry.read_engine = engine, reading
            registry.refresh = refresh


def lock_tables(connection: Any) -> bool:
    """Lock out other writers until the transaction ends; readers continue.

    Returns:
        Whether the tables are locked: only SQLite and PostgreSQL support this lock.
    """
    dialect = connection.engine.dialect.name
    try:
        if dialect == "sqlite":
            # The driver begins at the first write and would not cover earlier reads.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return True
        if dialect == "postgresql":
            names = ", ".join(sorted(table.name for table in sql.metadata.sorted_tables))
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            return True
    except OperationalError as error:
        raise RegistryUnreadable(
            f"the SQL registry stayed locked by another writer: {error_line(error)}"
        ) from error
    return False
