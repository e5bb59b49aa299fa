"""Which tracking URIs a project may name: globs that cannot be talked around.

A glob is an address, ``http(s)://host[:port][/path]``, and is held against a URI part by part:
a star stands for text within one label of the host (between dots), one segment of the path
(between slashes), or for the whole port. So ``https://mlflow.*.example.org`` allows one label
in that place, and never a host that only has the rest in its path.

What does not look like a plain address is not allowed, whatever it may mean to who parses it next.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_*-]+(?:\.[a-z0-9_*-]+)*)"
    r"(?::(?P<port>[0-9]{1,5}|\*))?"
    r"(?P<path>(?:/[^/?#@\\\s]+)*)/?",
    re.ASCII | re.IGNORECASE,
)
_PORTS: Final = {"http": "80", "https": "443"}
_IN_A_LABEL: Final = "[a-z0-9_-]*"
_IN_A_SEGMENT: Final = "[A-Za-z0-9._~-]*"
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Glob:
    """A tracking URI, or a pattern of some, by its parts.

    Attributes:
        host: labels of a name, or one literal IPv6 address; in lower case.
        port: a number, or a star; that of the scheme where the text has none.
        path: segments; none is the root and nothing below.

    Raises:
        ValueError: the text is no such address.
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
        port = found["port"] or _PORTS[scheme]
        if port != "*":
            if not 0 < int(port) < 65536:
                raise ValueError(f'"{text}" has a port that is none')
            port = str(int(port))
        return cls(scheme, _labels(text, found["host"].lower()), port, path)

    def allows(self, uri: str) -> bool:
        """Whether this pattern stands for that (normalized) tracking URI."""
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


def _labels(text: str, host: str) -> tuple[str, ...]:
    if host.startswith("["):
        try:
            return (ipaddress.IPv6Address(host[1:-1]).compressed,)
        except ValueError as error:
            raise ValueError(f'"{text}" has no IPv6 address in its brackets') from error
    labels = tuple(host.split("."))
    if _NUMBER.fullmatch(labels[-1]) and "*" not in host:
        # 2130706433 and 0x7f.1 are 127.0.0.1 to a resolver, and one or two labels to a star.
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
