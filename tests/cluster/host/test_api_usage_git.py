"""The condition names the problem of a Git source until a user corrects it."""

import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.cluster.chart.helm import NAMESPACE, RELEASE
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.resources import change, create, create_project, has_condition
from tests.cluster.kubectl import Kubectl
from tests.servers.git import GitServer

from feature_lineage.cli.grant import grant_manifests
from feature_lineage.errors import RequestRejected
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.kinds import CONFIG_MAPS, PROJECTS, SECRETS

TOKEN: Final = "glpat-tr0ub4dor"
LOGIN: Final = f"x-access-token:{TOKEN}"
STRAIGHT: Final = {"NO_PROXY": "*", "no_proxy": "*"}
"""No proxy of the test environment is used."""

WHOLE: Final = {"branch": "main", "tag": None, "commit": None}


@dataclass(frozen=True)
class Trouble:
    """A source that cannot be resolved.

    Attributes:
        url: HERE stands for the running server, and AWAY for a server that does not listen.
        status, reason: the status and reason of SourceReady.
        words: words in the message: the object, and the next step.
        ref: the ref of the source.
    """

    url: str
    status: str
    reason: str
    words: tuple[str, ...]
    ref: tuple[str, str] = ("branch", "main")


TROUBLES: Final = {
    "branch": Trouble(
        "HERE/team.git",
        *("False", "RefNotFound"),
        ("HERE/team.git", "branch nobody", "check source.git.ref"),
        ("branch", "nobody"),
    ),
    "tag": Trouble(
        "HERE/team.git",
        *("False", "RefNotFound"),
        ("HERE/team.git", "tag v9", "check source.git.ref"),
        ("tag", "v9"),
    ),
    "gone": Trouble(
        "HERE/nobody.git",
        *("False", "RefNotFound"),
        ("HERE/nobody.git", "not found", "check source.git.url"),
    ),
    "away": Trouble(
        "AWAY/team.git",
        *("Unknown", "SourceUnreachable"),
        ("AWAY/team.git", "check the network to the host"),
    ),
    "no-such-host": Trouble(
        "https://git.nowhere.invalid/team.git",
        *("Unknown", "SourceUnreachable"),
        ("git.nowhere.invalid", "check the network to the host"),
    ),
    "elsewhere": Trouble(
        "https://git.elsewhere.example/team.git",
        *("False", "HostNotAllowed"),
        (
            "git.elsewhere.example/team.git",
            "allowedGitHosts",
            "ask the team that runs the operator",
        ),
    ),
    "file": Trouble(
        "file:///srv/team.git",
        *("False", "HostNotAllowed"),
        ("file:///srv/team.git", "use one of: https, ssh"),
    ),
    "option": Trouble(
        "ssh://-oProxyCommand=id/team.git",
        *("False", "HostNotAllowed"),
        ("-oProxyCommand", "ssh would read as an option; correct it"),
    ),
}

REFUSED: Final = {
    "a helper": {"url": "ext::sh -c id"},
    "an option": {"url": "--upload-pack=id"},
    "another scheme": {"url": "http://git.example/team.git"},
    "a token": {"url": f"https://{LOGIN}@git.example/team.git"},
    "a path that leads out": {"url": "https://git.example/team.git", "path": "store/../../etc"},
    "a path from the root": {"url": "https://git.example/team.git", "path": "/etc"},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "git", LOGIN) as serving:
        serving.commit("team", feature_store="project: ranking\n")
        yield serving


@pytest.fixture
async def git(admin: Api, kubectl: Kubectl, namespace: str, server: GitServer) -> dict[str, Any]:
    """The common part of all sources: a token that the operator may read, and the CA."""
    granted = grant_manifests(("git",), namespace, NAMESPACE, RELEASE)
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(granted))
    secret = {"metadata": {"name": "git"}, "stringData": {"token": TOKEN}}
    await admin.create(SECRETS, namespace, secret)
    authority = {"metadata": {"name": "ca"}, "data": {"ca.crt": server.authority.decode()}}
    await admin.create(CONFIG_MAPS, namespace, authority)
    bundle = {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}
    return {"secretRef": {"name": "git"}, "caBundle": bundle}


def _away() -> str:
    """Return an address at which no server listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"https://localhost:{closed.getsockname()[1]}"


async def test_repository_error_is_shown_until_it_is_corrected(
    admin: Api,
    namespace: str,
    server: GitServer,
    git: dict[str, Any],
    start_operator: StartOperator,
) -> None:
    hosts = ["localhost:*", "git.nowhere.invalid"]
    operator = await start_operator(environment=STRAIGHT, allowedGitHosts=hosts)
    places = {"HERE": server.url, "AWAY": _away()}

    def placed(text: str) -> str:
        for name, url in places.items():
            text = text.replace(name, url)
        return text

    for name, trouble in TROUBLES.items():
        source = {"url": placed(trouble.url), "ref": dict([trouble.ref]), **git}
        await create_project(admin, namespace, name, source={"git": source})
    projects = {}
    for name, trouble in TROUBLES.items():
        words = [placed(word) for word in trouble.words]
        there = has_condition("SourceReady", trouble.reason, *words)
        projects[name] = await until(admin, PROJECTS, namespace, name, there)
    for name in TROUBLES:
        good = {"url": f"{server.url}/team.git", "ref": WHOLE}
        await change(admin, PROJECTS, namespace, name, source={"git": good})
    for name in TROUBLES:
        mended = await until(admin, PROJECTS, namespace, name, says("SourceReady", "True"))
        assert condition(mended, "Stalled").get("reason") != TROUBLES[name].reason

    found = {name: condition(body, "SourceReady")["status"] for name, body in projects.items()}
    assert found == {name: trouble.status for name, trouble in TROUBLES.items()}
    assert all(condition(body, "Ready")["status"] == "False" for body in projects.values())
    said = json.dumps(projects) + operator.log.read_text() + await operator.metrics()
    assert TOKEN not in said
    assert base64.b64encode(LOGIN.encode()).decode() not in said
    assert operator.errors() == []


async def test_repository_created_later_is_found(
    admin: Api,
    namespace: str,
    server: GitServer,
    git: dict[str, Any],
    start_operator: StartOperator,
) -> None:
    await start_operator(environment=STRAIGHT)
    source = {"url": f"{server.url}/late.git", "ref": {"branch": "main"}, **git}
    await create_project(admin, namespace, source={"git": source, "pollInterval": "1s"})
    await until(admin, PROJECTS, namespace, "ranking", has_condition("SourceReady", "RefNotFound"))
    commit = server.commit("late", feature_store="project: ranking\n")

    found = await until(admin, PROJECTS, namespace, "ranking", says("SourceReady", "True"))
    assert condition(found, "SourceReady")["message"] == commit[:12]


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
async def test_what_no_host_would_take_is_refused_before_it_is_stored(
    admin: Api, namespace: str, source: dict[str, str]
) -> None:
    git = {"ref": {"branch": "main"}, **source}
    spec = {"project": "ranking", "source": {"git": git}}
    field = "path" if "path" in source else "url"
    with pytest.raises(RequestRejected) as caught:
        await create(admin, PROJECTS, namespace, "ranking", spec)

    assert f"spec.source.git.{field}" in caught.value.message
    assert ("must be https://host/path" in caught.value.message) == (field == "url")
