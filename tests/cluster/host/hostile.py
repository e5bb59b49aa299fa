"""A hostile tenant: a ServiceAccount with the ClusterRole `edit` in one namespace, nothing else."""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster.existing import Cluster
from tests.cluster.host.polling import until
from tests.cluster.host.resources import create_project, running

from feature_lineage.api.enums import OperationKind
from feature_lineage.kube.api_client import Api, Object, connect
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.kinds import CONFIG_MAPS, JOBS, PROJECTS
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.pod_protocol import MANIFEST_KEY, PIECE_KEY
from feature_lineage.operations.protocol import encode

ACCOUNT: Final = "hostile"
NOWHERE: Final = {"nodeSelector": {"node": "that-does-not-exist"}}
"""Its jobs wait for a node, so that only its reports cost anything."""


@dataclass
class HostileTenant:
    """Its client, and the client of an administrator who observes it."""

    api: Api
    admin: Api
    namespace: str

    async def forge(self, name: str, report: "Forged", **spec: Any) -> str:
        """Create a project, write the report of its job, and end the job; return the job."""
        job = await self.leave(name, report, **spec)
        await self.end(job)
        return job

    async def leave(self, name: str, report: "Forged", **spec: Any) -> str:
        """As `forge`, but the job does not end, so nobody reads the report yet."""
        await create_project(self.api, self.namespace, name, runtime=NOWHERE, **spec)
        body = await until(self.admin, PROJECTS, self.namespace, name, running, 120)
        operation = body["status"]["operation"]
        job = f"{operation['id']}-{operation['attempt']}"
        body = await asyncio.to_thread(report, job)
        await self.write(report_names(job)[0], body)
        return job

    async def write(self, name: str, body: Object) -> None:
        """Patch a ConfigMap of its namespace."""
        await self.api.patch(CONFIG_MAPS, self.namespace, name, body)

    async def end(self, job: str) -> None:
        """End a job of its own: the deadline of a Job can be changed."""
        await self.api.patch(JOBS, self.namespace, job, {"spec": {"activeDeadlineSeconds": 1}})


Forged = Callable[[str], Object]
"""The patch of the report's ConfigMap, of the name of the job."""


@asynccontextmanager
async def hostile_tenant(
    cluster: Cluster, admin: Api, namespace: str
) -> AsyncIterator[HostileTenant]:
    kubectl = cluster.kubectl
    kubectl("-n", namespace, "create", "serviceaccount", ACCOUNT)
    grant = ("create", "rolebinding", ACCOUNT, "--clusterrole=edit")
    kubectl("-n", namespace, *grant, f"--serviceaccount={namespace}:{ACCOUNT}")
    kubeconfig = await asyncio.to_thread(cluster.service_account_kubeconfig, namespace, ACCOUNT)
    async with await connect(str(kubeconfig)) as api:
        yield HostileTenant(api, admin, namespace)


def report_text(job: str, **more: Any) -> str:
    """A report that is valid, and names its job."""
    now = datetime.now(UTC)
    return encode(
        JobReport(
            operation_id=job,
            kind=OperationKind.APPLY,
            outcome=Outcome.SUCCEEDED,
            started_at=now,
            finished_at=now,
            **{"project": "p", **more},
        )
    )


def forged(text: Callable[[str], bytes]) -> Forged:
    """A report of this text, in one piece with its right digest."""
    return lambda job: patch_of(job, gzip.compress(text(job)))


def patch_of(job: str, packed: bytes, **manifest: Any) -> Object:
    described = {
        "operation": job,
        "sha256": hashlib.sha256(packed).hexdigest(),
        "size": 1,
        "pieces": 1,
        **manifest,
    }
    return {
        "data": {MANIFEST_KEY: json.dumps(described)},
        "binaryData": {PIECE_KEY: base64.b64encode(packed).decode()},
    }
