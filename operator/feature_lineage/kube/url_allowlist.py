"""Checks which addresses a project may name, by globs: the one check of all of them.

Every address of a project to which the operator connects is checked by an `UrlAllowlist`.

A glob of tracking URIs is ``http(s)://host[:port][/path]``, one of Git hosts ``host[:port]``. It is
compared with an address part by part: a star matches text within one label of the host (between
dots), one segment of the path (between slashes), or the whole port. So
``https://mlflow.*.example.org`` allows one label in that place, and never a host whose path only
contains the rest.

An address that is not a plain one is not allowed, because another parser could read it differently.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_HOST: Final = r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_*-]+(?:\.[a-z0-9_*-]+)*)"
_PORT: Final = r"(?::(?P<port>[0-9]{1,5}|\*))?"
_FLAGS: Final = re.ASCII | re.IGNORECASE
_ADDRESS: Final = re.compile(
    rf"(?P<scheme>https?)://{_HOST}{_PORT}(?P<path>(?:/[^/?#@\\\s]+)*)/?", _FLAGS
)
_HOST_AND_PORT: Final = re.compile(_HOST + _PORT, _FLAGS)
_REPOSITORY: Final = re.compile(
    rf"(?P<scheme>https|ssh)://(?:[a-z0-9._-]+@)?{_HOST}{_PORT}/[^\s]*", _FLAGS
)
_PORTS: Final = {"http": "80", "https": "443", "ssh": "22"}
_IN_A_LABEL: Final = "[a-z0-9_-]*"
_IN_A_SEGMENT: Final = "[A-Za-z0-9._~-]*"
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Glob:
    """The parts of a tracking URI, or of a pattern for tracking URIs.

    Attributes:
        host: labels of a name, or one literal IPv6 address; in lower case.
        port: a number, or a star; the default of the scheme if the text has none.
        path: segments; none means only the root.

    Raises:
        ValueError: the text is not such an address.
    """

    scheme: str
    host: tuple[str, ...]
    port: str
    path: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Glob":
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(f'"{text}" is not of the form http(s)://host[:port][/path]')
        scheme = found["scheme"].lower()
        path = tuple(found["path"].split("/")[1:])
        if {".", ".."} & set(path):
            raise ValueError(f'"{text}" has a path with . or .. in it')
        port = _port(text, found["port"]) or _PORTS[scheme]
        return cls(scheme, _labels(text, found["host"].lower()), port, path)

    def allows(self, uri: str) -> bool:
        """Whether this pattern matches that (normalized) tracking URI."""
        try:
            named = Glob.parse(uri)
        except ValueError:
            return False
        if "*" in uri:
            return False
        return (
            self.scheme == named.scheme
            and self.port in {"*", named.port}
            and _match(self.host, named.host, _IN_A_LABEL)
            and _match(self.path, named.path, _IN_A_SEGMENT)
        )


@dataclass(frozen=True, slots=True)
class HostGlob:
    """A Git host, or a pattern for Git hosts: ``host[:port]``.

    Attributes:
        host: as in `Glob`.
        port: a number, or a star; "" is the default of the scheme.

    Raises:
        ValueError: the text is not a host.
    """

    host: tuple[str, ...]
    port: str

    @classmethod
    def parse(cls, text: str) -> "HostGlob":
        found = _HOST_AND_PORT.fullmatch(text)
        if found is None:
            raise ValueError(f'"{text}" is not of the form host[:port]')
        return cls(_labels(text, found["host"].lower()), _port(text, found["port"]))

    def allows(self, url: str) -> bool:
        """Whether this pattern matches the host of that https or ssh URL."""
        found = _REPOSITORY.fullmatch(url)
        if found is None or "*" in found["host"] or found["port"] == "*":
            return False
        default = _PORTS[found["scheme"].lower()]
        try:
            host = _labels(url, found["host"].lower())
            port = _port(url, found["port"]) or default
        except ValueError:
            return False
        meant = self.port or default
        return meant in {"*", port} and _match(self.host, host, _IN_A_LABEL)


@dataclass(frozen=True, slots=True)
class UrlAllowlist:
    """The addresses of one kind that the platform allows to projects; by default none.

    Attributes:
        patterns: one of them has to match.
        allow_any: any address is allowed.
    """

    patterns: tuple[Glob | HostGlob, ...] = ()
    allow_any: bool = False

    def allows(self, url: str) -> bool:
        """Whether a project may name this address."""
        return self.allow_any or any(pattern.allows(url) for pattern in self.patterns)


def _port(text: str, port: str | None) -> str:
    """The port for the comparison; "" if none is written."""
    if port is None or port == "*":
        return port or ""
    if not 0 < int(port) < 65536:
        raise ValueError(f'"{text}" has an invalid port')
    return str(int(port))


def _labels(text: str, host: str) -> tuple[str, ...]:
    if host.startswith("["):
        try:
            return (ipaddress.IPv6Address(host[1:-1]).compressed,)
        except ValueError as error:
            raise ValueError(f'"{text}" has no IPv6 address in its brackets') from error
    labels = tuple(host.split("."))
    if _NUMBER.fullmatch(labels[-1]) and "*" not in host:
        # A resolver reads 2130706433 and 0x7f.1 as 127.0.0.1; a star would match them as one or two
        # labels.
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise ValueError(f'"{text}" has an IPv4 address that is not four numbers') from error
    return labels


def _match(globs: tuple[str, ...], parts: tuple[str, ...], star: str) -> bool:
    return len(globs) == len(parts) and all(
        glob == part or re.fullmatch(star.join(map(re.escape, glob.split("*"))), part)
        for glob, part in zip(globs, parts, strict=True)
    )
