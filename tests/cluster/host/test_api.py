"""The HTTP API of the cluster host: real tokens, real permissions, a leader and a follower."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import yaml
from tests.cluster.chart.environment import new_namespace
from tests.cluster.chart.helm import Helm, only
from tests.cluster.controlplane import ControlPlane
from tests.cluster.existing import Cluster
from tests.cluster.host.conftest import StartOperator
from tests.cluster.host.polling import until
from tests.cluster.host.resources import create_project
from tests.cluster.kubectl import Kubectl
from tests.cluster.pki import Authority
from tests.cluster.servers import free_port
from tests.local.scene import MLflow
from tests.servers.fixtures import shared_mlflow

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import PROJECTS as PROJECT_KIND

PROJECTS = "/api/v1alpha1/projects"
READER = {"apiGroups": ["featurelineage.io"], "resources": ["featurestoreprojects"]}


@dataclass(frozen=True)
class Tls:
    """A served certificate, and clients that trust its authority."""

    folder: Path
    context: ssl.SSLContext


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    authority = Authority()
    issued = authority.issue("lineage", addresses=("127.0.0.1",))
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "tls.crt").write_bytes(issued.certificate)
    (folder / "tls.key").write_bytes(issued.key)
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    return Tls(folder, context)


@pytest.fixture
def of_api(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The permissions that the chart adds for the API."""
    objects = Helm(tmp_path_factory.mktemp("helm")).render(
        {"api": {"enabled": True, "allowPlainHttp": True}}
    )
    kinds = ("ClusterRole", "ClusterRoleBinding")
    added = [only(objects, kind, ":api") for kind in kinds]
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(added))


def grant(kubectl: Kubectl, namespace: str, subject: dict[str, str], *verbs: str) -> None:
    """Let a subject read the projects of a namespace."""
    name = f"reader-{subject['kind'].lower()}"
    metadata = {"name": name, "namespace": namespace}
    api = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": api, "kind": "Role", "metadata": metadata}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    kubectl(
        *("apply", "-f", "-"),
        stdin=yaml.safe_dump_all(
            [
                {**role, "rules": [{**READER, "verbs": list(verbs)}]},
                {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]},
            ]
        ),
    )


def _is_linked(project: Object | None) -> bool:
    return ((project or {}).get("status", {}).get("counts") or {}).get("linkedModels") == 1


def account(kubectl: Kubectl, namespace: str, name: str) -> str:
    """Create a service account, and return a token of it."""
    kubectl("create", "serviceaccount", name, f"--namespace={namespace}")
    return kubectl("create", "token", name, f"--namespace={namespace}").strip()


def expired(token: str, cluster: ControlPlane) -> str:
    """The same token, signed by the same key, whose time is over."""
    claims = jwt.decode(token, options={"verify_signature": False})
    was = datetime.now(UTC) - timedelta(hours=2)
    claims |= {"iat": was, "nbf": was, "exp": was + timedelta(hours=1)}
    header = jwt.get_unverified_header(token)
    key = (cluster.folder / "sa.key").read_bytes()
    return jwt.encode(claims, key, header["alg"], headers={"kid": header["kid"]})


