"""Certificates and kubeconfigs of a control plane that runs for minutes."""

import base64
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=7)
_USES = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]


@dataclass(frozen=True)
class Credential:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority whose key is only in the memory of this process.

    Attributes:
        certificate: the certificate of the authority, as PEM.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("feature-lineage test")
        self._itself = (
            _certificate(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._itself.public_bytes(Encoding.PEM)

    def issue(
        self, common_name: str, *, groups: tuple[str, ...] = (), addresses: tuple[str, ...] = ()
    ) -> Credential:
        """Create a certificate for a user of these groups, or for a server at these addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        draft = _certificate(_name(common_name, *groups), self._name, key.public_key())
        draft = draft.add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        if addresses:
            names = [_general_name(address) for address in addresses]
            draft = draft.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = draft.sign(self._key, hashes.SHA256())
        return Credential(signed.public_bytes(Encoding.PEM), _pem(key))


def key_pair() -> tuple[bytes, bytes]:
    """Create a private key and its public key as PEM, to sign tokens of service accounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _pem(key), public


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only this user may read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def kubeconfig(
    path: Path, server: str, authority: bytes, user: dict[str, Any], namespace: str = "default"
) -> Path:
    """Write a kubeconfig that needs no other file."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority-data": _text(authority)},
            }
        ],
        "users": [{"name": "user", "user": user}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "user", "namespace": namespace}}
        ],
        "current-context": "test",
    }
    return write_private(path, json.dumps(content, indent=1).encode())


def certificate_user(credential: Credential) -> dict[str, str]:
    """Return the `user` of a kubeconfig that authenticates with a certificate."""
    return {
        "client-certificate-data": _text(credential.certificate),
        "client-key-data": _text(credential.key),
    }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _name(common_name: str, *groups: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )
