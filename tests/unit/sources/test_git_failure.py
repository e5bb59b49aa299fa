"""The meaning of Git's error output: texts of real servers, of several versions."""

import pytest

from feature_lineage.errors import (
    AccessRefused,
    FeatureLineageError,
    HostNotAllowed,
    NotFound,
    TransientError,
)
from feature_lineage.sources.git_failure import MAX_FACT, Gone, Unadvertised, failure

URL = "https://git.example/proxy/certificate/redirect.git"
SSH_SAYS = """{}
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
"""


@pytest.mark.parametrize(
    ("words", "error", "reason"),
    [
        pytest.param(
            f"fatal: unable to access '{URL}/': The requested URL returned error: 403",
            AccessRefused,
            "AuthFailed",
            id="403",
        ),
        pytest.param(
            f"fatal: Authentication failed for '{URL}/'", AccessRefused, "AuthFailed", id="401"
        ),
        pytest.param(
            SSH_SAYS.format("git@git.example: Permission denied (publickey)."),
            AccessRefused,
            "AuthFailed",
            id="ssh",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': SSL certificate problem: certificate has expired",
            AccessRefused,
            "AuthFailed",
            id="OpenSSL",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': SSL: no alternative certificate subject name "
            "matches target host name 'git.example'",
            AccessRefused,
            "AuthFailed",
            id="another name",
        ),
        pytest.param(
            SSH_SAYS.format("No user exists for uid 1000650000"),
            AccessRefused,
            "AuthFailed",
            id="a user that the image does not know",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': The requested URL returned error: 301",
            HostNotAllowed,
            "HostNotAllowed",
            id="301",
        ),
        pytest.param(
            f"remote: Repository not found.\nfatal: repository '{URL}/' not found",
            NotFound,
            "RefNotFound",
            id="404",
        ),
        pytest.param(
            SSH_SAYS.format("ERROR: Repository not found."), NotFound, "RefNotFound", id="ssh, none"
        ),
        pytest.param(
            f"fatal: {URL}/info/refs not valid: is this a git repository?",
            NotFound,
            "RefNotFound",
            id="a web page",
        ),
        pytest.param(
            SSH_SAYS.format(
                "remote: ERROR: The project you were looking for could not be found or "
                "you don't have permission to view it."
            ),
            NotFound,
            "RefNotFound",
            id="GitLab",
        ),
        pytest.param(
            "error: Server does not allow request for unadvertised object 403a1d0c",
            Unadvertised,
            "AppliedRevisionGone",
            id="by its id, old protocol",
        ),
        pytest.param(
            "fatal: remote error: want 403a1d0c not valid",
            Unadvertised,
            "AppliedRevisionGone",
            id="by its id, JGit",
        ),
        pytest.param(
            "fatal: remote error: upload-pack: not our ref 403a1d0c",
            Gone,
            "AppliedRevisionGone",
            id="an id",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': Failed to connect to proxy.example port 443 after "
            "3 ms: Couldn't connect to server",
            TransientError,
            "SourceUnreachable",
            id="no listening server",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': The requested URL returned error: 502",
            TransientError,
            "SourceUnreachable",
            id="502",
        ),
        pytest.param(
            f"fatal: unable to access '{URL}/': CONNECT tunnel failed, response 407",
            TransientError,
            "SourceUnreachable",
            id="the proxy",
        ),
        pytest.param(
            SSH_SAYS.format("cannot run ssh: No such file or directory"),
            TransientError,
            "SourceUnreachable",
            id="no ssh",
        ),
        pytest.param(
            "prlimit: failed to execute git: No such file or directory",
            TransientError,
            "SourceUnreachable",
            id="no git",
        ),
        pytest.param(
            "fatal: write error: No space left on device", TransientError, "JobFailed", id="full"
        ),
        pytest.param("", TransientError, "SourceUnreachable", id="nothing"),
    ],
)
def test_each_output_of_git_has_its_error(
    words: str, error: type[FeatureLineageError], reason: str
) -> None:
    found = failure(URL, "fetch", words)

    assert type(found) is error
    assert found.reason == reason
    assert str(found).startswith(f"{URL}: ")
    assert "; " in str(found)


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (
            f"fatal: unable to access '{URL}/': Failed to connect to h port 1 after 12 ms: No",
            "Failed to connect to h port 1: No",
        ),
        (
            "fatal: server certificate verification failed. CAfile: /tmp/git-x1 CRLfile: none",
            "server certificate verification failed",
        ),
        (
            'Load key "/tmp/git-x1/key": error in libcrypto\ng@h: Permission denied (publickey).',
            "the key ssh-privatekey: error in libcrypto",
        ),
        (
            "Host key for [h]:22 has changed and you have requested strict checking.\nHost key ve",
            "Host key for [h]:22 has changed",
        ),
    ],
    ids=["milliseconds", "authorities", "key", "known hosts"],
)
def test_the_message_of_an_unchanged_failure_is_stable(words: str, fact: str) -> None:
    assert f": {fact}; " in str(failure(URL, "ls-remote", words))


def test_control_characters_and_long_lines_are_removed() -> None:
    said = str(failure(URL, "fetch", "remote: \x1b[31m" + "x" * 5000 + "\x07"))

    assert said.isprintable()
    assert len(said) < MAX_FACT + 200
