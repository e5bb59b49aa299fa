"""Runs git where URLs and repositories are somebody else's.

No configuration, credential helper, hook or pager of this machine takes part, only https, ssh and
file are spoken, what it prints and remembers is bounded, and whatever it started ends with it.
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
MAX_OUTPUT: Final = 1024 * 1024
MAX_WORDS: Final = 64 * 1024
PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
"""What https goes through. ssh knows no such variables and goes straight to its host."""

_SETTINGS: Final = (
    "http.followRedirects=false",
    "core.hooksPath=/dev/null",
    "gc.autoDetach=false",  # nothing of it outlives the call
)


async def run_git(
    command: str,
    *arguments: str,
    url: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    memory: int | None = None,
) -> str:
    """Run git and return its standard output, the first `MAX_OUTPUT` bytes of it.

    Args:
        url: of the repository, for the message of an error.
        folder: where it runs.
        environment: credentials, as `credential.git_environment` gives them.
        memory: bytes that git, and each process it starts, may fill; None for as many as there are.

    Raises:
        FeatureLineageError: it failed; `git_failure.failure` says which error that is.
        TransientError: there is no git.
    """
    settings = (part for setting in _SETTINGS for part in ("-c", setting))
    # Set by the shell before git begins: set from outside, it would miss what git starts at once.
    shell = ("sh", "-c", f'ulimit -d {memory // 1024} && exec "$@"', "sh") if memory else ()
    try:
        process = await _start(
            (*shell, "git", *settings, command, *arguments), folder, _environment(environment or {})
        )
    except OSError as error:
        raise TransientError(
            f"{url}: git cannot be run ({error.strerror}); install git where this runs",
            reason=Reason.SOURCE_UNREACHABLE,
        ) from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        out, words = await asyncio.gather(_head(process.stdout), _tail(process.stderr))
        await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode == 0:
        return out.decode(errors="replace")
    raise failure(url, command, words.decode(errors="replace"))


@contextlib.asynccontextmanager
async def within(seconds: float, url: str, what: str) -> AsyncIterator[None]:
    """What takes longer is called off.

    Raises:
        TransientError: it took longer.
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
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
        **extra,
    }


async def _head(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(MAX_WORDS):
        kept = (kept + chunk)[:MAX_OUTPUT] if len(kept) < MAX_OUTPUT else kept
    return kept


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(MAX_WORDS):
        kept = (kept + chunk)[-MAX_WORDS:]
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
    """Git takes its lock files away when it is asked to end; killed, it leaves ``index.lock``.

    What it started for the transport, ssh for one, is of its group and would wait on.
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
