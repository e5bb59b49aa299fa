"""A tenant: a namespace for restricted pods, a repo on the Git server, a database, user actions."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.kubectl import Kubectl
from tests.e2e.environment import (
    ADMIN,
    GIT_HOST,
    GIT_TOKEN,
    MLFLOW_URL,
    POSTGRES_HOST,
    POSTGRES_PORT,
    E2eEnvironment,
)
from tests.e2e.project_fixture import JOB_SECONDS, ProjectFixture
from tests.local.scene import FEATURES, write_repo

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import PROJECTS

SERVICE = "driver_activity_v1"
VIEW = "driver_hourly_stats"

TRAINER = Path(__file__).with_name("trainer.py")
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass
class Tenant(ProjectFixture):
    """One team with one project and one model, with the same name, in its own namespace."""

    environment: E2eEnvironment = field(kw_only=True)
    password: str = field(default="the-first-password", repr=False)

    # Set up by the platform

    def prepare(self) -> None:
        """Create namespace, database and Secrets, and grant the operator those that it needs."""
        self.environment.create_database(self.project, self.password)
        authority = self.environment.git.authority.decode()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.apply(
            {"kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}},
            secret("git-token", token=GIT_TOKEN),
            self.feature_store_secret(),
            {"kind": "ConfigMap", "metadata": {"name": "git-ca"}, "data": {"ca.crt": authority}},
        )
        self.grant("git-token", "feature-store")

    def feature_store_secret(self) -> Object:
        return secret("feature-store", **{"feature_store.yaml": yaml.safe_dump(self.store())})

    def store(self) -> dict[str, Any]:
        """Feast's configuration, as it is in a Secret."""
        where = f"{POSTGRES_HOST}:{POSTGRES_PORT}/{self.project}"
        return {
            "project": self.project,
            "provider": "local",
            "registry": {
                "registry_type": "sql",
                "path": f"postgresql+psycopg://{self.project}:{self.password}@{where}",
            },
            "online_store": {
                "type": "postgres",
                "host": POSTGRES_HOST,
                "port": POSTGRES_PORT,
                "database": self.project,
                "user": self.project,
                "password": self.password,
                "sslmode": "disable",
            },
            "offline_store": {"type": "file"},
            "entity_key_serialization_version": 3,
            "mlflow": {"enabled": True, "tracking_uri": MLFLOW_URL, "auto_log": True},
        }

    def grant(self, *secrets: str) -> None:
        grant(self.kubectl, self.namespace, *secrets)

    def apply(self, *objects: Object) -> None:
        """Run kubectl apply in the namespace of the tenant; the default apiVersion is v1."""
        whole = [{"apiVersion": "v1", **each} for each in objects]
        text = yaml.safe_dump_all(whole)
        self.kubectl("apply", "-n", self.namespace, "-f", "-", stdin=text)

    # Actions of users

    def commit(self, features: str = FEATURES, **files: str) -> str:
        """Push a commit of the repo; return its id."""
        git, tree = self.environment.git, self.environment.git.folder / f"{self.project}.tree"
        if not tree.exists():
            git.create(self.project)
            repo = write_repo(tree / "feature_repo", self.project)
            (repo / "feature_store.yaml").unlink()  # it is in the Secret
        return git.commit(self.project, **{"feature_repo/features.py": features, **files})

    async def create_project(self, **spec: Any) -> Object:
        source = {
            "git": {
                "url": f"https://{GIT_HOST}/{self.project}.git",
                "ref": {"branch": "main"},
                "path": "feature_repo",
                "secretRef": {"name": "git-token"},
                "caBundle": {"configMapKeyRef": {"name": "git-ca", "key": "ca.crt"}},
            },
            "pollInterval": "2s",
        }
        body = {
            "project": self.project,
            "source": source,
            "featureStoreYaml": {
                "secretKeyRef": {"name": "feature-store", "key": "feature_store.yaml"}
            },
            "mlflow": {"serverRef": "prod", "pollInterval": "2s"},
        }
        return await self.create(PROJECTS, {**body, **spec})

    def train_in_a_pod(self) -> None:
        """Train a champion on the feature service, as the Job of a data scientist does."""
        self.run("train", f"python /scripts/trainer.py {SERVICE} {self.model}")

    def run_feast(self, *commands: str, project: str = "") -> None:
        """Run Feast's commands in the folder of feature_store.yaml, as the CI of a team does.

        Args:
            project: another project in the same registry.
        """
        rename = f"sed -i 's/^project: .*/project: {project or self.project}/' feature_store.yaml"
        self.run("ci", " && ".join((rename, *(f"feast {command}" for command in commands))))

    def run(self, name: str, command: str) -> None:
        """Run a Job of the team on the runner's image: clone the repo, then run `command`.

        Raises:
            KubectlFailed: the Job does not complete.
        """
        self.apply(
            secret("mlflow-login", username=ADMIN[0], password=ADMIN[1]),
            {
                "kind": "ConfigMap",
                "metadata": {"name": "scripts"},
                "data": {TRAINER.name: TRAINER.read_text()},
            },
            own_job(self, name, command),
        )
        kubectl, job = self.kubectl, f"job/{name}"
        wait = ("wait", "--for=condition=Complete", job, f"--timeout={JOB_SECONDS:.0f}s")
        try:
            kubectl("-n", self.namespace, *wait, seconds=JOB_SECONDS + 10)
        finally:
            print(kubectl("-n", self.namespace, "logs", job, "--all-containers"))
            kubectl("-n", self.namespace, "delete", job, "--cascade=foreground")

    def online_rows(self) -> int:
        """Return the number of rows of the view in the online store."""
        table = f"{self.project}_{VIEW}"
        found = self.environment.rows(
            self.project,
            f'SELECT count(DISTINCT entity_key) FROM "{table}"',
        )
        return int(found[0][0])


