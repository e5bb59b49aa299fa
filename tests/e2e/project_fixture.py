"""One project and its model: actions and queries through the API server and MLflow."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.cluster.host.polling import condition, until
from tests.cluster.kubectl import Kubectl
from tests.local.scene import FEATURES, MLflow

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    MODELS,
    PODS,
    PROJECT_LABEL,
    PROJECTS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Kind,
)

REFS = ("driver_hourly_stats:conv_rate", "driver_hourly_stats:trips")
TRIPS = REFS[1]
WITHOUT_TRIPS = FEATURES.replace('Field(name="trips", dtype=Int64),', "").replace(
    '["conv_rate", "trips"]', '["conv_rate"]'
)
ALLOW = "featurelineage.io/allow-breaking"

JOB_SECONDS = 240.0
"""A job takes seconds on an idle machine; importing Feast takes most of a minute on a busy one."""

EVENT_SECONDS = 60.0

MADE: tuple[Kind, ...] = (JOBS, CONFIG_MAPS, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS)
"""Kinds of objects that the operator creates in the namespace of a project."""

_numbers = count(1)

Holds = Callable[[Object | None], bool]


@dataclass
class ProjectFixture:
    """One project with its model, with the same name, in a namespace.

    Args:
        admin: client of an administrator.
        name: name of the resources; part of the names of Feast's project and the model.
    """

    admin: Api
    kubectl: Kubectl
    namespace: str
    mlflow: MLflow
    name: str = "driver"

    @property
    def project(self) -> str:
        """The name of the Feast project, which is unique on the shared servers."""
        return f"{self.name}_{self.namespace.removeprefix('test-')}"

    @property
    def model(self) -> str:
        """The registered model."""
        return f"{self.project}_model"

    # Actions of users

    async def create_model(self, **spec: Any) -> Object:
        body = {
            "projectRef": {"name": self.name},
            "model": {"name": self.model, "alias": "champion"},
        }
        return await self.create(MODELS, {**body, **spec})

    async def change(self, **spec: Any) -> None:
        """Merge a patch into the spec of the project."""
        await self.admin.patch(PROJECTS, self.namespace, self.name, {"spec": spec})

    async def annotate(self, **annotations: str) -> None:
        """Annotate the project; in a name, which is one of the operator's, ``_`` is ``-``."""
        named = {f"featurelineage.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
        body = {"metadata": {"annotations": named}}
        await self.admin.patch(PROJECTS, self.namespace, self.name, body)

    async def request_reconcile(self) -> None:
        await self.annotate(reconcile_requested_at=str(next(_numbers)))

    def train(self, *refs: str, alias: str | None = "champion") -> str:
        """Register a version of the model, recorded as Feast does it; return its number."""
        service = {"feast.feature_service": "driver_activity_v1"}
        return self.mlflow.train(
            self.model, self.project, list(refs or REFS), alias=alias, **service
        )

    # Queries

    async def until(self, holds: Holds, seconds: float = JOB_SECONDS) -> Object:
        """Return the project when `holds` is true of it."""
        return await until(self.admin, PROJECTS, self.namespace, self.name, holds, seconds)

    async def until_model(self, holds: Holds, seconds: float = 120.0) -> Object:
        return await until(self.admin, MODELS, self.namespace, self.name, holds, seconds)

    async def until_made(self, kind: Kind, name: str, holds: Holds) -> Object:
        """Return an object of the operator when `holds` is true of it."""
        return await until(self.admin, kind, self.namespace, name, holds, JOB_SECONDS)

    async def until_in_phase(self, phase: str) -> str:
        """Return the pod of the namespace's one job when the pod is in that phase."""
        async with asyncio.timeout(JOB_SECONDS):
            while not (pods := [each async for each in self.admin.list(PODS, self.namespace)]):
                await asyncio.sleep(0.1)
            (name,) = (pod["metadata"]["name"] for pod in pods)
            await until(self.admin, PODS, self.namespace, name, _runs, JOB_SECONDS)
            await self._until_prints(name, phase)
        return name

    async def _until_prints(self, pod: str, words: str) -> None:
        logs = self.kubectl.command("-n", self.namespace, "logs", "--follow", pod)
        follower = await asyncio.create_subprocess_exec(*logs, stdout=asyncio.subprocess.PIPE)
        assert follower.stdout is not None
        try:
            while words not in (line := (await follower.stdout.readline()).decode()):
                assert line, f"{pod} has ended without a word of {words}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                follower.kill()
            await follower.wait()

    async def made(self, kind: Kind) -> list[str]:
        """Return the sorted names of the operator's objects of a kind for the project."""
        listed = [each async for each in self.admin.list(kind, self.namespace)]
        return sorted(
            each["metadata"]["name"]
            for each in listed
            if each["metadata"].get("labels", {}).get(PROJECT_LABEL) == self.name
        )

    async def events(self, reason: str, kind: Kind = PROJECTS) -> list[Object]:
        """Return the Events with a reason about the project or the model."""
        listed = [each async for each in self.admin.list(EVENTS, self.namespace)]
        return [
            each
            for each in listed
            if each["reason"] == reason
            and (each["regarding"]["kind"], each["regarding"]["name"]) == (kind.kind, self.name)
        ]

    async def until_event(self, reason: str, kind: Kind = PROJECTS) -> Object:
        """Return the one Event with a reason, which comes a moment after the status.

        Raises:
            ValueError: there are several, with different messages.
        """
        async with asyncio.timeout(EVENT_SECONDS):
            while not (found := await self.events(reason, kind)):
                await asyncio.sleep(0.1)
        (event,) = found
        return event

    def ops_runs(self) -> list[dict[str, Any]]:
        """Return the ops runs, in the order in which the operations started."""
        return self.mlflow.ops_runs(self.project)

    def tags(self, version: str = "1") -> dict[str, str]:
        return self.mlflow.version_tags(self.model, version)

    async def create(self, kind: Kind, spec: dict[str, Any]) -> Object:
        metadata = {"name": self.name, "namespace": self.namespace}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        return await self.admin.create(kind, self.namespace, {**body, "spec": spec})


def _runs(pod: Object | None) -> bool:
    return (pod or {}).get("status", {}).get("phase") == "Running"


def recorded(number: int) -> Holds:
    """Return a check: this number of operations has ended and is in MLflow, none is in flight."""

    def holds(body: Object | None) -> bool:
        status = (body or {}).get("status", {})
        operations = status.get("operations", ())
        return (
            len(operations) == number
            and "operation" not in status
            and all("mlflowRunId" in each for each in operations)
        )

    return holds


def running(body: Object | None) -> bool:
    """Whether the job of the project was resumed: it runs, or waits for a node."""
    return (body or {}).get("status", {}).get("operation", {}).get("phase") == "Running"


def both(*all_of: Holds) -> Holds:
    """Return a check that all the checks are true."""
    return lambda body: all(holds(body) for holds in all_of)


def state(body: Object, type_: str) -> tuple[str, str]:
    """Return status and reason of a condition, ("", "") if there is none."""
    found = condition(body, type_)
    return found.get("status", ""), found.get("reason", "")
