"""A real OpenID provider for Feast servers on loopback: a discovery document, one key, tokens."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm


@dataclass(frozen=True)
class Identity:
    """The provider.

    Attributes:
        url: the address of its discovery document.
    """

    url: str
    key: rsa.RSAPrivateKey

    def token(self, *roles: str) -> str:
        """A signed token of a user with these roles."""
        claims = {"preferred_username": "tester", "roles": list(roles)}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "1"})


@contextmanager
def start_identity() -> Iterator[Identity]:
    """Serve the documents of a provider until the block ends."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(_document(f"http://{self.headers['Host']}", self.path, public))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Identity(f"http://127.0.0.1:{server.server_port}/discovery", key)
    finally:
        server.shutdown()
        server.server_close()


def _document(base: str, path: str, public: dict[str, Any]) -> dict[str, Any]:
    if path == "/keys":
        return {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}
    return {
        "jwks_uri": f"{base}/keys",
        "token_endpoint": f"{base}/token",
        "authorization_endpoint": f"{base}/authorize",
    }