def grant(kubectl: Kubectl, namespace: str, *secrets: str) -> None:
    """Grant Secrets as the owner of a namespace does, with the command in the docs."""
    command = str(Path(sys.executable).with_name("feature-lineage"))
    granted = subprocess.run(
        [command, "grant", *secrets, "-n", namespace], check=True, capture_output=True, text=True
    )
    kubectl("apply", "-f", "-", stdin=granted.stdout)


def own_job(tenant: Tenant, name: str, command: str) -> Object:
    """Clone with a token into a volume, then run `command` there."""
    url = f"https://x-access-token:$(TOKEN)@{GIT_HOST}/{tenant.project}.git"
    contained = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    common = {
        "image": tenant.environment.images.runner.reference,
        "imagePullPolicy": "Never",
        "securityContext": contained,
    }
    login = [
        {"name": f"MLFLOW_TRACKING_{key.upper()}", "valueFrom": _from("mlflow-login", key)}
        for key in ("username", "password")
    ]
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": RESTRICTED,
        "initContainers": [
            {
                **common,
                "name": "clone",
                "command": ["git", "clone", "-q", "--depth=1", url, "/job/repo"],
                "env": [
                    {"name": "TOKEN", "valueFrom": _from("git-token", "token")},
                    {"name": "GIT_SSL_CAINFO", "value": "/git-ca/ca.crt"},
                ],
                "volumeMounts": [_mount("job", "/job"), _mount("ca", "/git-ca")],
            }
        ],
        "containers": [
            {
                **common,
                "name": name,
                "workingDir": "/job/repo/feature_repo",
                "command": ["sh", "-euc", f"cp /feature-store/feature_store.yaml . && {command}"],
                "env": [
                    {"name": "HOME", "value": "/job"},
                    {"name": "MLFLOW_TRACKING_URI", "value": MLFLOW_URL},
                    *login,
                ],
                "volumeMounts": [
                    _mount("job", "/job"),
                    _mount("tmp", "/tmp"),
                    _mount("scripts", "/scripts"),
                    _mount("store", "/feature-store"),
                ],
            }
        ],
        "volumes": [
            *({"name": name, "emptyDir": {}} for name in ("job", "tmp")),
            {"name": "ca", "configMap": {"name": "git-ca"}},
            {"name": "scripts", "configMap": {"name": "scripts"}},
            {"name": "store", "secret": {"secretName": "feature-store", "defaultMode": 0o440}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def secret(name: str, **data: str) -> Object:
    """Create a Secret with these texts."""
    return {"kind": "Secret", "metadata": {"name": name}, "stringData": data}


def _from(secret: str, key: str) -> Object:
    return {"secretKeyRef": {"name": secret, "key": key}}


def _mount(name: str, path: str) -> Object:
    return {"name": name, "mountPath": path}
