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
        await create_project(self.api, self.namespace, name, runtime=NOWHERE, **spec)
        body = await until(self.admin, PROJECTS, self.namespace, name, running)
        operation = body["status"]["operation"]
        job = f"{operation['id']}-{operation['attempt']}"
        first = report_names(job)[0]
        body = await asyncio.to_thread(report, job)
        await self.api.patch(CONFIG_MAPS, self.namespace, first, body)
        await self.end(job)
        return job

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
    return lambda job: _patch(job, gzip.compress(text(job)))


def with_items(before: str, item: str, number: int, after: str) -> Forged:
    """A valid report with a field that has many items."""

    def text(job: str) -> bytes:
        items = (item + ",") * (number - 1) + item
        return f"{report_text(job)[:-1]},{before}{items}{after}}}".encode()

    return forged(text)


def _patch(job: str, packed: bytes, **manifest: Any) -> Object:
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


def manifest_of(text: str) -> Forged:
    """A report with this manifest."""
    return lambda _job: {"data": {MANIFEST_KEY: text}}


def claims(**manifest: Any) -> Forged:
    """A report whose manifest says this."""
    return lambda job: _patch(job, gzip.compress(report_text(job).encode()), **manifest)


def not_gzip(job: str) -> Object:
    return _patch(job, b"no gzip")


MILLION: Final = 1_000_000
TOO_LARGE: Final = ("ReportTooLarge", "MiB of memory")
HOSTILE_REPORTS: Final[dict[str, tuple[Forged, tuple[str, str]]]] = {
    "half-a-million-views": (
        with_items('"views":[', '{"name":"","kind":""}', MILLION // 2, "]"),
        TOO_LARGE,
    ),
    "views-that-are-none": (with_items('"views":[', "{}", 50_000, "]"), ("RunnerIncompatible", "")),
    "views-without-end": (
        with_items('"views":[', '{"name":"","kind":""}', 6000, "]"),
        ("RunnerIncompatible", "at most 5000 items"),
    ),
    "arrays": (with_items('"x":[', "[]", 3 * MILLION, "]"), TOO_LARGE),
    "objects": (with_items('"x":[', "{}", 3 * MILLION, "]"), TOO_LARGE),
    "warnings": (with_items('"warnings":[', '""', 2 * MILLION, "]"), TOO_LARGE),
    "nested": (
        forged(lambda job: f'{report_text(job)[:-1]},"x":{"[" * 99_999}'.encode()),
        ("ReportTooLarge", "nested deeper"),
    ),
    "a-gigabyte": (forged(lambda _: bytes(100 * MILLION)), ("ReportTooLarge", "more than")),
    "no-gzip": (not_gzip, ("JobFailed", "not gzip")),
    "of-another-job": (
        forged(lambda _: report_text("apply-1-another-1").encode()),
        ("JobFailed", "'apply-1-another-1''s"),
    ),
    "many-pieces": (claims(pieces=10**9), ("JobFailed", "claims 1000000000 pieces")),
    "wrong-digest": (claims(sha256="0" * 64), ("JobFailed", "sha256 of its manifest")),
    "a-manifest-of-arrays": (
        manifest_of("[" + "[]," * 200_000 + "[]]"),
        ("JobFailed", "manifest does not parse"),
    ),
    "a-long-name": (
        forged(lambda job: report_text(job, revision="x" * 500).replace("x" * 500, "x" * 5000)
               .encode()),
        ("RunnerIncompatible", "at most 1000 characters"),
    ),
}  # fmt: skip
"""Reports by the name of their project, and what the condition Applied of their author says."""
