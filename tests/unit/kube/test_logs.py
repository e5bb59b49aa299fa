"""Log lines, as JSON and as text."""

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kopf._cogs.configs.configuration import OperatorSettings
from kopf._cogs.structs.bodies import Body
from kopf._core.actions.loggers import ObjectLogger

from feature_lineage.decide.facts import Key
from feature_lineage.kube.logs import QUIET, setup
from feature_lineage.workqueue.reconcile_worker import reconciling

KEY = Key("TrainedModel", "fraud", "champion")
OTHER = Key("FeatureStoreProject", "fraud", "ranking")
OBJECT = {"kind": "TrainedModel", "namespace": "fraud", "name": "champion"}


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


class Lines:
    def __init__(self, level: str = "INFO", *, json: bool = True) -> None:
        self.stream = io.StringIO()
        setup(level, json=json, stream=self.stream)

    def texts(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.texts()]


def logged(level: int, message: str, *values: object) -> logging.LogRecord:
    record = logging.LogRecord("feature_lineage.x", level, __file__, 1, message, values, None)
    record.created = 1795662888.1239
    return record


def test_a_record_is_one_object_on_one_line() -> None:
    lines = Lines()
    with reconciling(KEY):
        logging.getLogger().handle(logged(logging.WARNING, "価格 of %s\nis\told", "v"))

    assert lines.objects() == [
        {
            "time": "2026-11-26T03:14:48.123Z",
            "level": "warning",
            "logger": "feature_lineage.x",
            "message": "価格 of v\\nis\\told",
            "object": OBJECT,
        }
    ]


def test_on_a_terminal_it_is_text() -> None:
    lines = Lines(json=False)
    with reconciling(KEY):
        logging.getLogger().handle(logged(logging.WARNING, "features are %s", "stale"))
    logging.getLogger().handle(logged(logging.INFO, "started"))

    assert lines.texts() == [
        "2026-11-26T03:14:48.123Z warning TrainedModel/fraud/champion: features are stale",
        "2026-11-26T03:14:48.123Z info    started",
    ]


def test_a_traceback_is_text_in_the_same_object() -> None:
    lines = Lines()
    try:
        int("bad")
    except ValueError:
        logging.getLogger("x").exception("a defect")

    (line,) = lines.objects()
    assert line["level"] == "error"
    assert line["error"].startswith("Traceback (most recent call last):\n")
    assert line["error"].endswith("ValueError: invalid literal for int() with base 10: 'bad'")


def test_log_record_names_the_innermost_resource() -> None:
    lines = Lines()
    log = logging.getLogger("x")
    with reconciling(OTHER):
        with reconciling(KEY):
            log.info("inner")
        log.info("outer")
    log.info("after")

    assert [line.get("object", {}).get("name") for line in lines.objects()] == [
        "champion",
        "ranking",
        None,
    ]


async def test_concurrent_reconciles_do_not_mix() -> None:
    lines = Lines()
    log = logging.getLogger("x")
    both_in = asyncio.Barrier(2)

    async def work(key: Key) -> None:
        with reconciling(key):
            await both_in.wait()
            await asyncio.create_task(asyncio.to_thread(log.info, key.name))

    await asyncio.gather(work(KEY), work(OTHER))

    found = {line["message"]: line["object"]["name"] for line in lines.objects()}
    assert found == {"champion": "champion", "ranking": "ranking"}


def test_records_of_kopf_have_their_resource() -> None:
    lines = Lines()
    body = Body(
        {
            "apiVersion": "featurelineage.io/v1alpha1",
            "kind": "TrainedModel",
            "metadata": {"namespace": "fraud", "name": "champion", "uid": "u"},
        }
    )
    ObjectLogger(body=body, settings=OperatorSettings()).warning("something")

    (line,) = lines.objects()
    assert line["object"] == OBJECT
    assert set(line) == {"time", "level", "logger", "message", "object"}


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_requests_and_their_headers_are_not_logged_at_any_level(level: str) -> None:
    lines = Lines(level)
    answer = httpx.Response(200, headers={"Set-Cookie": "secret-cookie"})
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client:
        client.get("http://user:secret@mlflow/x?token=secret")
    logging.getLogger("httpcore.http11").debug("headers: secret")

    assert "secret" not in lines.stream.getvalue()


def test_a_stricter_level_holds_for_all() -> None:
    lines = Lines("ERROR")
    for name in ("httpx", "kopf.objects", "feature_lineage"):
        logging.getLogger(name).warning("a warning")

    assert lines.texts() == []


def test_a_second_setup_does_not_double_records() -> None:
    Lines()
    lines = Lines()
    logging.getLogger("x").info("once")

    assert len(lines.texts()) == 1


def test_warnings_of_python_are_lines_too() -> None:
    lines = Lines()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", UserWarning, stacklevel=1)

    (line,) = lines.objects()
    assert line["logger"] == "py.warnings"
    assert "UserWarning: old" in line["message"]
