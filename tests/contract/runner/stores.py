"""Registries and online stores for the tests of the runner, and queries without Feast."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.servers.postgres import Postgres


@dataclass(frozen=True)
class Stores:
    """A registry and an online store.

    Attributes:
        kind: kind of the registry: file, sqlite or postgres.
        yaml: the sections of feature_store.yaml for both.
        folder: folder of the files, if they are files.
        url: URL of the PostgreSQL database, if there is one.
    """

    kind: str
    yaml: str
    folder: Path
    url: str = ""

    def tables(self, project: str) -> set[str]:
        """Return the views that have an online table."""
        prefix = f"{project}_"
        with self._online() as connection:
            names = [row[0] for row in connection.execute(self._listing).fetchall()]
        return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}

    def rows(self, project: str, view: str) -> list[Any]:
        """Return the content of the online store for a view."""
        with self._online() as connection:
            found = connection.execute(f'SELECT * FROM "{project}_{view}"').fetchall()
        return sorted(map(repr, found))

    def registry_state(self) -> str:
        """Return the digest of all bytes in the registry's storage."""
        if self.kind == "file":
            path = self.folder / "registry.db"
            return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
        return hashlib.sha256(repr(sorted(self._registry_rows())).encode()).hexdigest()

    def execute(self, statement: str) -> None:
        """Change the SQL registry as another writer would."""
        with self._registry() as connection:
            connection.execute(statement)
            connection.commit()

    def _registry_rows(self) -> Iterator[tuple[str, str]]:
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if self.kind == "postgres":
            columns = "information_schema.columns"
            names = f"SELECT table_name FROM {columns} WHERE column_name = 'project_id'"
        if self.kind == "sqlite" and not (self.folder / "registry.sqlite").exists():
            return
        with self._registry() as connection:
            for (table,) in connection.execute(names).fetchall():
                for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():
                    yield table, repr(row)

    @property
    def _listing(self) -> str:
        if self.kind == "postgres":
            return "SELECT tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg_%'"
        return "SELECT name FROM sqlite_master WHERE type = 'table'"

    @contextmanager
    def _online(self) -> Iterator[Any]:
        if self.kind == "postgres":
            with psycopg.connect(self.url) as connection:
                connection.execute("SET search_path TO postgres, public")
                yield connection
        else:
            with closing(sqlite3.connect(self.folder / "online.db")) as connection:
                yield connection

    @contextmanager
    def _registry(self) -> Iterator[Any]:
        if self.kind == "postgres":
            with psycopg.connect(self.url) as connection:
                yield connection
        else:
            with closing(sqlite3.connect(self.folder / "registry.sqlite")) as connection:
                yield connection


def on_disk(kind: str, repo: Path) -> Stores:
    """A file or SQLite registry and an online store in SQLite, below ``data`` of a repo."""
    folder = repo / "data"
    registry = {
        "file": f"registry: {folder}/registry.db",
        "sqlite": f"registry: {{registry_type: sql, path: 'sqlite:///{folder}/registry.sqlite'}}",
    }[kind]
    online = f"online_store: {{type: sqlite, path: {folder}/online.db}}"
    return Stores(kind, f"{registry}\n{online}\n", folder)


def on_postgres(server: Postgres, database: str) -> Stores:
    """Registry and online store in one new PostgreSQL database."""
    url = server.create_database(database)
    yaml = f"""\
registry: {{registry_type: sql, path: "{url}"}}
online_store:
  {{type: postgres, host: 127.0.0.1, port: {server.port}, database: {database}, user: postgres,
   password: "", sslmode: disable}}
"""
    return Stores("postgres", yaml, Path(), server.url(database, scheme="postgresql"))
