"""The report of a job says what could not be fetched, with a reason for a condition."""

from pathlib import Path

import pytest
from tests.contract.sources.git_resolver import LOGIN, TOKEN
from tests.contract.sources.pod import GitSourcePod
from tests.servers.git import GitServer

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.operations.job_report import ExitCode, Outcome

DONE_FOR = ("SubmodulesUnsupported", "HostNotAllowed", "InvalidRepo")
"""Only another commit or another spec can succeed: no attempt is used."""


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("a wrong token", "AuthFailed"),
        ("no authority", "AuthFailed"),
        ("a server that is down", "SourceUnreachable"),
        ("a server that moved", "HostNotAllowed"),
        ("another scheme", "HostNotAllowed"),
        ("a commit that is gone", "AppliedRevisionGone"),
        ("a folder that is not there", "RefNotFound"),
        ("a folder outside", "InvalidRepo"),
        ("submodules", "SubmodulesUnsupported"),
    ],
)
def test_what_could_not_be_fetched_is_reported(tmp_path: Path, trouble: str, reason: str) -> None:
    server = GitServer(tmp_path / "served", LOGIN)
    submodules = {".gitmodules": "x"} if trouble == "submodules" else {}
    commit = server.commit("team", store="x", **submodules)
    server.moved = "https://elsewhere.example" if trouble == "a server that moved" else ""
    url = f"{server.url}/team.git" if trouble != "another scheme" else "file:///srv/team.git"
    path = {"a folder outside": "..", "a folder that is not there": "features"}.get(trouble, ".")
    pod = GitSourcePod(
        tmp_path / "pod",
        url,
        {"token": b"wr0ng"} if trouble == "a wrong token" else TOKEN,
        None if trouble == "no authority" else server.authority,
    )
    with server:
        if trouble == "a server that is down":
            server.stop()
        report = pod.report("a" * 40 if trouble == "a commit that is gone" else commit, path)

    assert report.outcome is Outcome.FAILED
    assert report.reason == reason
    assert reason in PROJECT_REASONS[ProjectCondition.APPLIED]
    assert report.exit_code is (ExitCode.TERMINAL if reason in DONE_FOR else ExitCode.TRANSIENT)
    assert "; " in report.message
    assert "t0k3n" not in report.message
    assert "wr0ng" not in report.message
