"""Finds errors in the operator's logs, and restarts that no test caused."""

import json

from tests.e2e.logs import ContainerLogs, ContainerRun


class LogCheck:
    """Checks each line and each restart once, also of pods that were deleted meanwhile.

    Attributes:
        killed: by pod, the run that a test killed; another pod replaces that pod.
    """

    def __init__(self, logs: ContainerLogs) -> None:
        self._logs = logs
        self.killed: dict[str, int] = {}
        self._known: set[ContainerRun] = set()
        self._ended: set[ContainerRun] = set()

    def kills(self, pod: str) -> None:
        """Register a pod; call this before the pod is killed."""
        self._logs.open_new_files()
        self.killed[pod] = max(run.number for run in self._logs.runs() if run.pod == pod)

    def new_errors(self, *expected: str) -> list[str]:
        """Return errors and restarts since the last call.

        Args:
            expected: prefixes of errors that a test causes; the process may end after such an
                error.
        """
        found = []
        for run, line in self._logs.news():
            if self._is_stale_restart(run) or line["level"] not in ("error", "critical"):
                continue
            if line["message"].startswith(expected):
                self._ended.add(run)
            else:
                found.append(f"{run.pod}: {json.dumps(line)}")
        for run in sorted(self._logs.runs() - self._known):
            self._known.add(run)
            if run.number == 0 or self._is_stale_restart(run):
                continue
            if ContainerRun(run.pod, run.number - 1) not in self._ended:
                found.append(f"{run.pod}: restart {run.number}")
        return found

    def _is_stale_restart(self, run: ContainerRun) -> bool:
        """Whether a kubelet started the run before it knew that the killed pod was deleted."""
        return run.number > self.killed.get(run.pod, run.number)
