"""What Git servers and tenants write: URLs, lists of refs, and error output."""

import re
import string
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from hypothesis import strategies as st
from tests.fuzz.harness import Target
from tests.fuzz.mutations import mangled

from feature_lineage.errors import FeatureLineageError, HostNotAllowed
from feature_lineage.shorten import visible
from feature_lineage.sources.git import LOCAL_SCHEMES, check_url, commit_of
from feature_lineage.sources.git_failure import _MEANINGS, MAX_FACT, failure
from feature_lineage.sources.git_process import MAX_ERROR_BYTES

URL: Final = "https://git.example/team/repo.git"
SECRET: Final = "s3cr3t"
A, B = "a" * 40, "b" * 64
LISTED: Final = (
    f"{A}\trefs/heads/main\n{B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\n".encode(),
    f"{A}\trefs/heads/main".encode(),
    b"warning: redirecting\n",
)
REFS: Final = (["refs/heads/main"], ["refs/tags/v1", "refs/tags/v1^{}"])
URLS: Final = (
    *(URL.encode(), b"ssh://git@git.example:22/repo.git", b"file:///srv/repo.git"),
    *(f"https://user:{SECRET}@git.example/r".encode(), b"ssh://[::1]/repo"),
    *(f"https://git.example/r?token={SECRET}".encode(), b"ext::sh -c id", b"-oProxyCommand=x"),
    f"https://{SECRET}@git.example/r#{SECRET}".encode(),
)
PATTERNS: Final = tuple(
    re.sub(r"\\|\[.*?\]\+?|\(|\)|\||\$", "", pattern).encode()
    for meaning in _MEANINGS
    for pattern in meaning.patterns
)
ERRORS: Final = (
    *(b"fatal: unable to access '%s': %s\n" % (URL.encode(), text) for text in PATTERNS),
    *(b"remote: %s\nfatal: Could not read from remote repository.\n" % text for text in PATTERNS),
    *(b"error: " * 100, b"want " + b"a" * 1000, b'Load key "/x": invalid\n', b""),
)


@dataclass(frozen=True)
class Listing:
    """Standard output of ``git ls-remote``, and the refs that were asked for."""

    output: str
    names: list[str]


def read_refs(given: Listing) -> None:
    commit = commit_of(given.output, given.names)
    if commit is not None:
        assert set(commit) <= set(string.hexdigits), commit
        assert len(commit) in (40, 64)
        assert any(f"{commit}\t{name}" in given.output for name in given.names)


def read_url(url: str) -> None:
    try:
        check_url(url, LOCAL_SCHEMES)
    except HostNotAllowed as error:
        if f"@{SECRET}" not in url and url.count(SECRET) == len(
            re.findall(rf"[:/]{SECRET}@|[?#=]{SECRET}", url)
        ):
            assert SECRET not in error.message, "a secret in a message"
        assert len(visible(error.message)) < 4000
        raise
    parts = urlsplit(url)
    assert parts.scheme in LOCAL_SCHEMES
    assert parts.password is None
    assert url.isprintable()
    assert not re.search(r"\s", url)
    assert not url.startswith("-")


def read_error(output: str) -> None:
    found = failure(URL, "ls-remote", output)
    assert isinstance(found, FeatureLineageError)
    assert len(found.message) <= len(URL) + MAX_FACT + 500


def _text(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[str]:
    return texts.map(lambda text: text.decode(errors="replace"))


REFS_TARGET: Final = Target(
    "git-refs",
    st.builds(Listing, _text(mangled(st.sampled_from(LISTED))), st.sampled_from(REFS)),
    read_refs,
    (),
)
URL_TARGET: Final = Target(
    "git-urls", _text(mangled(st.sampled_from(URLS), 64 * 1024)), read_url, (HostNotAllowed,)
)
ERROR_TARGET: Final = Target(
    "git-errors", _text(mangled(st.sampled_from(ERRORS), MAX_ERROR_BYTES)), read_error, ()
)
TARGETS: Final = (REFS_TARGET, URL_TARGET, ERROR_TARGET)
