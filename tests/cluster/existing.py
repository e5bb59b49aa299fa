"""An existing cluster, which the user named explicitly."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tests.cluster.kubectl import Kubectl

VARIABLE: Final = "FEATURE_LINEAGE_TEST_KUBECONFIG"
"""Not KUBECONFIG: that variable often names a cluster that the user works on."""


class Cluster(Protocol):
    """The part of a cluster that a test on any cluster may use."""

    kubeconfig: Path
    kubectl: Kubectl

    def establish(self, crds: Path) -> None: ...

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path: ...


@dataclass
class ExistingCluster:
    """An existing cluster: the tests use its API, and start or stop no server."""

    kubeconfig: Path
    kubectl: Kubectl = field(init=False)

    def __post_init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="feature-lineage-kubectl-")
        self.kubectl = Kubectl(self.kubeconfig, Path(self._folder.name))

    def establish(self, crds: Path) -> None:
        """Apply a file or folder of CRDs and wait until they are served."""
        self.kubectl.establish(crds)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Create a kubeconfig with a token of an existing service account, valid for an hour."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}").strip()
        plain = self.kubectl("config", "view", "--raw", "--minify", "--flatten")
        path = Path(self._folder.name) / f"account-{namespace}-{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(plain, encoding="utf-8")
        own = Kubectl(path, Path(self._folder.name))
        own("config", "set-credentials", "account", f"--token={token}")
        own("config", "set-context", "--current", "--user=account", f"--namespace={namespace}")
        return path


def existing_cluster() -> ExistingCluster | None:
    """Return the cluster that is named explicitly, or None.

    Raises:
        RuntimeError: the named file does not exist.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    kubeconfig = Path(named).expanduser()
    if not kubeconfig.is_file():
        raise RuntimeError(
            f"{VARIABLE} is {named}, which is no file: name a kubeconfig or unset it"
        )
    return ExistingCluster(kubeconfig.resolve())
