"""The environment of the tests: a cluster with a node, and the servers that pods reach.

    postgres.data.svc   SQL registries and online stores, with a password
    mlflow.ml.svc       host check and basic auth on
    code.git.svc        Git over TLS with its own authority; requires a token
    mlflow.poisoned.svc the MLflow server of a hostile tenant
    prometheus          scrapes the operator's pods; answers PromQL

The environment is in the sandbox (`tests/e2e/sandbox`), whose network contains nothing else.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psycopg
import yaml
from tests.cluster.chart.helm import CHART
from tests.cluster.controlplane import ControlPlane
from tests.e2e.images import Images
from tests.e2e.node import NETWORK, Node
from tests.e2e.node_files import ADDRESS
from tests.e2e.services import host_service
from tests.local.scene import MLflow
from tests.servers.git import GitServer
from tests.servers.mlflow import Server, launch_mlflow
from tests.servers.postgres import start_postgres

MLFLOW_HOST: Final = "mlflow.ml.svc.cluster.local"
MLFLOW_PORT: Final = 5000
MLFLOW_URL: Final = f"http://{MLFLOW_HOST}:{MLFLOW_PORT}"
GIT_HOST: Final = "code.git.svc.cluster.local"
GIT_PORT: Final = 8443
POSTGRES_HOST: Final = "postgres.data.svc.cluster.local"
POSTGRES_PORT: Final = 5432
PROMETHEUS_PORT: Final = 9090
SCRAPE_SECONDS: Final = 1
ALERTS: Final = CHART / "files" / "alerts.yaml"
POISONED_PORT: Final = 5001
POISONED_URL: Final = "http://mlflow.poisoned.svc.cluster.local"
"""The MLflow server of a hostile tenant, which only some tests start."""

ADMIN: Final = ("admin", "a-password-of-12")
"""Login of MLflow for training."""
OPERATOR: Final = ("lineage-operator", "another-password-of-12")
"""Login of MLflow for the operator."""
GIT_TOKEN: Final = "token-of-the-git-server"


class E2eEnvironment:
    """Everything that runs before the operator is installed.

    Attributes:
        seconds: start times of the parts, by name.
    """

    def __init__(self, folder: Path, images: Images) -> None:
        self.folder = folder
        self.images = images
        self.seconds: dict[str, float] = {}
        self.plane = ControlPlane(NETWORK)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        # First, because its start takes as long as all others together.
        self._mlflow = self._open.enter_context(start_mlflow(self.folder / "mlflow"))
        with self.timed("control plane"):
            self._open.enter_context(self.plane.start())
        with self.timed("node"):
            self.node = Node(self.plane)
            self.node.start()
        with self.timed("images"):
            self.node.load(self.images.operator.archive)
            self.node.load(self.images.runner.archive)
        self._apply_names()
        with self.timed("PostgreSQL"):
            self.postgres = self._open.enter_context(
                start_postgres(
                    self.folder / "postgres",
                    address=ADDRESS,
                    port=POSTGRES_PORT,
                    password="a-password-of-postgres",
                )
            )
        self.git = self._open.enter_context(
            GitServer(
                self.folder / "git",
                f"x-access-token:{GIT_TOKEN}",
                address=(ADDRESS, GIT_PORT),
                names=(GIT_HOST, ADDRESS),
            )
        )
        self.prometheus = self._open.enter_context(Prometheus(self.folder / "prometheus"))
        with self.timed("waiting for MLflow"):
            self._mlflow.wait_healthy()
        self.mlflow = MLflow(f"http://{ADDRESS}:{MLFLOW_PORT}", ADMIN)
        create_user(self.mlflow, *OPERATOR)

    def _apply_names(self) -> None:
        for namespace, name, port, target in (
            ("ml", "mlflow", MLFLOW_PORT, MLFLOW_PORT),
            ("data", "postgres", POSTGRES_PORT, POSTGRES_PORT),
            ("git", "code", 443, GIT_PORT),
            ("poisoned", "mlflow", 80, POISONED_PORT),
        ):
            self.plane.kubectl("create", "namespace", namespace)
            host_service(self.plane, namespace, name, {name: ("TCP", port, target)}, ADDRESS)

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began

    # Changes of the environment

    @contextlib.contextmanager
    def without_mlflow(self) -> Iterator[None]:
        """Stop MLflow; start it again with the same data at the end."""
        self._mlflow.stop()
        try:
            yield
        finally:
            self._mlflow = self._open.enter_context(start_mlflow(self.folder / "mlflow"))
            self._mlflow.wait_healthy()

    def create_database(self, name: str, password: str) -> None:
        """Create an empty database and its owner, with the same name."""
        with self._psql() as psql:
            psql.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
            psql.execute(f'CREATE DATABASE "{name}" OWNER "{name}"')

    def change_password(self, name: str, password: str) -> None:
        """Also closes open connections, which would continue to work otherwise."""
        with self._psql() as psql:
            psql.execute(f"ALTER ROLE \"{name}\" PASSWORD '{password}'")
            psql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,)
            )

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Return the result of a query in a database, as the administrator."""
        with psycopg.connect(self.postgres.url(database, "postgresql")) as psql:
            return list(psql.execute(query).fetchall())  # type: ignore[arg-type]

    def execute(self, database: str, statement: str) -> None:
        """Change a database, as the administrator."""
        with psycopg.connect(self.postgres.url(database, "postgresql")) as psql:
            psql.execute(statement)  # type: ignore[arg-type]

    def _psql(self) -> Any:
        return psycopg.connect(self.postgres.url(scheme="postgresql"), autocommit=True)


