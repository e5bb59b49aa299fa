"""The content of an Event, and Events that cannot be written."""

import asyncio
import copy
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.decide.facts import Event, Key
from feature_lineage.errors import AccessRefused, NotFound, RequestRejected
from feature_lineage.kube.api_errors import ApiUnavailable, Conflict, Forbidden
from feature_lineage.kube.kinds import EVENTS, Kind
from feature_lineage.kube.kube_events import KubeEvents, shortened

KEY = Key("FeatureStoreProject", "ml", "ranking")


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 26, 3, 14, 48, 123456, tzinfo=UTC)


class EventServer:
    """Records events; the next requests raise `errors`, one each."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.errors: list[BaseException | None] = []
        self.requests: list[str] = []

    def _asked(self, verb: str, kind: Kind) -> None:
        assert kind is EVENTS
        self.requests.append(verb)
        if self.errors and (error := self.errors.pop(0)):
            raise error

    async def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> None:
        self._asked("create", kind)
        if body["metadata"]["name"] in self.events:
            raise Conflict("is there")
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = "1"
        self.events[body["metadata"]["name"]] = stored

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        self._asked("get", kind)
        return self.events[name]

    async def patch(self, kind: Kind, namespace: str, name: str, body: dict[str, Any]) -> None:
        self._asked("patch", kind)
        assert body["metadata"] == {"resourceVersion": "1"}
        self.events[name]["series"] = body["series"]


def events_of(server: EventServer, identity: str = "operator-0", uid: str = "u-1") -> KubeEvents:
    return KubeEvents(server, FixedClock(), identity, lambda _: uid)  # type: ignore[arg-type]


def blocked(
    message: str = "view v loses feature f",
    *,
    key: Key = KEY,
    kind: Literal["Normal", "Warning"] = "Warning",
    reason: str = "Blocked",
) -> Event:
    return Event(key, kind, reason, message)


async def test_an_event_has_the_fields_of_its_group() -> None:
    server = EventServer()
    await events_of(server).emit(blocked())

    ((name, event),) = server.events.items()
    assert re.fullmatch(r"ranking\.[0-9a-f]{16}", name)
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "ml", "resourceVersion": "1"},
        "eventTime": "2026-11-26T03:14:48.123456Z",
        "type": "Warning",
        "reason": "Blocked",
        "action": "Reconcile",
        "note": "view v loses feature f",
        "reportingController": "featurelineage.io/operator",
        "reportingInstance": "operator-0",
        "regarding": {
            "apiVersion": "featurelineage.io/v1alpha1",
            "kind": "FeatureStoreProject",
            "namespace": "ml",
            "name": "ranking",
            "uid": "u-1",
        },
    }


async def test_repeated_event_is_a_series_across_processes() -> None:
    server = EventServer()
    await events_of(server).emit(blocked())
    await events_of(server, "operator-1").emit(blocked())
    await events_of(server, "operator-1").emit(blocked())

    (event,) = server.events.values()
    assert event["series"] == {"count": 3, "lastObservedTime": "2026-11-26T03:14:48.123456Z"}
    assert event["reportingInstance"] == "operator-0"


async def test_a_different_content_is_another_event() -> None:
    server = EventServer()
    events = events_of(server)
    await events.emit(blocked())
    await events.emit(blocked("view w loses feature f"))
    await events.emit(blocked(reason="Applied"))
    await events.emit(blocked(kind="Normal"))
    await events.emit(blocked(key=Key("TrainedModel", "ml", "ranking")))
    await events_of(server, uid="u-2").emit(blocked())

    assert len(server.events) == 6
    assert not any("series" in event for event in server.events.values())


async def test_fields_longer_than_the_limit_are_cut() -> None:
    server = EventServer()
    await events_of(server, "p" * 200).emit(blocked("n" * 2000, reason="R" * 200))

    (event,) = server.events.values()
    assert event["reportingInstance"] == "p" * 128
    assert event["reason"] == "R" * 128
    assert event["note"] == "n" * 1021 + "…"


async def test_a_resource_without_a_known_uid_has_none() -> None:
    server = EventServer()
    await events_of(server, uid="").emit(blocked())

    (event,) = server.events.values()
    assert "uid" not in event["regarding"]


async def test_an_event_that_expires_meanwhile_is_created_again() -> None:
    server = EventServer()
    server.errors = [Conflict("is there"), NotFound("expired")]
    events = events_of(server)
    await events.emit(blocked())

    assert server.requests == ["create", "get", "create"]
    assert len(server.events) == 1
    assert events.unwritten == 0


async def test_a_concurrent_count_is_counted_after() -> None:
    server = EventServer()
    events = events_of(server)
    await events.emit(blocked())
    server.errors = [None, None, Conflict("was changed")]
    await events.emit(blocked())

    (event,) = server.events.values()
    assert event["series"]["count"] == 2
    assert events.unwritten == 0


async def test_the_attempts_to_count_are_limited() -> None:
    server = EventServer()
    server.errors = [Conflict("is there"), NotFound("expired")] * 3
    events = events_of(server)
    await events.emit(blocked())

    assert len(server.requests) == 6
    assert events.unwritten == 0  # the project is deleted: nothing to report


@pytest.mark.parametrize(
    "error",
    [
        ApiUnavailable("no answer"),
        RequestRejected("invalid"),
        AccessRefused("the token is not accepted"),
        Forbidden("not allowed"),
    ],
)
async def test_unwritten_event_is_logged_and_counted(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    server = EventServer()
    server.errors = [error]
    events = events_of(server)
    await events.emit(blocked())

    assert events.unwritten == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (f"no event Blocked for FeatureStoreProject/ml/ranking: {error}")


async def test_a_missing_permission_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = EventServer()
    events = events_of(server)
    server.errors = [Forbidden("no"), Forbidden("no"), Forbidden("no"), None, Forbidden("no")]
    for number in range(5):
        await events.emit(blocked(str(number)))

    assert len(caplog.records) == 2
    assert events.unwritten == 4


@pytest.mark.parametrize(
    "error",
    [Forbidden("terminating", causes=("NamespaceTerminating",)), NotFound("no namespace")],
)
async def test_a_terminating_namespace_is_not_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    server = EventServer()
    server.errors = [error]
    events = events_of(server)
    await events.emit(blocked())

    assert events.unwritten == 0
    assert caplog.records == []


async def test_a_cancellation_is_not_caught() -> None:
    server = EventServer()
    server.errors = [asyncio.CancelledError()]

    with pytest.raises(asyncio.CancelledError):
        await events_of(server).emit(blocked())


@given(st.text(max_size=300).map(lambda text: text * 5))
def test_a_note_fits_and_stays_text(text: str) -> None:
    note = shortened(text)

    assert len(note.encode()) <= 1024
    if note != text.encode(errors="replace").decode():
        assert note.endswith("…")
        assert len(note.encode()) > 1024 - 4
        assert text.encode(errors="replace").decode().startswith(note[:-1])
