"""Keys as a query of PostgreSQL, so that a retrieval for training writes nothing.

Feast copies a table of keys into the database, and leaves the copy there if the process dies. It
reads a query of keys where it stands.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from feast import RepoConfig


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


def _literal(value: Any) -> Any:
    """A literal of the type that a table of Feast has."""
    from psycopg import sql

    types = {int: "{}::bigint", float: "{}::float8"}
    return sql.SQL(types.get(type(value), "{}")).format(sql.Literal(value))
