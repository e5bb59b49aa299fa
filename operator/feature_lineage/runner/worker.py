"""The process that runs one operation: import Feast, fork the registry verifier, run.

Feast is imported before the repo is on the module path, and the verifier is forked before any of
the repo's code has run. Every exception becomes a report here. The process ends with ``os._exit``,
because the repo's code may have started threads that never end.
"""

import ctypes
import gc
import os
import signal
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from feature_lineage.runner.progress import ProgressPipe

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Otherwise the worker of a killed supervisor could write at the same time as the next job.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> NoReturn:
    request_path, parent, events, requests, replies, answers = sys.argv[1:]
    die_with(int(parent))
    progress = ProgressPipe(int(events), int(answers))
    started = datetime.now(UTC)
    # Imported objects are kept; collecting garbage among them takes a sixth of the time.
    gc.disable()
    with progress.phase("import_feast"):
        from feature_lineage.runner.lazy_typeguard import lazy_typeguard

        with lazy_typeguard():
            import feast  # noqa: F401

        from feature_lineage.operations.protocol import JobRequest
        from feature_lineage.runner import dispatch, registry_verifier

    # Frozen objects are not written by the collector, so the verifier shares their memory.
    gc.freeze()
    gc.enable()

    # Feast's experimental features would push the repo's own output out of the tail.
    warnings.filterwarnings("ignore", module=r"feast\.|feature_lineage\.runner\.lazy_typeguard")
    request = JobRequest.model_validate_json(Path(request_path).read_bytes())
    if registry_verifier.needed(request):
        registry_verifier.fork(request, int(requests), int(replies), also_close=int(events))
    for descriptor in (int(requests), int(replies)):
        os.close(descriptor)
    report = _guarded(request, progress, started, dispatch.run)
    progress.emit("report", report=report)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _guarded(request: Any, progress: ProgressPipe, started: datetime, run: Any) -> dict[str, Any]:
    """Run the operation; every exception becomes a report."""
    from feature_lineage.runner import failure

    try:
        report = run(request, progress, started)
    except BaseException as error:  # noqa: BLE001  includes sys.exit in repo code
        report = failure.report(request, progress, started, error)
    value: dict[str, Any] = report.model_dump(mode="json")
    return value


if __name__ == "__main__":
    main()
