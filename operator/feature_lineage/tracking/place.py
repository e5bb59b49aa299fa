"""Where a tracking URI leads: equal for the spellings of one address that differ in text only.

Names are compared, not what DNS answers: an alias of a host is another place.
"""

import ipaddress
import posixpath
import re
import socket
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

MAX_CACHED_PLACES: Final = 4096
_SERVICE: Final = re.compile(r"\.svc(\.cluster\.local)?$")


class Place(NamedTuple):
    """A host, a port and a path.

    Attributes:
        host: a name in lower case without a final dot, and a Service without the domain of the
            cluster; or an IP address in its usual form.
        port: None is the default of the scheme: http often leads to what https leads to.
        path: without encoded letters, doubled slashes and dots.
    """

    host: str
    port: int | None
    path: str


@lru_cache(MAX_CACHED_PLACES)
def place_of(tracking_uri: str) -> Place:
    """The place of a normalized tracking URI, as `MLflowServer` has it."""
    parts = urlsplit(tracking_uri)
    path = posixpath.normpath("/" + unquote(parts.path).lstrip("/"))
    return Place(_host(parts.hostname or ""), parts.port, re.sub("/+", "/", path))


def _host(name: str) -> str:
    name = name.rstrip(".")
    try:
        # As resolvers do: 0x7f.1 and 2130706433 are 127.0.0.1.
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        pass
    try:
        address = ipaddress.IPv6Address(name)
    except ValueError:
        return _SERVICE.sub("", name)
    return str(address.ipv4_mapped or address.compressed)
