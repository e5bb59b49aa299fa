"""Passes the credentials of a Secret to Git: in its environment and in private files.

Supported are Secrets of type ``kubernetes.io/basic-auth`` (``username``, ``password``), with a key
``token``, and of type ``kubernetes.io/ssh-auth`` (``ssh-privatekey``, with ``known_hosts``).
Credentials are in no command line. The keys, agent, known hosts and configuration of this machine's
ssh are not used.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_lineage.errors import AccessRefused
from feature_lineage.sources import ssh_program

TOKEN_USER: Final = "x-access-token"  # noqa: S105 - GitHub and GitLab take the password of this user for a token
SSH_KEY: Final = "ssh-privatekey"
CONNECT_SECONDS: Final = 10


def git_environment(
    url: str, secret: Mapping[str, bytes] | None, ca: bytes | None, folder: Path
) -> dict[str, str]:
    """Environment variables with which Git reaches `url`.

    Args:
        secret: keys and values of the Secret; None for no Secret.
        ca: certificate authorities (PEM) to trust for the host; None for the system's.
        folder: private folder for credentials that must be files.

    Raises:
        AccessRefused: the Secret or the authorities lack what the URL's scheme needs.
    """
    if urlsplit(url).scheme == "ssh":
        return {
            "GIT_SSH": ssh_program.__file__,
            ssh_program.OPTIONS: json.dumps(_ssh_options(url, secret, folder)),
        }
    trusted = {} if ca is None else {"GIT_SSL_CAINFO": str(_authorities(url, ca, folder))}
    return trusted if secret is None else {**trusted, **_header(url, secret)}


def _authorities(url: str, ca: bytes, folder: Path) -> Path:
    if b"-----BEGIN CERTIFICATE-----" not in ca:
        raise AccessRefused(
            f"{url}: source.git.caBundle has no certificates; add them as -----BEGIN "
            "CERTIFICATE----- blocks"
        )
    return _file(folder, "ca.crt", ca)


def _ssh_options(url: str, secret: Mapping[str, bytes] | None, folder: Path) -> list[str]:
    if secret is None:
        raise AccessRefused(
            f"{url}: ssh needs a key; name a Secret with {SSH_KEY} and known_hosts in "
            "source.git.secretRef"
        )
    for key in (SSH_KEY, "known_hosts"):
        if key not in secret:
            raise AccessRefused(
                f"{url}: the Secret of source.git.secretRef has no key {key}; ssh needs {SSH_KEY} "
                "and known_hosts"
            )
    # ssh refuses a key file that others may read, and a key without a newline at its end.
    key_file = _file(folder, "key", secret[SSH_KEY].rstrip() + b"\n")
    hosts = _file(folder, "known_hosts", secret["known_hosts"])
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f'UserKnownHostsFile="{hosts}"',
        "GlobalKnownHostsFile=/dev/null",
        "UpdateHostKeys=no",
        f"ConnectTimeout={CONNECT_SECONDS}",
    )
    return [
        *("-F", "/dev/null", "-i", str(key_file)),
        *(part for option in options for part in ("-o", option)),
    ]


def _header(url: str, secret: Mapping[str, bytes]) -> dict[str, str]:
    if "token" in secret:
        user, password = TOKEN_USER.encode(), secret["token"].strip()
    elif "password" in secret:
        user, password = secret.get("username", b"").strip(), secret["password"].strip()
    else:
        raise AccessRefused(
            f"{url}: the Secret of source.git.secretRef has neither a key password nor a key "
            "token; https needs one of them"
        )
    value = base64.b64encode(user + b":" + password).decode()
    parts = urlsplit(url)
    # For this host only: the header must not go to the host of a redirect or an alternate.
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {value}",
    }


def _file(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path.absolute()
