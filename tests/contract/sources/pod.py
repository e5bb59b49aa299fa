"""Fetches a repository as the pod of a job does: with its order and its mounts."""

from collections.abc import Mapping
from pathlib import Path

from tests.servers.git import run_git

from feature_lineage.api.enums import OperationKind
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.pod_protocol import GitCheckout, PodRequest
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.runner.pod import execute
from feature_lineage.runner.publish import ApiServerClient
from feature_lineage.sources.source_kinds import fetch


class GitSourcePod:
    """A pod with a Git source.

    Args:
        home: folder of the mounts and files of the pod.
        secret: the mounted Secret, or None if the project names none.
        authority: the mounted certificate authorities, or None if the project names none.
    """

    def __init__(
        self,
        home: Path,
        url: str,
        secret: Mapping[str, bytes] | None = None,
        authority: bytes | None = None,
    ) -> None:
        self._home = home
        self._url = url
        self._secret = home / "secret" if secret is not None else None
        self._authority = home / "ca.crt" if authority is not None else None
        self.repo = home / "job" / "repo"
        (home / "secret").mkdir(parents=True)
        for key, value in (secret or {}).items():
            (home / "secret" / key).write_bytes(value)
        (home / "ca.crt").write_bytes(authority or b"")

    def fetch(self, commit: str, path: str = ".") -> Path:
        """Return the folder of feature_store.yaml at that commit."""
        return fetch(self._order(commit, path), self.repo.parent)

    def report(self, commit: str, path: str) -> JobReport:
        """Run the whole operation, and return its report."""
        nowhere = ApiServerClient("https://127.0.0.1:1", self._home)
        return execute(self._order(commit, path), self.repo.parent, nowhere)

    def _order(self, commit: str, path: str) -> PodRequest:
        order = GitCheckout(
            url=self._url,
            path=path,
            credential=str(self._secret or ""),
            ca_file=str(self._authority or ""),
        )
        request = JobRequest(
            operation_id="apply-1-x-1",
            kind=OperationKind.APPLY,
            project="p",
            repo="",
            revision=commit,
        )
        return PodRequest(request=request, git=order, namespace="n", reports=("r",))

    @property
    def commits(self) -> list[str]:
        """Return every commit that was fetched."""
        return run_git(self.repo, "rev-list", "--all", "HEAD").split()
