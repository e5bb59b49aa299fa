"""Git commands: resolve a ref with ``ls-remote``, and fetch and check out one commit.

Tenants set the URLs: only https, ssh and (on the local host) file are allowed, and no argument of a
tenant starts with a dash.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from feature_lineage.api.sources import GitRef
from feature_lineage.errors import FeatureLineageError, HostNotAllowed, NotFound, TerminalError
from feature_lineage.reasons import Reason
from feature_lineage.sources.git_failure import Gone, Unadvertised
from feature_lineage.sources.git_process import run_git, within

NETWORK_SCHEMES: Final = frozenset({"https", "ssh"})
LOCAL_SCHEMES: Final = NETWORK_SCHEMES | {"file"}
LS_REMOTE_SECONDS: Final = 20.0
LS_REMOTE_BYTES: Final = 64 * 1024 * 1024
"""Memory limit of ``ls-remote``: the number of refs that a server lists has no limit."""

FETCH_SECONDS: Final = 300.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NO_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^/|/$|//")
_EVERYTHING: Final = ("+refs/heads/*:refs/found/heads/*", "+refs/tags/*:refs/found/tags/*")
_STEPS: Final = (
    (100, ("+HEAD:refs/found/HEAD",)),
    (100, _EVERYTHING),
    (2000, _EVERYTHING),
)
"""Depths and refs to search for a commit that the server does not send by its id."""


def check_url(url: str, schemes: frozenset[str]) -> None:
    """Refuse URLs that Git or ssh would read differently, or that contain a credential.

    Raises:
        HostNotAllowed: another scheme, an option, a helper such as ``ext::``, or a password in it.
    """
    fault = _fault(url, schemes)
    if fault:
        # The part before the host or after the path may be a password or a token.
        address = re.split(r"[?#]", url, maxsplit=1)[0]
        shown = re.sub(r"\A(\w+://)?.*@", r"\1…@", address, flags=re.DOTALL)
        raise HostNotAllowed(f"source.git.url {shown[:200]!r} {fault}")


def _fault(url: str, schemes: frozenset[str]) -> str:
    allowed = f"is not allowed; use one of: {', '.join(sorted(schemes))}"
    if any(char.isspace() or not char.isprintable() for char in url):
        return "has a space or a control character in it; write it without, or as %20"
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname or "", parts.username or "", parts.port
    except ValueError as error:
        return f"is not a URL ({error}); correct it"
    if parts.scheme not in schemes or not url.startswith(f"{parts.scheme}://"):
        return allowed
    if parts.scheme != "file" and not host:
        return "has no host; correct it"
    if host.startswith("-") or user.startswith("-"):
        return "has a host or user that ssh would read as an option; correct it"
    if "%" in parts.netloc:
        return "has a % before its path, which Git decodes; write host and user without %"
    if parts.scheme == "ssh" and {"[", "]"} & set(unquote(parts.path)):
        return "has a bracket in its path, which Git would read as the host; correct it"
    if parts.password is not None or (parts.scheme == "https" and "@" in parts.netloc):
        return "contains a password or a token; use source.git.secretRef instead"
    if parts.query or parts.fragment:
        return "has a query or a fragment, which no repository has; remove it"
    return ""


async def resolve_ref(
    url: str,
    ref: GitRef,
    *,
    environment: Mapping[str, str] | None = None,
    slot: contextlib.AbstractContextManager[None] | None = None,
) -> str:
    """The full id of the commit that a ref names now; one network call, none for a commit.

    Args:
        environment: credentials, from `credential.git_environment`.
        slot: context for the network call, from `SlowSourceBulkhead.slot`.

    Raises:
        NotFound: the repository has no such ref.
        FeatureLineageError: as `git_failure.failure` returns it.
    """
    if ref.commit is not None:
        if not _COMMIT.fullmatch(ref.commit):
            raise TerminalError(
                f"source.git.ref.commit {ref.commit!r} is not a full commit id (40 or 64 hex "
                "digits)",
                reason=Reason.REF_NOT_FOUND,
            )
        return ref.commit
    name = ref.branch or ref.tag or ""
    described = f"branch {name}" if ref.branch else f"tag {name}"
    if not name or _NO_REF.search(name):
        raise TerminalError(
            f"source.git.ref: {described[:200]!r} is not a name that Git allows; correct it",
            reason=Reason.REF_NOT_FOUND,
        )
    names = (
        [f"refs/heads/{name}"] if ref.branch else [f"refs/tags/{name}", f"refs/tags/{name}^{{}}"]
    )
    with slot or contextlib.nullcontext():
        async with within(LS_REMOTE_SECONDS, url, "git ls-remote"):
            out = await run_git(
                *("ls-remote", "--", url, *names),
                url=url,
                environment=environment,
                memory=LS_REMOTE_BYTES,
            )
    commit = commit_of(out, names)
    if commit is None:
        raise NotFound(
            f"{url} has no {described}; check source.git.ref, or push it",
            reason=Reason.REF_NOT_FOUND,
        )
    return commit


def commit_of(output: str, names: Sequence[str]) -> str | None:
    """The commit of the last of these refs in the output of ``ls-remote``; None if it has none."""
    rows = (line.partition("\t") for line in output.split("\n"))
    found = {name: commit for commit, _, name in rows if _COMMIT.fullmatch(commit)}
    return next((found[name] for name in reversed(names) if name in found), None)


async def check_out(
    url: str, commit: str, folder: Path, *, environment: Mapping[str, str] | None = None
) -> None:
    """Check out `commit` into `folder`; untracked files (registry, data) stay.

    Args:
        environment: credentials, from `credential.git_environment`.

    Raises:
        NotFound: the server no longer has the commit.
        TerminalError: the commit cannot be checked out, or has submodules.
        FeatureLineageError: as `git_failure.failure` returns it.
    """
    if not (folder / ".git").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        hashed = "sha256" if len(commit) == 64 else "sha1"
        await run_git("init", "-q", f"--object-format={hashed}", url=url, folder=folder)
    if not await _has_commit(url, commit, folder):
        async with within(FETCH_SECONDS, url, "git fetch"):
            await _fetch(url, commit, folder, environment)
    try:
        async with within(FETCH_SECONDS, url, "git checkout"):
            await run_git("checkout", "-q", "--force", "--detach", commit, url=url, folder=folder)
    except FeatureLineageError as error:
        if error.reason == Reason.JOB_FAILED:
            raise
        raise TerminalError(
            f"{error.message.partition(';')[0]}; commit {commit[:12]} cannot be checked out: "
            "remove that path from it",
            reason=Reason.INVALID_REPO,
        ) from error
    if (folder / ".gitmodules").exists():
        raise TerminalError(
            f"{url} at {commit[:12]} uses submodules, which are not fetched; vendor the code",
            reason=Reason.SUBMODULES_UNSUPPORTED,
        )


async def _fetch(
    url: str, commit: str, folder: Path, environment: Mapping[str, str] | None
) -> None:
    async def fetch(depth: int, *what: str) -> None:
        await run_git(
            *("fetch", "-q", "--no-tags", f"--depth={depth}", "--", url, *what),
            url=url,
            folder=folder,
            environment=environment,
        )

    try:
        await fetch(1, commit)
    except Unadvertised:
        # Version 0 of the protocol, the default behind sshd, sends an older commit only with the
        # history of a branch or tag.
        for depth, refs in _STEPS:
            with contextlib.suppress(Gone):  # the repository may have no HEAD
                await fetch(depth, *refs)
            if await _has_commit(url, commit, folder):
                return
            if refs is _EVERYTHING and not (folder / ".git" / "shallow").exists():
                break  # the whole history was fetched
        where = f" among the newest {_STEPS[-1][0]} of any branch or tag"
    except Gone:
        where = ""
    else:
        return
    raise NotFound(
        f"{url} no longer has commit {commit}{where}, as after a force-push; push it again, or "
        "push a newer commit",
        reason=Gone.reason,
    )


async def _has_commit(url: str, commit: str, folder: Path) -> bool:
    try:
        await run_git("cat-file", "-e", f"{commit}^{{commit}}", url=url, folder=folder)
    except FeatureLineageError:
        return False
    return True
