"""``python -P -m feature_lineage.runner.pod --request FILE``: one operation in a pod.

Reads the pod's request, provides the repo, runs the supervisor, writes the report and exits with
the report's exit code. Prints progress, one JSON object per line. Only the worker imports Feast.
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
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.pod_protocol import PodRequest, pack_report, read_pod_request
from feature_lineage.operations.protocol import encode
from feature_lineage.reasons import Reason
from feature_lineage.runner.pod_host import PodHost
from feature_lineage.runner.publish import (
    TERMINATION_LOG,
    ApiServerClient,
    Keeper,
    Retries,
    publish,
    termination_message,
)
from feature_lineage.runner.report import interrupted, not_started, too_large
from feature_lineage.runner.supervisor import supervise
from feature_lineage.sources.source_kinds import fetch

HOME: Final = Path("/job")
CRASHED: Final = 1
MIN_PUBLISH_SECONDS: Final = 240.0
"""Minimum time for writing the report; the Job's deadline is five minutes after the runner's."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m feature_lineage.runner.pod")
    parser.add_argument(
        "--request", type=Path, required=True, help="file with the pod's request (JSON, gzip)"
    )
    options = parser.parse_args()
    return run(options.request, HOME, ApiServerClient.of_pod(), TERMINATION_LOG)


def run(request: Path, home: Path, server: ApiServerClient, termination_log: Path) -> int:
    """Execute the request in a file and publish its report; returns the exit code."""
    began = time.monotonic()
    try:
        pod_request = read_pod_request(request.read_bytes())
        report = execute(pod_request, home, server)
        deadline = began + pod_request.request.deadline_seconds
        return _publish(report, pod_request, server, termination_log, deadline)
    except FeatureLineageError as error:
        _write_message(termination_log, str(error).encode())
        sys.stderr.write(f"{error}\n")
        return CRASHED


def execute(pod_request: PodRequest, home: Path, server: ApiServerClient) -> JobReport:
    """Run the operation; returns its report, also if it could not start.

    Args:
        server: gets the report so far of a materialization, and questions for a newer guard.
    """
    request = pod_request.request
    (home / "home").mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC)
    try:
        with _sigterm_raises():
            repo = fetch(pod_request, home)
            mounted = pod_request.feature_store_yaml
            replacement = _text(mounted) if mounted else None
    except _Terminated:
        return interrupted(request, started)
    except FeatureLineageError as error:
        return not_started(request, error, started)
    request = request.model_copy(update={"repo": str(repo), "feature_store_yaml": replacement})
    request_file, report_file = home / "request.json", home / "report.json"
    request_file.write_text(encode(request))
    request_file.chmod(0o600)
    where = (server, pod_request.namespace, pod_request.reports[0])
    keep, host = Keeper(*where).keep, PodHost(*where)
    supervise(request_file, report_file, sys.stdout, keep, lambda: host)
    return JobReport.model_validate_json(report_file.read_bytes())


def _publish(
    report: JobReport, pod_request: PodRequest, server: ApiServerClient, log: Path, deadline: float
) -> int:
    # Only the report is left to do, so SIGTERM must not end the process any more.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    job = pod_request.request.operation_id
    try:
        manifest, pieces = pack_report(encode(report).encode(), job)
    except TerminalError as error:
        report = too_large(report, error)
        manifest, pieces = pack_report(encode(report).encode(), job)
    retries = Retries(max(deadline, time.monotonic() + MIN_PUBLISH_SECONDS), _log_pause)
    publish(server, pod_request.namespace, pod_request.reports, manifest, pieces, retries)
    _write_message(log, termination_message(report, manifest))
    return int(report.exit_code)


def _log_pause(failure: str, seconds: float) -> None:
    line = {"event": "phase", "name": "hand_over", "waits": failure, "seconds": round(seconds, 1)}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


class _Terminated(BaseException):
    """SIGTERM was received. Without a handler, process 1 of a container ignores SIGTERM."""


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

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


def _write_message(log: Path, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the exit code and the report have the same information
        log.write_bytes(message)


if __name__ == "__main__":
    sys.exit(main())
