"""Runs kubectl, as a user does."""

import json
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.cluster.binaries import binary

_SECONDS = 60.0


def manifest_list(items: Iterable[dict[str, Any]]) -> str:
    """Return objects as one document for kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is its output.

    Attributes:
        stderr: its whole error output.
    """

    def __init__(self, arguments: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: {stderr.strip()}")
        self.stderr = stderr


class Kubectl:
    """kubectl with one kubeconfig.

    Args:
        kubeconfig: file that names the cluster and the user.
        cache: folder for its cache of the API, because another cluster may use the same port later.
    """

    def __init__(self, kubeconfig: Path, cache: Path) -> None:
        self._options = (f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line, for callers that start it themselves."""
        return [str(binary("kubectl")), *self._options, *arguments]

    def __call__(self, *arguments: str, stdin: str = "", seconds: float = _SECONDS) -> str:
        """Run kubectl and return its output.

        Raises:
            KubectlFailed: with its stderr.
        """
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise KubectlFailed(arguments, done.stderr)
        return done.stdout

    def establish(self, crds: Path) -> None:
        """Apply a file or folder of CRDs and wait until they are served."""
        apply = ("apply", "--server-side", "--force-conflicts", "-o", "name")
        names = self(*apply, "-f", str(crds)).split()
        # A new definition has no conditions yet, which `wait` reports as an error.
        for state in ("jsonpath={.status.acceptedNames.kind}", "condition=Established"):
            self("wait", f"--for={state}", "-f", str(crds), "--timeout=30s")
        self.wait_until_listed(names)

    def wait_until_listed(self, crds: Iterable[str]) -> None:
        """Wait until the API server names the kinds of CRDs in its discovery and lists objects.

        Both come a moment after the condition Established. kube-apiserver 1.36 may keep a CRD
        that is deleted before the first list for five minutes: its finalizer stops at "storage is
        (re)initializing" and continues at the next resync.

        Args:
            crds: their names, as ``kubectl get crds -o name`` prints them.

        Raises:
            KubectlFailed: a kind is not listed within 30 s.
        """
        deadline = time.monotonic() + 30
        for crd in crds:
            listing = ("get", crd.rpartition("/")[2], "--all-namespaces", "--chunk-size=1")
            while True:
                try:
                    self(*listing)
                    break
                except KubectlFailed:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
