"""Computes an online store's identity: its type, and where it is, without credentials.

It is read from Feast's own configuration object, so that it works for each type of store: a field
counts if a word of its name says where the store is. A new password moves no store.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_PLACE: Final = frozenset(
    (
        "host",
        "hosts",
        "port",
        "path",
        "database",
        "db",
        "dbname",
        "schema",
        "keyspace",
        "connection",
        "endpoint",
        "url",
        "uri",
        "region",
        "project",
        "namespace",
        "instance",
        "cluster",
        "members",
        "account",
        "location",
        "prefix",
        "suffix",
        "bucket",
        "collection",
        "table",
        "index",
        "set",
        "sentinel",
        "type",
    )
)
_NO_PLACE: Final = frozenset(
    (
        "ssl",
        "tls",
        "cert",
        "ca",
        "key",
        "user",
        "password",
        "token",
        "pool",
        "timeout",
        "retries",
        "max",
        "warmup",
        "level",
        "params",
        "field",
        "size",
        "overrides",
        "auth",
    )
)
_SEPARATORS: Final = re.compile(r"[,;\s]+")


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
    elif value not in (None, "") and _says_where(key):
        yield key, _place(str(value), key, repo)


def _says_where(key: str) -> bool:
    words = set(key.lower().strip("_").split("_"))
    return bool(words & _PLACE) and not words & _NO_PLACE


def _secret(key: str) -> bool:
    return bool(set(key.lower().strip("_").split("_")) & _NO_PLACE)


def _place(value: str, key: str, repo: Path) -> str:
    """The value without user, password and options."""
    if "://" in value:
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if key.endswith("path"):
        return os.path.realpath(repo / value)
    options = (part.partition("=") for part in _SEPARATORS.split(value))
    kept = (
        f"{name}={option}" if equals else name.rpartition("@")[2]
        for name, equals, option in options
        if not equals or _says_where(name)
    )
    return ",".join(kept)
