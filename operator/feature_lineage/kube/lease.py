"""Leader election over a Lease: at most one process is the leader, and another takes over.

The algorithm is client-go's. A candidate measures with its own clock for how long the record is
unchanged, and ignores the times in the record: clocks of nodes differ. Every write has the
``resourceVersion`` that it is based on, so only one of two candidates succeeds. The holder stops
well before others may take over: `RENEW` is shorter than `DURATION`, and starts before the request
that last renewed the Lease.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from feature_lineage.clock import utc_now
from feature_lineage.errors import FeatureLineageError, NotFound, TransientError
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.api_errors import Conflict
from feature_lineage.kube.kinds import LEASES
from feature_lineage.kube.microtime import micro_time
from feature_lineage.reasons import Reason

DURATION: Final = 10.0
"""Seconds without renewal after which others take over; written to the Lease."""
RENEW: Final = 6.0
"""Seconds after the last renewal at which the holder stops."""
RETRY: Final = 2.0
"""Seconds between two attempts, and the deadline of one request."""
JITTER: Final = 0.2
"""Waits are shorter by up to this share, never longer than `RETRY`."""

_log = logging.getLogger(__name__)


class LeaseLost(TransientError):
    """Another process may be the leader: this process must end, and start again as a follower.

    It is not in the tree of `errors`, because no reconcile raises it.
    """

    reason = Reason.LEASE_LOST


class LeaderElector:
    """One candidate for one Lease.

    Args:
        identity: unique among the processes that run at one time, such as the name of a pod: a
            container is started again only after it has ended.
        on_outage_end: called when a renewal succeeds after one that failed.
        monotonic: a monotonic clock, in seconds.
        now: the wall clock, for the times in the Lease, which no decision depends on.

    Attributes:
        problem: why the last attempt got no answer from the API server, "" if it got one.
    """

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        identity: str,
        *,
        on_outage_end: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._on_outage_end = on_outage_end
        self._monotonic = monotonic
        self._now = now
        self._lease: Object = {}
        self._changed_at = 0.0
        self._renewed_at = 0.0
        self._leading = False
        self.problem = ""

    @property
    def leading(self) -> bool:
        """Whether this process is the leader now; correct even while `hold` could not run."""
        return self._leading and self._until_lost() > 0

    @property
    def holder(self) -> str:
        """The holder of the Lease when it was last read; "" if there was none."""
        return str(_spec(self._lease).get("holderIdentity") or "")

    async def acquire(self) -> None:
        """Return when this candidate is the leader."""
        _log.info("waiting for %s", self)
        while True:
            started = self._monotonic()
            if await self._attempt(self._acquired, RENEW):
                self._leading = True
                _log.info("%s is held by this process, %s", self, self._identity)
                return
            expiry = self._until_expiry()
            await self._pause(started, expiry if expiry > 0 else RETRY)

    async def hold(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLost: the Lease was taken, or could not be renewed in time.
        """
        failed = False
        while True:
            started, left = self._monotonic(), self._until_lost()
            if left <= 0:
                why = self.problem or "this process got no CPU time"
                raise self._lost(f"was not renewed for {RENEW:.0f} s: {why}")
            if await self._attempt(self._renewed, left):
                if failed:
                    self._on_outage_end()
                failed = False
            else:
                failed = True
            await self._pause(started, self._until_lost())

    async def release(self) -> None:
        """Release the Lease, so that a follower need not wait; to be called after `hold`.

        If the API server does not answer, the Lease expires.
        """
        if self._leading:
            self._leading = False
            if await self._attempt(self._released, RENEW):
                _log.info("%s is released", self)

    def __str__(self) -> str:
        return f"lease {self._namespace}/{self._name}"

    def _lost(self, what: str) -> LeaseLost:
        self._leading = False
        return LeaseLost(f"{self} {what}")

    async def _attempt(self, action: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Whether `action` succeeds within this time."""
        try:
            async with asyncio.timeout(seconds):
                done = await action()
        except LeaseLost:
            raise
        except (FeatureLineageError, TimeoutError) as error:
            problem = str(error) or "the API server did not answer in time"
            if problem != self.problem:
                _log.warning("%s: %s", self, problem)
            self.problem = problem
            return False
        self.problem = ""
        return done

    async def _acquired(self) -> bool:
        if not await self._read():
            return await self._create()
        spec, holder = _spec(self._lease), self.holder
        if holder and holder != self._identity and self._until_expiry() > 0:
            return False
        taken = self._own_spec()
        if holder != self._identity:
            taken["acquireTime"] = taken["renewTime"]
            taken["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        try:
            await self._patch(taken)
        except Conflict:  # another candidate was faster
            await self._read()
            return False
        return True

    async def _renewed(self) -> bool:
        while True:
            if not self._lease:  # deleted by another client
                if await self._create():
                    return True
            elif self.holder != self._identity:
                raise self._lost(f"was taken by {self.holder or 'nobody: its holder was removed'}")
            else:
                try:
                    await self._patch(self._own_spec())
                except Conflict:  # edited, maybe by an attempt of this process that got no answer
                    await self._read()
                except NotFound:
                    self._keep({})
                else:
                    return True

    async def _released(self) -> bool:
        gone = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._stamp()}
        try:
            await self._patch(gone)
        except Conflict:
            if not await self._read() or self.holder != self._identity:
                return False
            await self._patch(gone)
        return True

    async def _read(self) -> bool:
        """Read the Lease; whether there is one."""
        async with asyncio.timeout(RETRY):
            found = await self._api.find(LEASES, self._namespace, self._name)
        self._keep(found or {})
        return bool(self._lease)

    async def _create(self) -> bool:
        spec = self._own_spec()
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**spec, "acquireTime": spec["renewTime"], "leaseTransitions": 0},
        }
        try:
            await self._write(self._api.create(LEASES, self._namespace, body))
        except Conflict:  # another candidate was faster
            await self._read()
            return False
        return True

    async def _patch(self, spec: Object) -> None:
        body = {
            "metadata": {"resourceVersion": self._lease["metadata"]["resourceVersion"]},
            "spec": spec,
        }
        await self._write(self._api.patch(LEASES, self._namespace, self._name, body))

    async def _write(self, request: Awaitable[Object]) -> None:
        sent = self._monotonic()
        async with asyncio.timeout(RETRY):
            written = await request
        self._keep(written)
        self._renewed_at = sent

    def _keep(self, lease: Object) -> None:
        if _spec(lease) != _spec(self._lease):
            self._changed_at = self._monotonic()
        before, self._lease = self.holder, lease
        if self.holder not in (before, self._identity):
            _log.info("%s is held by %s", self, self.holder or "nobody")

    def _own_spec(self) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(DURATION),
            "renewTime": self._stamp(),
        }

    def _stamp(self) -> str:
        return micro_time(self._now())

    def _until_expiry(self) -> float:
        """Seconds until the Lease of another holder may be taken.

        Never less than `DURATION`, which the holder relies on, whatever was edited.
        """
        promised = float(_spec(self._lease).get("leaseDurationSeconds") or 0)
        return self._changed_at + max(promised, DURATION) - self._monotonic()

    def _until_lost(self) -> float:
        return self._renewed_at + RENEW - self._monotonic()

    async def _pause(self, since: float, limit: float) -> None:
        """Wait for the next attempt, `limit` seconds at most."""
        wait = RETRY * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret
        wait -= self._monotonic() - since
        await asyncio.sleep(max(0.0, min(wait, limit)))


def _spec(lease: Object) -> Object:
    return lease.get("spec") or {}
