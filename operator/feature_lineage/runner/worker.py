"""The process that runs one operation: Feast first, then the witness, then everything else.

Feast is imported before the repo comes anywhere near the module path, and the witness is forked
before any of the repo's code has run. Whatever happens then ends here, at the one broad ``except``
of the runner, as a report; the process leaves with ``os._exit``, since a repo may have started
threads that never end.
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
    """Have the kernel kill this process when its parent goes: nobody would hear its report.

    A killed supervisor must not leave a worker behind that writes while its successor does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main() -> NoReturn:
    request_path, parent, events, requests, replies = sys.argv[1:]
    die_with(int(parent))
    progress = ProgressPipe(int(events))
    started = datetime.now(UTC)
    # What an import makes stays: to look for garbage among it takes a sixth of the time.
    gc.disable()
    with progress.phase("import_feast"):
        from feature_lineage.runner.lazy_typeguard import lazy_typeguard

        with lazy_typeguard():
            import feast  # noqa: F401

        from feature_lineage.operations.protocol import JobRequest
        from feature_lineage.runner import dispatch, registry_verifier

    # Out of the collector's way; what it does not touch, the witness shares with its parent.
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
    """Run the operation; every way out of it is a report."""
    from feature_lineage.runner import failure

    try:
        report = run(request, progress, started)
    except BaseException as error:  # noqa: BLE001  sys.exit in a repo is a way out as well
        report = failure.report(request, progress, started, error)
    value: dict[str, Any] = report.model_dump(mode="json")
    return value


if __name__ == "__main__":
    main()
