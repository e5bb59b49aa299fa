"""Git sources: a ref is resolved with ``ls-remote`` and exactly that commit is fetched, shallow.

URLs come from tenants: only https, ssh and (in the local host) file are spoken, no user
configuration is read, no credential helper or pager runs, and nothing starts with a dash.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from feature_lineage.errors import AccessRefused, NotFound, TerminalError, TransientError

LS_REMOTE_SECONDS: Final = 20.0
FETCH_SECONDS: Final = 300.0
GRACE_SECONDS: Final = 2.0
# Not any 403: a commit id may hold those digits.
_REFUSALS: Final = ("authentication failed", "permission denied", "error: 403")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class GitRef:
    """Exactly one of the three is set."""

    branch: str = ""
    tag: str = ""
    commit: str = ""

    def __str__(self) -> str:
        if self.branch:
            return f"branch {self.branch}"
        return f"tag {self.tag}" if self.tag else f"commit {self.commit}"


def check_url(url: str, schemes: frozenset[str]) -> None:
    """Refuse URLs that Git would take for something else.

    Raises:
        TerminalError: another scheme, an option, a helper such as ``ext::``, or a password in it.
    """
    parts = urlsplit(url)
    if url.startswith("-") or "::" in url or parts.scheme not in schemes:
        raise TerminalError(
            f"source.git.url {url!r} is not allowed; use one of: {', '.join(sorted(schemes))}",
            reason="HostNotAllowed",
        )
    if parts.password:
        raise TerminalError(
            f"source.git.url for {parts.hostname} carries a password; use secretRef instead",
            reason="HostNotAllowed",
        )


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
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


async def run_git(
    *arguments: str, timeout: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run git and return its standard output.

    Raises:
        TransientError: it took longer than `timeout` seconds, or the host does not answer.
        AccessRefused: the server refused the credential.
        NotFound: there is no such repository.
    """
    process = await asyncio.create_subprocess_exec(
        "git",
        "-c",
        "http.followRedirects=false",
        "-c",
        "core.hooksPath=/dev/null",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(environment or {}),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout):
            out, err = await process.communicate()
    except TimeoutError:
        await _end(process)
        raise TransientError(
            f"git {arguments[0]} did not end within {timeout:.0f} s; check the network to the host",
            reason="SourceUnreachable",
        ) from None
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode == 0:
        return out.decode(errors="replace")
    raise _failure(arguments[0], err.decode(errors="replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Git takes its lock files away when it is asked to end; killed, it leaves ``index.lock``."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    await process.wait()


def _failure(command: str, text: str) -> Exception:
    last = text.strip().splitlines()[-1] if text.strip() else "no message"
    lowered = text.lower()
    if any(word in lowered for word in _REFUSALS):
        return AccessRefused(f"git {command}: {last}; check source.git.secretRef")
    if "not found" in lowered or "does not appear to be a git repository" in lowered:
        return NotFound(f"git {command}: {last}; check source.git.url", reason="RefNotFound")
    return TransientError(f"git {command}: {last}", reason="SourceUnreachable")


async def resolve_ref(
    url: str, ref: GitRef, *, environment: Mapping[str, str] | None = None
) -> str:
    """The commit a ref names today (40 hex digits); one network call, none for a commit.

    Args:
        environment: credentials, as `credential.git_environment` gives them.

    Raises:
        NotFound: the repository has no such ref.
    """
    if ref.commit:
        if not _COMMIT.fullmatch(ref.commit):
            raise TerminalError(
                f"source.git.ref.commit {ref.commit!r} is no full commit id (40 hex digits)",
                reason="RefNotFound",
            )
        return ref.commit
    names = (
        [f"refs/heads/{ref.branch}"]
        if ref.branch
        else [f"refs/tags/{ref.tag}", f"refs/tags/{ref.tag}^{{}}"]
    )
    out = await run_git(
        "ls-remote", "--", url, *names, timeout=LS_REMOTE_SECONDS, environment=environment
    )
    found = {
        name: sha for sha, _, name in (line.partition("\t") for line in out.splitlines()) if name
    }
    for name in reversed(names):
        if name in found:
            return found[name]
    raise NotFound(f"{url} has no {ref}; check source.git.ref", reason="RefNotFound")


async def check_out(
    url: str, commit: str, folder: Path, *, environment: Mapping[str, str] | None = None
) -> None:
    """Put exactly `commit` into `folder`; files Git does not track stay (registry, data).

    Args:
        environment: credentials, as `credential.git_environment` gives them.

    Raises:
        NotFound: the commit is gone from the server.
    """
    git = ("-C", str(folder))
    if not (folder / ".git").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        await run_git(*git, "init", "-q", timeout=LS_REMOTE_SECONDS)
    have = await _has_commit(folder, commit)
    if not have:
        try:
            await run_git(
                *git,
                *("fetch", "-q", "--depth=1", "--", url, commit),
                timeout=FETCH_SECONDS,
                environment=environment,
            )
        except TransientError as error:
            if "not our ref" in error.message or "couldn't find remote ref" in error.message:
                raise NotFound(
                    f"{url} no longer has commit {commit}; it was force-pushed away",
                    reason="AppliedRevisionGone",
                ) from error
            raise
    await run_git(*git, "checkout", "-q", "--force", "--detach", commit, timeout=FETCH_SECONDS)
    if (folder / ".gitmodules").exists():
        raise TerminalError(
            f"{url} at {commit[:12]} uses submodules, which are not fetched; vendor the code",
            reason="SubmodulesUnsupported",
        )


async def _has_commit(folder: Path, commit: str) -> bool:
    try:
        await run_git(
            "-C", str(folder), "cat-file", "-e", f"{commit}^{{commit}}", timeout=LS_REMOTE_SECONDS
        )
    except (TransientError, NotFound, AccessRefused):
        return False
    return True
