"""Runs git with URLs and repositories that are not trusted.

Git uses no configuration, credential helper, hook or pager of this machine, and only https, ssh and
file. Its output and memory are limited, and the processes that it starts end with it. No shell is
needed for https and ssh: the image of the operator has none.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from feature_lineage.errors import TransientError
from feature_lineage.reasons import Reason
from feature_lineage.sources.git_failure import failure

GRACE_SECONDS: Final = 2.0
MAX_OUTPUT_BYTES: Final = 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
"""Proxy variables for https. ssh has no such variables and connects to its host directly."""

_SETTINGS: Final = (
    "http.followRedirects=false",
    "core.hooksPath=/dev/null",
    "gc.autoDetach=false",  # no process of git runs on after the call
)


async def run_git(
    command: str,
    *arguments: str,
    url: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    memory: int | None = None,
) -> str:
    """Run git and return its standard output, the first `MAX_OUTPUT_BYTES` bytes of it.

    Args:
        url: URL of the repository, for the message of an error.
        folder: working directory.
        environment: credentials, from `credential.git_environment`.
        memory: memory limit in bytes of git and of each process it starts; None for no limit.

    Raises:
        FeatureLineageError: git failed; as `git_failure.failure` returns it.
        TransientError: git or prlimit is not installed.
    """
    settings = (part for setting in _SETTINGS for part in ("-c", setting))
    # prlimit sets the limit before git starts, so that it holds for all children of git.
    limited = ("prlimit", f"--data={memory}") if memory else ()
    program = (*limited, "git", *settings, command, *arguments)
    try:
        process = await _start(program, folder, _environment(environment or {}))
    except OSError as error:
        raise TransientError(
            f"{url}: {program[0]} cannot be run ({error.strerror}); install git and prlimit "
            "(util-linux) where this runs",
            reason=Reason.SOURCE_UNREACHABLE,
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        out, errors = await asyncio.gather(_head(process.stdout), _tail(process.stderr))
        await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode == 0:
        return out.decode(errors="replace")
    raise failure(url, command, errors.decode(errors="replace"))


@contextlib.asynccontextmanager
async def within(seconds: float, url: str, what: str) -> AsyncIterator[None]:
    """Cancel the body after a time.

    Args:
        what: the command, for the message of the error.

    Raises:
        TransientError: the body took longer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TransientError(
            f"{url}: {what} did not end within {seconds:.0f} s; check the network to the host, and "
            "the size of the repository",
            reason=Reason.SOURCE_UNREACHABLE,
        ) from None


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        **{name: os.environ[name] for name in PROXIES if name in os.environ},
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_SSH": "false",  # ssh runs only with the options of `credential.git_environment`
        "GIT_SSH_VARIANT": "ssh",
        **extra,
    }


async def _head(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(MAX_ERROR_BYTES):
        kept = (kept + chunk)[:MAX_OUTPUT_BYTES] if len(kept) < MAX_OUTPUT_BYTES else kept
    return kept


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(MAX_ERROR_BYTES):
        kept = (kept + chunk)[-MAX_ERROR_BYTES:]
    return kept


async def _start(
    command: Sequence[str], folder: Path | None, environment: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start a process in a group of its own.

    A cancelled `create_subprocess_exec` sends SIGKILL to the process alone: git would leave its
    lock files behind, and its children would keep running. So the process is started in any case,
    and then ended like every other one.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and its group, which includes its transport processes, such as ssh.

    SIGTERM comes first: git then removes its lock files, which it leaves behind after SIGKILL.
    """
    _signal(process, signal.SIGTERM)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
    finally:
        _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