def start_mlflow(folder: Path) -> Server:
    """An MLflow server that checks hosts and passwords; its start takes half a minute."""
    folder.mkdir(exist_ok=True)
    settings = folder / "auth.ini"
    settings.write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {ADMIN[0]}\n"
        f"admin_password = {ADMIN[1]}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Otherwise each request takes half a second of PBKDF2, which the tests would measure.
        "auth_cache_ttl_seconds = 5\n"
    )
    return launch_mlflow(
        folder,
        host=ADDRESS,
        port=MLFLOW_PORT,
        env={
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key of the tests",
        },
        args=(
            *("--app-name", "basic-auth"),
            *("--allowed-hosts", f"{MLFLOW_HOST}:{MLFLOW_PORT},{ADDRESS}:{MLFLOW_PORT}"),
        ),
    )


def create_user(mlflow: MLflow, name: str, password: str) -> None:
    """A user with all permissions on experiments and models, as a service account has them."""
    mlflow.post("users/create", username=name, password=password)
    answer = httpx.patch(
        f"{mlflow.url}/api/2.0/mlflow/users/update-admin",
        json={"username": name, "is_admin": True},
        auth=mlflow.auth,
    )
    assert answer.is_success, answer.text


def change_password(mlflow: MLflow, name: str, password: str) -> None:
    answer = httpx.patch(
        f"{mlflow.url}/api/2.0/mlflow/users/update-password",
        json={"username": name, "password": password},
        auth=mlflow.auth,
    )
    assert answer.is_success, answer.text


@dataclass
class Prometheus:
    """A real Prometheus that scrapes each pod of the operator."""

    folder: Path

    @cached_property
    def _api(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://{ADDRESS}:{PROMETHEUS_PORT}/api/v1", timeout=10)

    def __enter__(self) -> Self:
        self.folder.mkdir()
        jobs = [
            {
                "job_name": "feature-lineage-operator",
                "honor_labels": True,
                # Debian's build has no discovery by the Kubernetes API.
                "dns_sd_configs": [
                    {
                        "names": ["pods.feature-lineage.svc.cluster.local"],
                        "type": "A",
                        "port": 8080,
                        "refresh_interval": "1s",
                    }
                ],
            }
        ]
        rules = yaml.safe_load(ALERTS.read_text())
        for rule in rules["groups"][0]["rules"]:
            rule["for"] = f"{2 * SCRAPE_SECONDS}s"  # the chart's take minutes
        (self.folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        config = {
            "global": dict.fromkeys(
                ("scrape_interval", "evaluation_interval"), f"{SCRAPE_SECONDS}s"
            ),
            "rule_files": ["alerts.yml"],
            "scrape_configs": jobs,
        }
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with (self.folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={ADDRESS}:{PROMETHEUS_PORT}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait(30)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query: labels in ``metric``, the number in ``value``."""
        answer = self._api.get("query", params={"query": promql})
        assert answer.is_success, answer.text
        return [
            {"metric": each["metric"], "value": float(each["value"][1])}
            for each in answer.json()["data"]["result"]
        ]
