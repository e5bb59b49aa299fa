"""What a hostile tenant does in its namespace, each attempt in a project of its own."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, Final

from tests.cluster.host.hostile import NOWHERE, HostileTenant, forged, report_text
from tests.cluster.host.hostile_reports import HOSTILE_REPORTS
from tests.cluster.host.hostile_snapshots import (
    HOSTILE_SNAPSHOTS,
    HOSTILE_TIMELINES,
    applied,
    change,
    words_of,
)
from tests.cluster.host.polling import condition, says, until
from tests.cluster.host.resources import IMAGE, create, create_project, has_condition
from tests.e2e.environment import POISONED_URL
from tests.e2e.tenant import Tenant
from tests.servers.poisoned_mlflow import POISONS, SLOW

from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.api_client import Object
from feature_lineage.kube.jobs.report import OPENED_BY
from feature_lineage.kube.kinds import MODELS, PROJECTS

FLOOD: Final = 100
"""Requests for a reconcile, and TrainedModels."""
DRIPS: Final = 16
"""Projects whose servers answer slowly: as many as the operator has workers."""
NAMED_SECONDS: Final = 240.0


class Attacks:
    """The attempts of one tenant.

    Attributes:
        named_in: by attempt, the condition of the author that names it, as ``Type Reason``.
    """

    def __init__(self, hostile: HostileTenant, team: Tenant) -> None:
        self.hostile = hostile
        self.team = team
        self.named_in: dict[str, str] = {}
        self._snapshots: dict[str, RegistrySnapshot] = {}
        self._left: dict[str, str] = {}

    async def named(
        self,
        name: str,
        type_: str,
        reason: str,
        *words: str,
        or_: str = "\0",
        kind: Any = PROJECTS,
    ) -> Object:
        """Wait until the author's own resource names the attempt, with these words or another."""
        facts = [has_condition(type_, reason, *words), has_condition(type_, reason, or_)]
        found = await until(
            self.hostile.admin,
            kind,
            self.hostile.namespace,
            name,
            lambda body: any(holds(body) for holds in facts),
            NAMED_SECONDS,
        )
        assert condition(found, type_)["status"] == "False"
        self.named_in[name] = f"{type_} {reason}"
        return found

    async def project(self, name: str, **spec: Any) -> None:
        whole = {"runtime": NOWHERE, "source": IMAGE, **spec}
        await create_project(self.hostile.api, self.hostile.namespace, name, **whole)

    # At once

    def at_once(self) -> Iterable[Awaitable[object]]:
        """The attempts that need no change of leader."""
        places = asyncio.Semaphore(4)
        yield from (self._forge_a_report(name, places) for name in HOSTILE_REPORTS)
        yield from (self._poison(name, words) for name, (_, words) in POISONS.items())
        yield from (self._poison(f"drip-{number}", SLOW[1]) for number in range(DRIPS))
        yield from self._specs()
        yield self._foreign_model()
        yield self._escapes()
        yield self._forge_an_owner()
        yield self._flood()

    async def _forge_a_report(self, name: str, places: asyncio.Semaphore) -> None:
        report, (reason, words) = HOSTILE_REPORTS[name]
        async with places:
            await self.hostile.forge(name, report)
            await self.named(name, "Applied", reason, words)

    async def _poison(self, name: str, words: str) -> None:
        mlflow = {"trackingUri": f"{POISONED_URL}/{name}", "pollInterval": "5s"}
        await self.project(name, mlflow=mlflow)
        # At the same time, the other readings of the namespace may leave no room.
        no_room = "is not read: it needs"
        await self.named(name, "FactsCurrent", "MLflowViewOld", words, or_=no_room)

    def _specs(self) -> Iterable[Awaitable[object]]:
        """Specs that reach for what belongs to others."""
        prod = {"serverRef": "prod"}
        metadata = {"trackingUri": "http://169.254.169.254"}
        guard = ("Applied", "GuardUnavailable")
        no_server = (*guard, "'prod' names no server")
        not_listed = (*guard, "allowedTrackingUris")
        nowhere = {"configMapRef": {"name": "nowhere"}}
        folder = {"local": {"path": "/var/run/secrets"}}
        project = self.team.project
        specs: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
            "a-server": ({"mlflow": prod}, no_server),
            "its-models": ({"mlflow": prod, "project": project}, no_server),
            "metadata": ({"mlflow": metadata}, not_listed),
            "itself": ({"mlflow": {"trackingUri": "http://127.0.0.1:8080"}}, not_listed),
            "elder": ({"project": project, "source": nowhere}, ("SourceReady", "RefNotFound")),
            "a-folder": ({"source": folder}, ("SourceReady", "LocalSourceUnsupported")),
        }
        for name, (spec, expected) in specs.items():
            yield self._spec(name, spec, *expected)

    async def _spec(self, name: str, spec: dict[str, Any], *expected: str) -> None:
        await self.project(name, **spec)
        found = await self.named(name, expected[0], expected[1], *expected[2:])
        assert condition(found, "Ready")["status"] == "False"

    async def _foreign_model(self) -> None:
        reference = {"name": self.team.name, "namespace": self.team.namespace}
        spec = {"projectRef": reference, "model": {"name": self.team.model, "alias": "champion"}}
        await create(self.hostile.api, MODELS, self.hostile.namespace, "foreign-model", spec)
        found = await self.named("foreign-model", "Resolved", "RefNotPermitted", kind=MODELS)
        assert "lineage" not in found["status"]

    async def _escapes(self) -> None:
        """A name that would change the terminal of whoever reads it."""
        name = "\x1b]0;owned\x07\nReady True"
        spec = {"projectRef": {"name": "elder"}, "model": {"name": name, "alias": "champion"}}
        try:
            await create(self.hostile.api, MODELS, self.hostile.namespace, "escapes", spec)
        except FeatureLineageError:
            return  # the schema refuses the name
        not_ready = says("Ready", "False")
        namespace = self.hostile.namespace
        found = await until(self.hostile.admin, MODELS, namespace, "escapes", not_ready, 120)
        messages = "".join(each["message"] for each in found["status"]["conditions"])
        assert messages.isprintable()

    async def _forge_an_owner(self) -> None:
        """A report says that the tenant has applied the team's project to the team's registry."""
        victim = await self.team.until(lambda body: body is not None)
        registry, name = victim["status"]["registry"]["id"], "owner-of-a-team"
        said = {"project": self.team.project, "registry_id": registry, "verified": True}
        report = forged(lambda job: report_text(job, **said).encode())
        await self.hostile.forge(name, report, project=self.team.project)
        await until(
            self.hostile.admin,
            PROJECTS,
            self.hostile.namespace,
            name,
            lambda body: (body or {}).get("status", {}).get("registry", {}).get("id") == registry,
            NAMED_SECONDS,
        )

    async def _flood(self) -> None:
        """Ask for reconciles, and create models, as fast as the API server takes them."""
        api, namespace = self.hostile.api, self.hostile.namespace
        await self.project("flood")
        for number in range(FLOOD):
            metadata = {"annotations": {"featurelineage.io/reconcile-requested-at": str(number)}}
            await api.patch(PROJECTS, namespace, "flood", {"metadata": metadata})
            spec = {"projectRef": {"name": "flood"}, "model": {"name": f"m{number}", "alias": "a"}}
            await create(api, MODELS, namespace, f"m{number}", spec)

    # For the next leader

    def prepared(self) -> Iterable[Awaitable[object]]:
        """Projects with stored snapshots, and reports of jobs that have not ended."""
        places = asyncio.Semaphore(4)
        yield from (self._apply(name, places) for name in (*HOSTILE_SNAPSHOTS, *HOSTILE_TIMELINES))
        yield self._leave("report-that-ended-two", marks="one,two")
        yield self._leave("report-left-behind")

    async def _apply(self, name: str, places: asyncio.Semaphore) -> None:
        async with places:
            self._snapshots[name] = await applied(self.hostile, name)

    async def _leave(self, name: str, marks: str = "") -> None:
        """A report of which nobody knows yet, with the marks of those that seem to have read it."""
        forge = forged(lambda job: report_text(job).encode())

        def marked(job: str) -> Object:
            return {**forge(job), "metadata": {"annotations": {OPENED_BY: marks}}}

        report = marked if marks else HOSTILE_REPORTS["objects"][0]
        self._left[name] = await self.hostile.leave(name, report)

    async def change_what_is_stored(self, foreign: RegistrySnapshot) -> None:
        """Change the stored snapshots and timelines by hand."""
        changes = (
            change(self.hostile, name, snapshot, foreign)
            for name, snapshot in self._snapshots.items()
        )
        await asyncio.gather(*changes)

    def under_the_next_leader(self) -> Iterable[Awaitable[object]]:
        """What the next leader reads, and how it names that."""
        for name, snapshot in self._snapshots.items():
            words = words_of(name, snapshot)
            yield self.named(name, "FactsCurrent", "RegistrySnapshotLost", *words)
        words_of_left = {
            "report-that-ended-two": "2 processes of the operator ended while they read the report",
            "report-left-behind": "MiB of memory",
        }
        for name, job in self._left.items():
            yield self._end(name, job, words_of_left[name])

    async def _end(self, name: str, job: str, words: str) -> None:
        await self.hostile.end(job)
        await self.named(name, "Applied", "ReportTooLarge", words)
