"""Address and credential of an MLflow server.

The value is also the key by which readings are shared. It compares by value, with the credential:
two tenants with different credentials never share a reading. Its `repr` has no secret.
"""

import ipaddress
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from feature_lineage.errors import InvalidManifest

DEFAULT_WORKSPACE: Final = "default"
"""MLflow's name for the workspace of a request that names none."""

MAX_CACHED_ADDRESSES: Final = 4096
"""Normalized addresses in the cache."""
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """User and password for MLflow's ``basic-auth`` app."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token for a gateway in front of MLflow; surrounding blanks are removed."""

    token: str = field(repr=False)

    def __post_init__(self) -> None:
        token = self.token.strip()
        # Checked here: the HTTP library would quote an illegal header in its error.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidManifest(
                "the MLflow bearer token is empty or has characters that a header cannot contain;"
                " write the token alone into the secret"
            )
        object.__setattr__(self, "token", token)


Credential = BasicAuth | BearerToken | None


@dataclass(frozen=True, slots=True)
class MLflowServer:
    """One MLflow server with one credential.

    Attributes:
        tracking_uri: ``http(s)://host[:port][/prefix]``, normalized: host in lower case, no
            default port, no trailing slash.
        workspace: MLflow workspace, "" for the server's default.
        credential: `BasicAuth`, `BearerToken` or None.
        ca_bundle: PEM text of certificates trusted besides the public ones, "" for none.
        connect_deadline: seconds until a connection must be established.
        read_deadline: seconds until an answer must be complete, once connected.

    Raises:
        InvalidManifest: the URI has another scheme or a credential, or a CA does not parse.
    """

    tracking_uri: str
    workspace: str = ""
    credential: Credential = None
    ca_bundle: str = field(default="", repr=False)
    connect_deadline: float = 3.0
    read_deadline: float = 15.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracking_uri", normalized(self.tracking_uri))
        if not self.workspace.isascii() or not self.workspace.isprintable():
            raise InvalidManifest(
                f"MLflow workspace {self.workspace!r} cannot be sent in a header;"
                " use a name of printable ASCII characters"
            )
        if self.ca_bundle:
            self.tls()

    @property
    def host(self) -> str:
        """``host:port`` as the server sees it in the Host header."""
        return urlsplit(self.tracking_uri).netloc

    def tls(self) -> ssl.SSLContext:
        """A context that trusts the public certificates and the bundle; takes about 20 ms."""
        context = httpx.create_ssl_context()
        if self.ca_bundle:
            try:
                context.load_verify_locations(cadata=self.ca_bundle)
            except (ssl.SSLError, ValueError) as error:
                raise InvalidManifest(
                    f"the CA bundle for MLflow at {self.tracking_uri} is not PEM text of"
                    " certificates; put them there as -----BEGIN CERTIFICATE----- blocks"
                ) from error
        return context


@lru_cache(MAX_CACHED_ADDRESSES)
def normalized(uri: str) -> str:
    """The address as `MLflowServer.tracking_uri` has it; raises as `MLflowServer` does."""
    uri = uri.strip()
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
        httpx.URL(uri)  # the HTTP library refuses more than `urlsplit`, such as control characters
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidManifest(f"MLflow trackingUri does not parse: {error}") from error
    if parts.username is not None or parts.password is not None:
        # The URI itself is not repeated: it contains a secret.
        raise InvalidManifest(
            f"MLflow trackingUri of host {host} contains a user or password;"
            " remove it there and name a secret under auth"
        )
    if parts.scheme not in _PORTS or not host:
        raise InvalidManifest(
            f"MLflow trackingUri {uri!r} is not supported: write http://host:port or https://…;"
            " the operator talks to a tracking server, not to files, databases or Databricks"
        )
    if parts.query or parts.fragment:
        raise InvalidManifest(
            f"MLflow trackingUri of host {host} has a query or fragment; remove it"
        )
    where = _host(host)
    if port not in {None, _PORTS[parts.scheme]}:
        where = f"{where}:{port}"
    return urlunsplit((parts.scheme, where, parts.path.rstrip("/"), "", ""))


def _host(host: str) -> str:
    """The host to which the HTTP library connects."""
    try:
        if ":" in host:
            return f"[{ipaddress.IPv6Address(host).compressed}]"
        return host if host.isascii() else httpx.URL(f"http://{host}").raw_host.decode()
    except (ValueError, httpx.InvalidURL) as error:
        raise InvalidManifest(f"MLflow trackingUri has no host in {host!r}: {error}") from error
