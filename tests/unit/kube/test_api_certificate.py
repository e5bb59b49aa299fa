"""The certificate of the HTTP API: rotated in place, and kept if the new one cannot be used."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cluster.pki import Authority, Credential

from feature_lineage.errors import InvalidManifest
from feature_lineage.kube.api_server import Certificate


def mount(folder: Path, certificate: bytes, key: bytes) -> None:
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)


def issued(authority: Authority, name: str) -> Credential:
    return authority.issue(name, addresses=("127.0.0.1",))


def served_name(served: Certificate, authority: Authority) -> str:
    """The common name in the certificate that a new connection gets."""
    near, far = socket.socketpair()
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    with near, far, ThreadPoolExecutor(1) as pool:
        answering = pool.submit(served.context.wrap_socket, near, server_side=True)
        with client.wrap_socket(far, server_hostname="127.0.0.1") as connection:
            found = connection.getpeercert()
        answering.result().close()
    assert found is not None
    subject = dict(pair for part in found["subject"] for pair in part)  # type: ignore[misc]
    return str(subject["commonName"])


def test_a_rotated_certificate_is_served_and_a_broken_one_is_not(tmp_path: Path) -> None:
    authority = Authority()
    first, second = issued(authority, "first"), issued(authority, "second")
    mount(tmp_path, first.certificate, first.key)
    served = Certificate(tmp_path)
    assert served_name(served, authority) == "first"

    # The certificate of one pair with the key of another.
    mount(tmp_path, second.certificate, first.key)
    served.reload()
    assert served_name(served, authority) == "first"

    mount(tmp_path, second.certificate, second.key)
    served.reload()
    assert served_name(served, authority) == "second"


def test_a_missing_certificate_says_which_value_names_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"api\.tls\.secretName"):
        Certificate(tmp_path)
