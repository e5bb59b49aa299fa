"""``python -P -m feature_lineage.runner.pod --request FILE``: one operation in a pod.

Reads its order, puts the repo in place, runs the supervisor, hands the report over and exits as
the report says. What it prints is progress, one JSON object a line. Only the worker imports Feast.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from feature_lineage.errors import FeatureLineageError, TerminalError
from feature_lineage.operations.pod_protocol import PodRequest, pack_report, read_pod_request
from feature_lineage.operations.protocol import JobReport, encode
from feature_lineage.reasons import Reason
from feature_lineage.runner.publish import (
    TERMINATION_LOG,
    ApiServer,
    Patience,
    last_words,
    publish,
)
from feature_lineage.runner.report import interrupted, not_begun, too_large
from feature_lineage.runner.supervisor import supervise
from feature_lineage.sources.source_kinds import fetch

HOME: Final = Path("/job")
CRASHED: Final = 1
LEAST_PATIENCE: Final = 240.0
"""Seconds for handing a report over; the Job's own deadline is five minutes after the runner's."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m feature_lineage.runner.pod")
    parser.add_argument("--request", type=Path, required=True, help="the order, JSON, gzip")
    options = parser.parse_args()
    return run(options.request, HOME, ApiServer.of_pod(), TERMINATION_LOG)


def run(request: Path, home: Path, server: ApiServer, termination_log: Path) -> int:
    """Carry out the order in `request`; returns the exit code."""
    began = time.monotonic()
    try:
        order = read_pod_request(request.read_bytes())
        report = carry_out(order, home)
        deadline = began + order.request.deadline_seconds
        return _hand_over(report, order, server, termination_log, deadline)
    except FeatureLineageError as error:
        _say(termination_log, str(error).encode())
        sys.stderr.write(f"{error}\n")
        return CRASHED


def carry_out(order: PodRequest, home: Path) -> JobReport:
    """The report of the operation, whatever becomes of it."""
    (home / "home").mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC)
    try:
        with _ended_by_sigterm():
            repo = fetch(order, home)
            replacement = _text(order.feature_store_yaml) if order.feature_store_yaml else None
    except _Stopped:
        return interrupted(order.request, started)
    except FeatureLineageError as error:
        return not_begun(order.request, error, started)
    request = order.request.model_copy(
        update={"repo": str(repo), "feature_store_yaml": replacement}
    )
    request_file, report_file = home / "request.json", home / "report.json"
    request_file.write_text(encode(request))
    request_file.chmod(0o600)
    supervise(request_file, report_file, sys.stdout)
    return JobReport.model_validate_json(report_file.read_bytes())


def _hand_over(
    report: JobReport, order: PodRequest, server: ApiServer, log: Path, deadline: float
) -> int:
    # From here on, being told to go changes nothing: the report is all that is left to do.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    job = order.request.operation_id
    try:
        manifest, pieces = pack_report(encode(report).encode(), job)
    except TerminalError as error:
        report = too_large(report, error)
        manifest, pieces = pack_report(encode(report).encode(), job)
    patience = Patience(max(deadline, time.monotonic() + LEAST_PATIENCE), _tell_of_waiting)
    publish(server, order.namespace, order.reports, manifest, pieces, patience)
    _say(log, last_words(report, manifest))
    return int(report.exit_code)


def _tell_of_waiting(why: str, seconds: float) -> None:
    line = {"event": "phase", "name": "hand_over", "waits": why, "seconds": round(seconds, 1)}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


class _Stopped(BaseException):
    """SIGTERM: the first process of a container has no default for it."""


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TerminalError(
            f"spec.featureStoreYaml cannot be read: {error}", reason=Reason.INVALID_REPO
        ) from error


def _say(log: Path, words: bytes) -> None:
    with contextlib.suppress(OSError):  # the exit code and the report say the same
        log.write_bytes(words)


if __name__ == "__main__":
    sys.exit(main())
