"""Computes an online store's identity: its type, and where it is, without credentials.

It is read from Feast's own configuration object. Of the stores of Feast the fields count that say
where a store is; of any other store all fields but credentials. A new password moves no store.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_PLACE: Final = frozenset(
    (
        "account",
        "bucket_name",
        "cluster_members",
        "cluster_name",
        "collection_suffix",
        "connection_name",
        "connection_string",
        "database",
        "database_name",
        "db_name",
        "db_schema",
        "dbname",
        "endpoint_url",
        "grpc_port",
        "host",
        "hosts",
        "index",
        "index_path",
        "instance",
        "keyspace",
        "kv_port",
        "location",
        "namespace",
        "path",
        "port",
        "prefix",
        "project_id",
        "region",
        "schema",
        "schema_",
        "secure_bundle_path",
        "sentinel_master",
        "set_name_template",
        "table_name_template",
        "type",
        "uri",
        "url",
    )
)
"""Fields of the online stores of Feast 0.67 that say where the store is."""
_SECRET: Final = frozenset(["auth", "cert", "key", "password", "secret", "token", "user"])
"""Words in the names of fields that do not count in a store that has none of Feast's names."""
_SEPARATORS: Final = re.compile(r"[,;\s]+")
_OPTIONS: Final = frozenset(("db", "dbname", "host", "port"))
"""Options within a connection string that say where the store is."""


def online_store_id(config: Any, repo: Path) -> str:
    """Sixteen hex digits that identify the online store of a ``RepoConfig``; "" if it has none.

    The version with which entity keys are written is a part of it: a store does not find rows
    under keys of another version.
    """
    store = config.online_store
    if store is None:
        return ""
    values = store.model_dump(mode="json") if hasattr(store, "model_dump") else vars(store)
    places = sorted(_places(values, "", repo))
    if {key for key, _ in places} <= {"type"}:  # a store with names of its own
        places = sorted((str(key), str(item)) for key, item in values.items() if not _secret(key))
    version = config.entity_key_serialization_version
    text = "\n".join([f"keys {version}", *(f"{key} {value}" for key, value in places)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _places(value: Any, key: str, repo: Path) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, str(name), repo)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _places(item, key, repo)
    elif value not in (None, "") and key in _PLACE:
        yield key, _place(str(value), key, repo)


def _secret(key: str) -> bool:
    return bool(set(key.lower().strip("_").split("_")) & _SECRET)


def _place(value: str, key: str, repo: Path) -> str:
    """The value without user, password and options.

    Not by `urlsplit`, which refuses some addresses with an error that contains their password.
    """
    scheme, url, rest = value.partition("://")
    if url:
        address = rest.rpartition("@")[2]  # a password may contain each of /?#
        return f"{scheme}://{re.split('[?#]', address)[0]}"
    if key.endswith("path"):
        return os.path.realpath(repo / value)
    options = (part.partition("=") for part in _SEPARATORS.split(value))
    kept = (
        f"{name}={option}" if equals else name.rpartition("@")[2]
        for name, equals, option in options
        if name in _OPTIONS or not equals
    )
    return ",".join(kept)
