"""Logs: one JSON object per line in a pod, text on a terminal, each with its resource.

Every record that any module writes during a reconcile has the resource. Records of kopf name a
resource themselves.
"""

import json as json_
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

from feature_lineage.decide.facts import Key
from feature_lineage.errors import FeatureLineageError
from feature_lineage.reconcile.listener import Listener
from feature_lineage.shorten import visible, visible_lines
from feature_lineage.workqueue.reconcile_worker import current_key

QUIET: Final = {
    "httpx": logging.WARNING,  # INFO is a line per request, with its URL
    "httpcore": logging.WARNING,  # DEBUG has headers
    "aiohttp.access": logging.WARNING,
    "kopf.objects": logging.WARNING,  # INFO is a line per event: all resources, at each start
    "asyncio": logging.WARNING,
}
"""Lowest levels of verbose loggers, whatever level is configured."""

_log = logging.getLogger(__name__)


class FailureLog(Listener):
    """Logs failed reconciles."""

    def failed(self, key: Key, error: Exception, retry_after: float) -> None:
        del key  # every record has it
        if isinstance(error, FeatureLineageError):
            what = f"{error.reason}: {error.message}"
        elif isinstance(error, TimeoutError):
            what = f"{error}"
        else:
            _log.error("the reconcile failed with a bug; please report it", exc_info=error)
            return
        _log.warning("%s; retried in %.0f s", what, retry_after)


def setup(level: str | int, *, json: bool, stream: TextIO | None = None) -> None:
    """Write every record of this process to one stream, and Python's warnings with them.

    Args:
        level: a name such as ``INFO``, or a number.
        json: one JSON object per line; text otherwise.
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
            "message": visible(record.getMessage()),
        }
        if thing := _object(record):
            line["object"] = thing
        if record.exc_info:
            line["error"] = visible_lines(self.formatException(record.exc_info))
        return json_.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``2026-11-26T03:14:48.123Z warning Kind/namespace/name: message``."""

    def format(self, record: logging.LogRecord) -> str:
        thing = _object(record)
        prefix = "/".join(thing.values()) + ": " if thing else ""
        text = f"{_time(record)} {record.levelname.lower():7} {prefix}{record.getMessage()}"
        if record.exc_info:
            trace = visible_lines(self.formatException(record.exc_info))
            return f"{visible(text)}\n{trace}"
        return visible(text)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(record: logging.LogRecord) -> dict[str, str]:
    reference = getattr(record, "k8s_ref", None)  # kopf's
    if isinstance(reference, dict):
        found = {part: reference.get(part) for part in ("kind", "namespace", "name")}
        return {part: str(value) for part, value in found.items() if value}
    key = current_key.get()
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name} if key else {}
