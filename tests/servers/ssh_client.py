"""An ssh client for machines without one: the part of OpenSSH that Git and this product use.

The client accepts OpenSSH's arguments, makes the same checks, and fails with OpenSSH's messages and
exit code, from which the product derives the cause. `test_ssh_client.py` compares both clients.
"""

import argparse
import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

import asyncssh


def path_with_ssh(folder: Path) -> str:
    """PATH with this client first, as a program in `folder`, if the machine has no client."""
    path = os.environ["PATH"]
    return path if shutil.which("ssh") else f"{install(folder)}:{path}"


def install(folder: Path) -> Path:
    """Write this client as the program ``ssh`` into `folder`; returns the folder."""
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P "{__file__}" "$@"\n')
    program.chmod(0o755)
    return folder


class _Refused(Exception):
    """Print an error as OpenSSH does, and exit with 255."""


class _Client(asyncssh.SSHClient):
    """Records a host key that is not in known_hosts."""

    refused = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.refused = key.get_algorithm().removeprefix("ssh-").upper()
        return False


async def _run(arguments: argparse.Namespace) -> int:
    user, _, host = arguments.destination.rpartition("@")
    options = dict(option.split("=", 1) for option in arguments.option)
    known_hosts = options["UserKnownHostsFile"].strip('"')
    client = _Client()
    try:
        connection, _ = await asyncssh.create_connection(
            lambda: client,
            host,
            arguments.port,
            username=user,
            client_keys=_keys(arguments.key),
            known_hosts=known_hosts,
            connect_timeout=int(options["ConnectTimeout"]),
            preferred_auth="publickey",
            agent_path=None,
            config=None,
        )
    except asyncssh.HostKeyNotVerifiable:
        name = host if arguments.port == 22 else f"[{host}]:{arguments.port}"
        known, *_ = asyncssh.match_known_hosts(known_hosts, host, "", arguments.port)
        fact = (
            f"Host key for {name} has changed"
            if known
            else f"No {client.refused} host key is known for {name}"
        )
        raise _Refused(
            f"{fact} and you have requested strict checking.\nHost key verification failed."
        ) from None
    except asyncssh.PermissionDenied:
        raise _Refused(f"{arguments.destination}: Permission denied (publickey).") from None
    except socket.gaierror as error:
        raise _Refused(f"ssh: Could not resolve hostname {host}: {error.strerror}") from None
    except OSError as error:
        fact = os.strerror(error.errno) if error.errno else str(error)
        raise _Refused(f"ssh: connect to host {host} port {arguments.port}: {fact}") from None
    sent = options.get("SendEnv", "")
    async with connection:
        done = await connection.run(
            " ".join(arguments.command),
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            encoding=None,
            env={sent: os.environ[sent]} if sent in os.environ else {},
        )
    return 255 if done.returncode is None else done.returncode


def _keys(path: str) -> list[asyncssh.SSHKey]:
    try:
        return [asyncssh.read_private_key(path)]
    except asyncssh.KeyImportError:
        print(f'Load key "{path}": error in libcrypto', file=sys.stderr)
        return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="ssh")
    parser.add_argument("-F")
    parser.add_argument("-i", dest="key")
    parser.add_argument("-o", dest="option", action="append")
    parser.add_argument("-p", dest="port", type=int, default=22)
    parser.add_argument("destination")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    try:
        return asyncio.run(_run(parser.parse_args()))
    except _Refused as refused:
        print(refused, file=sys.stderr)
        return 255


if __name__ == "__main__":
    sys.exit(main())
