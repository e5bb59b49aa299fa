"""Computes a registry's identity and finds the secrets in its configuration.

Two resources that write to one registry must compute the same identity, whichever credentials they
use. Secrets must not appear in reports or logs.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

_SECRET_WORDS: Final = ("password", "secret", "token", "access_key", "private_key", "credential")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_DEFAULT_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


def registry_id(kind: str, path: str, repo: Path) -> str:
    """Sixteen hex digits that identify a registry by type and address."""
    address = registry_address(kind, path, repo)
    return hashlib.sha256(f"{kind}\n{address}".encode()).hexdigest()[:16]


def secrets_in(value: Any) -> tuple[str, ...]:
    """Passwords in URLs and under keys such as ``password``, at any depth, longest first."""
    return tuple(sorted(_secrets(value), key=lambda secret: (-len(secret), secret)))


def hosts_with(secrets: Iterable[str], value: Any) -> tuple[str, ...]:
    """Names of hosts, in URLs and under the key ``host``, of which a secret is only a part."""
    found = _hosts(value)
    return tuple(sorted(h for h in found if any(s in h and s != h for s in secrets)))


def registry_address(kind: str, path: str, repo: Path) -> str:
    """The address of a registry, normalized and without credentials."""
    if kind == "remote":
        return f"remote://{path}"  # a host and a port, not a URL
    parts = urlsplit(path)
    if kind == "sql":
        if parts.scheme.startswith("sqlite"):
            database = path.partition("///")[2].partition("?")[0]
            return f"sqlite:{_absolute(database, repo)}"
        server = parts.scheme.partition("+")[0]
        port = parts.port or _DEFAULT_PORTS.get(server, 0)
        return f"{server}://{parts.hostname or ''}:{port}{parts.path}"
    if parts.scheme in ("", "file"):
        return _absolute(parts.path if parts.scheme else path, repo)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _absolute(path: str, repo: Path) -> str:
    return os.path.realpath(repo / path)


def _secrets(value: Any, key: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_secrets(v, str(k)) for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(_secrets(v, key) for v in value))
    if not isinstance(value, str) or len(value) < 4:
        return set()
    found = set()
    if any(word in key.lower() for word in _SECRET_WORDS):
        found.add(value)
    if "://" in value and (password := _password(value)):
        found |= {password, unquote(password)}
    return found


def _hosts(value: Any, key: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_hosts(v, str(k)) for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(_hosts(v, key) for v in value))
    if not isinstance(value, str):
        return set()
    address = value if key == "host" else value.partition("://")[2]
    found = _HOST.match(address.partition("/")[0].rpartition("@")[2])
    return {found[0]} if found else set()


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:  # no valid URL, but it may be shown
        return address.partition("://")[2].rpartition("@")[0].partition(":")[2]
