"""The files for Git from a Secret."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from feature_lineage.errors import AccessRefused
from feature_lineage.sources import ssh_program
from feature_lineage.sources.credential import git_environment

HTTPS = "https://git.example:8443/team/repo.git"


def test_no_secret_and_no_ca_need_no_environment(tmp_path: Path) -> None:
    assert git_environment(HTTPS, None, None, tmp_path / "git") == {}
    assert not (tmp_path / "git").exists()


@pytest.mark.parametrize(
    ("secret", "login"),
    [
        ({"username": b"git", "password": b"p\n"}, b"git:p"),
        ({"token": b"t0k\n"}, b"x-access-token:t0k"),
    ],
)
def test_a_password_or_token_goes_to_its_host_only(
    tmp_path: Path, secret: dict[str, bytes], login: bytes
) -> None:
    environment = git_environment(HTTPS, secret, None, tmp_path)
    assert environment == {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.https://git.example:8443/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {base64.b64encode(login).decode()}",
    }


def test_an_ssh_key_is_a_private_file(tmp_path: Path) -> None:
    secret = {"ssh-privatekey": b"KEY", "known_hosts": b"git.example ssh-ed25519 AAAA"}
    folder = tmp_path / "a folder"
    environment = git_environment("ssh://git@git.example/r.git", secret, None, folder)
    words = json.loads(environment["FEATURE_LINEAGE_SSH_OPTIONS"])
    assert words[:4] == ["-F", "/dev/null", "-i", str(folder / "key")]
    assert "StrictHostKeyChecking=yes" in words
    assert f'UserKnownHostsFile="{folder / "known_hosts"}"' in words
    assert (folder / "key").read_bytes() == b"KEY\n"
    assert (folder / "key").stat().st_mode & 0o777 == 0o600


def test_git_can_run_the_program_for_ssh(tmp_path: Path) -> None:
    secret = {"ssh-privatekey": b"KEY", "known_hosts": b"git.example ssh-ed25519 AAAA"}
    environment = git_environment("ssh://git@git.example/r.git", secret, None, tmp_path)
    done = subprocess.run(
        [environment["GIT_SSH"], "-p", "2222", "git@git.example", "git-upload-pack '/a b'"],
        env=environment | {"PATH": f"{program(tmp_path, 'ssh')}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    options = json.loads(environment["FEATURE_LINEAGE_SSH_OPTIONS"])
    assert done.stdout.splitlines() == [
        *(*options, "-p", "2222", "git@git.example", "git-upload-pack '/a b'")
    ]


def test_a_missing_ssh_is_named(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    done = subprocess.run(
        [ssh_program.__file__, "git@git.example"],
        env={"PATH": str(tmp_path), ssh_program.OPTIONS: "[]"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, "cannot run ssh: No such file or directory\n")


def program(folder: Path, name: str) -> Path:
    """A program that prints its arguments, one a line; returns its folder."""
    found = folder / "programs" / name
    found.parent.mkdir()
    found.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    found.chmod(0o755)
    return found.parent


def test_the_authorities_of_the_source_are_trusted(tmp_path: Path) -> None:
    authorities = b"# ours\n-----BEGIN CERTIFICATE-----\n"
    environment = git_environment(HTTPS, None, authorities, tmp_path)
    assert Path(environment["GIT_SSL_CAINFO"]).read_bytes() == authorities


@pytest.mark.parametrize(
    ("url", "secret", "missing"),
    [
        (HTTPS, {"ssh-privatekey": b"x"}, "neither a key password nor a key token"),
        (HTTPS, {}, "neither a key password nor a key token"),
        ("ssh://git@h/r", None, "ssh needs a key"),
        ("ssh://git@h/r", {"ssh-privatekey": b"x"}, "no key known_hosts"),
        ("ssh://git@h/r", {"token": b"x"}, "no key ssh-privatekey"),
    ],
)
def test_a_secret_of_the_wrong_type_names_the_missing_key(
    tmp_path: Path, url: str, secret: dict[str, bytes] | None, missing: str
) -> None:
    with pytest.raises(AccessRefused, match=missing) as caught:
        git_environment(url, secret, None, tmp_path)
    assert caught.value.reason == "AuthFailed"