@pytest.mark.usefixtures("of_api")
async def test_who_may_read_projects_may_read_their_lineage(
    admin: Api,
    kubectl: Kubectl,
    cluster: Cluster,
    namespace: str,
    tls: Tls,
    start_operator: StartOperator,
) -> None:
    other = new_namespace(kubectl, f"{namespace}-other")
    reader = account(kubectl, namespace, "reader")
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    grant(kubectl, namespace, subject, "get", "list")
    in_group = account(kubectl, other, "member")
    group = {"kind": "Group", "name": f"system:serviceaccounts:{other}"}
    grant(kubectl, other, group, "get", "list")
    nobody = account(kubectl, namespace, "nobody")
    gone = account(kubectl, namespace, "gone")
    kubectl("delete", "serviceaccount", "gone", f"--namespace={namespace}")

    mlflow, project = MLflow(shared_mlflow().url), namespace.replace("-", "_")
    mlflow.train(f"{project}_m", project, ["stats:rate"], alias="champion")
    spec: dict[str, Any] = {"mlflow": {"trackingUri": mlflow.url, "pollInterval": "1s"}}
    port = free_port()
    api = {
        "enabled": True,
        "port": port,
        "tlsDir": str(tls.folder),
        "feastUiWithoutToken": [f"{other}/ranking"],
    }
    operator = await start_operator(namespaces=[namespace, other], api=api)
    for where in (namespace, other):
        await create_project(admin, where, project=project, **spec)
        await until(admin, PROJECT_KIND, where, "ranking", _is_linked)

    async with httpx.AsyncClient(
        base_url=f"https://127.0.0.1:{port}", verify=tls.context, timeout=30
    ) as client:

        async def get(path: str, token: str = "", scheme: str = "Bearer") -> httpx.Response:
            headers = {"Authorization": f"{scheme} {token}"} if token else {}
            return await client.get(path, headers=headers)

        def versions(where: str) -> str:
            return f"/api/v1alpha1/namespaces/{where}/projects/ranking/versions"

        mine = await get(versions(namespace), reader)
        assert mine.status_code == 200, mine.text
        assert [(i["model"], i["aliases"]) for i in mine.json()["items"]] == [
            (f"{project}_m", ["champion"])
        ]
        assert "reader" not in operator.log.read_text()
        assert (await get(versions(other), in_group)).status_code == 200

        # Another namespace, and a project that does not exist, look alike.
        for path in (versions(other), versions(other).replace("ranking", "nothing")):
            refused = await get(path, reader)
            assert refused.status_code == 403
            assert f"in namespace {other}; a Role there has to grant it" in refused.json()["detail"]
        assert (await get(versions(namespace), in_group)).status_code == 403
        assert (await get(versions(namespace), nobody)).status_code == 403
        missing = await get(versions(namespace).replace("ranking", "nothing"), reader)
        assert missing.status_code == 404

        # The list has what the caller may list, and nothing else.
        for token, expected in ((reader, [namespace]), (in_group, [other]), (nobody, [])):
            listed = (await get(PROJECTS, token)).json()["items"]
            assert [item["namespace"] for item in listed] == expected

        # Feast's UI sends no token: its answers are open only where a value says so.
        feast = "/feast/{}/ranking/api/mlflow-feature-models"
        opened = await get(feast.format(other))
        assert list(opened.json()["feature_models"]) == ["stats:rate"]
        assert (await get(feast.format(namespace))).status_code == 401
        assert (await get(feast.format(namespace), reader)).status_code == 200
        assert (await get(versions(other))).status_code == 401

        wrong = ["nonsense", f"{reader}x", gone]
        if isinstance(cluster, ControlPlane):
            wrong.append(expired(reader, cluster))
        for token in wrong:
            answer = await get(versions(namespace), token)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        for answer in (await get(versions(namespace)), await get(PROJECTS, reader, "Basic")):
            assert answer.status_code == 401
        assert (await get(versions(namespace), "x" * 20_000)).status_code in (400, 401)
        assert (await get("/openapi.json")).json()["security"] == [{"bearer": []}]


@pytest.mark.usefixtures("of_api")
async def test_a_follower_answers_nothing(
    kubectl: Kubectl, namespace: str, tls: Tls, start_operator: StartOperator
) -> None:
    ports = [free_port(), free_port()]
    for port in ports:
        api = {"enabled": True, "port": port, "tlsDir": str(tls.folder)}
        await start_operator(api=api)
    token = account(kubectl, namespace, "anyone")
    answers = []
    for port in ports:
        async with httpx.AsyncClient(verify=tls.context) as client:
            answers.append(
                await client.get(
                    f"https://127.0.0.1:{port}{PROJECTS}",
                    headers={"Authorization": f"Bearer {token}"},
                )
            )
    assert [answer.status_code for answer in answers] == [200, 503]
    assert answers[1].headers["Retry-After"] == "5"
    assert "not the leader" in answers[1].json()["detail"]
