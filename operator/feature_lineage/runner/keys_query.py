"""Keys as a query of PostgreSQL, so that a retrieval for training writes nothing.

Feast copies a table of keys into the database, and leaves the copy there if the process dies. It
reads a query of keys where it stands.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any, Final

from feast import RepoConfig

_NAMES_NO_VALUE: Final = ("08", "28", "3D", "42", "53", "55", "57")
"""Classes of SQLSTATE whose messages have names and types, and no values of a query."""
_SYNTAX_ERROR: Final = "42601"


class PostgresError(Exception):
    """A query of keys that failed, in words without the query: it has keys of entities."""


def embedding(config: RepoConfig) -> RepoConfig:
    """The configuration with which Feast embeds such a query into its own."""
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import EntitySelectMode

    changed = copy(config)
    update = {"entity_select_mode": EntitySelectMode.embed_query}
    changed._offline_store = config.offline_store.model_copy(update=update)
    return changed


def keys_query(rows: Sequence[dict[str, Any]]) -> str:
    """The query of these rows, at least one, which have the same names."""
    from psycopg import sql

    names, comma = list(rows[0]), sql.SQL(", ")
    values = (comma.join(_literal(row[name]) for name in names) for row in rows)
    query = sql.SQL("SELECT * FROM (VALUES {}) AS keys ({})").format(
        comma.join(sql.SQL("({})").format(each) for each in values),
        comma.join(map(sql.Identifier, names)),
    )
    return str(query.as_string())


def without_keys(error: BaseException) -> PostgresError:
    """What the database says, or the class of the error: pandas and libpq quote the query."""
    from psycopg import Error, OperationalError

    found: BaseException | None = error
    while found is not None and not isinstance(found, Error):
        found = found.__cause__
    match found:
        case OperationalError(sqlstate=None):  # of the connection
            return PostgresError(f"{type(found).__name__}: {found}")
        case Error(sqlstate=str(code)):
            says = f"{type(found).__name__} ({code})"
            if code.startswith(_NAMES_NO_VALUE) and code != _SYNTAX_ERROR:
                says += f": {found.diag.message_primary or ''}"
            return PostgresError(says)
    return PostgresError(type(found or error).__name__)


def _literal(value: Any) -> Any:
    """A literal of the type that a table of Feast has."""
    from psycopg import sql

    types = {int: "{}::bigint", float: "{}::float8"}
    return sql.SQL(types.get(type(value), "{}")).format(sql.Literal(value))
