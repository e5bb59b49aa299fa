"""Logs: one JSON object a line in a pod, text on a terminal, and the resource they are about.

The host says once, around a pass, which resource it is about; every record of that pass carries
it, whatever module wrote it. kopf's own records bring theirs along.
"""

import json as json_
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TextIO

from feature_lineage.decide.facts import Key

QUIET: Final = {
    "httpx": logging.WARNING,  # INFO is a line a request, with its URL
    "httpcore": logging.WARNING,  # DEBUG has headers
    "aiohttp.access": logging.WARNING,
    "kopf.objects": logging.WARNING,  # INFO is a line an event: all resources, at each start
    "asyncio": logging.WARNING,
}
"""Least levels of loggers that say too much, whatever level is asked for."""

_key: ContextVar[Key | None] = ContextVar("about", default=None)


@contextmanager
def about(key: Key) -> Iterator[None]:
    """Records written inside, and in tasks started inside, are about this resource."""
    token = _key.set(key)
    try:
        yield
    finally:
        _key.reset(token)


def setup(level: str | int, *, json: bool, stream: TextIO | None = None) -> None:
    """Send every record of this process to one stream, and Python's warnings with them.

    Args:
        level: a name such as ``INFO``, or a number.
        json: one JSON object a line; else text.
        stream: stderr by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if json else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", "object": {kind, namespace, name}, "error"}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if thing := _object(record):
            line["object"] = thing
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json_.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``2026-11-26T03:14:48.123Z warning Kind/namespace/name: message``."""

    def format(self, record: logging.LogRecord) -> str:
        thing = _object(record)
        prefix = "/".join(thing.values()) + ": " if thing else ""
        text = f"{_time(record)} {record.levelname.lower():7} {prefix}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(record: logging.LogRecord) -> dict[str, str]:
    reference = getattr(record, "k8s_ref", None)  # kopf's
    if isinstance(reference, dict):
        found = {part: reference.get(part) for part in ("kind", "namespace", "name")}
        return {part: str(value) for part, value in found.items() if value}
    key = _key.get()
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name} if key else {}
