"""From the error output of Git to an error with a reason and a next step.

Git and ssh have no error codes, so the table below searches their output for patterns, the most
specific ones first. Parts that differ from call to call are removed: the message becomes a
condition, and the condition of an unchanged failure must not change.
"""

import re
from dataclasses import dataclass
from typing import Final

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    TransientError,
)
from feature_lineage.reasons import Reason
from feature_lineage.shorten import cut

MAX_FACT: Final = 300


class Gone(NotFound):
    """The server has no such commit."""

    reason = Reason.APPLIED_REVISION_GONE


class Unadvertised(Gone):
    """The server sends a commit by its id only if a branch or tag points to it."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a line of output means that matches one of `patterns`, the most specific first."""

    patterns: tuple[str, ...]
    error: type[FeatureLineageError]
    reason: Reason
    step: str


_MEANINGS: Final = (
    _Meaning(
        ("no space left", "disk quota exceeded"),
        TransientError,
        Reason.JOB_FAILED,
        "use a larger disk, or keep data out of the repository",
    ),
    _Meaning(
        ("out of memory",),
        TransientError,
        Reason.SOURCE_UNREACHABLE,
        "its list of refs is too long: serve it by version 2 of Git's protocol, or with fewer "
        "branches and tags",
    ),
    _Meaning(
        ("failed to execute git",),
        TransientError,
        Reason.SOURCE_UNREACHABLE,
        "install git where this runs",
    ),
    _Meaning(
        ("cannot run ssh",),
        TransientError,
        Reason.SOURCE_UNREACHABLE,
        "install an ssh client beside git, or use https",
    ),
    _Meaning(
        ("no user exists for uid",),
        AccessRefused,
        Reason.AUTH_FAILED,
        "ssh runs only as a user of the image's /etc/passwd: leave securityContext.runAsUser as it "
        "is, or use https",
    ),
    _Meaning(
        ("host key is known for", "host key for", "host key verification failed"),
        AccessRefused,
        Reason.AUTH_FAILED,
        "make sure that it is the server, and put its line of ssh-keyscan into the key known_hosts "
        "of source.git.secretRef",
    ),
    _Meaning(
        ("load key",),
        AccessRefused,
        Reason.AUTH_FAILED,
        "put a private key without a passphrase into source.git.secretRef",
    ),
    _Meaning(
        (
            *("could not resolve proxy", "from proxy after connect", "connect tunnel failed"),
            "proxy connect aborted",
        ),
        TransientError,
        Reason.SOURCE_UNREACHABLE,
        "check HTTPS_PROXY and NO_PROXY of this process",
    ),
    _Meaning(
        (
            *("certificate verif", "ssl certificate", "certificate subject name", "trust anchor"),
            *("peer certificate", "ca cert", "alternative certificate"),
        ),
        AccessRefused,
        Reason.AUTH_FAILED,
        "put the authority that issued the server's certificate into source.git.caBundle",
    ),
    _Meaning(
        ("could not be found or you don't have permission",),
        NotFound,
        Reason.REF_NOT_FOUND,
        "check source.git.url, and the permissions of source.git.secretRef",
    ),
    _Meaning(
        (
            *(r"permission denied \(", "authentication failed", "unauthorized", "access denied"),
            *("error: 40[13]", "could not read (username|password)"),
        ),
        AccessRefused,
        Reason.AUTH_FAILED,
        "check source.git.secretRef, and its permissions",
    ),
    _Meaning(
        ("error: 30[12378]", "url base from redirection"),
        HostNotAllowed,
        HostNotAllowed.reason,
        "redirects are not followed: put the address it leads to into source.git.url, or a "
        "source.git.secretRef where it leads to a login",
    ),
    _Meaning(
        (
            *("' not found", "repository not found", "error: 404", "cannot find repository"),
            *("does not appear to be a git repository", "is this a git repository"),
        ),
        NotFound,
        Reason.REF_NOT_FOUND,
        "check source.git.url",
    ),
    _Meaning(
        ("unadvertised object", "want [0-9a-f]+ not valid"),
        Unadvertised,
        Unadvertised.reason,
        "push a branch or tag that leads to it",
    ),
    _Meaning(
        ("not our ref", "couldn't find remote ref", "no matching remote head"),
        Gone,
        Gone.reason,
        "push it again, or push a newer commit",
    ),
    _Meaning(
        ("does not support shallow",),
        TransientError,
        Reason.SOURCE_UNREACHABLE,
        "serve it by Git's smart protocol",
    ),
)
_GENERIC: Final = (
    "could not read from remote repository",
    "please make sure you have the correct access rights",
    "and the repository exists",
    "hung up unexpectedly",
    "early eof",
)
_PREFIX: Final = re.compile(
    r"^((fatal|error|remote|git)( error)?: |unable to access '[^']*': |ssh: )*", re.IGNORECASE
)
_VARIABLE: Final = re.compile(
    r" CAfile: .*| and you have requested strict checking| after \d+ \w+| for 'https://[^']*'"
)
_NAMES: Final = re.compile(r"'[^']*'")
"""Addresses and paths, whose text must not match a pattern."""

_KEY_FILE: Final = re.compile(r'Load key "[^"]*"')


def failure(url: str, command: str, output: str) -> FeatureLineageError:
    """The error for a failed Git command.

    Args:
        url: URL of the repository.
        command: Git's command, such as ``ls-remote``.
        output: standard error of Git, of which the server may have written a part.
    """
    lines = [line for line in map(_tidy, output.splitlines()) if line]
    for meaning in _MEANINGS:
        for pattern in meaning.patterns:
            for line in lines:
                if re.search(pattern, _NAMES.sub("''", line), re.IGNORECASE):
                    return meaning.error(
                        f"{url}: {_fact(line)}; {meaning.step}", reason=meaning.reason
                    )
    specific = [line for line in lines if not any(text in line.lower() for text in _GENERIC)]
    fact = _fact((specific or lines or ["no error output"])[-1])
    return TransientError(
        f"{url}: git {command}: {fact}; check the network to the host, and the server",
        reason=Reason.SOURCE_UNREACHABLE,
    )


def _tidy(line: str) -> str:
    """A line without control characters."""
    return "".join(char if char.isprintable() else " " for char in line).strip()


def _fact(line: str) -> str:
    fact = _VARIABLE.sub("", _PREFIX.sub("", line)).rstrip(". ")
    return cut(_KEY_FILE.sub("the key ssh-privatekey", fact), MAX_FACT)
