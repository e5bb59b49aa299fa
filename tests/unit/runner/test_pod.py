"""A pod fetches its repo, and publishes its report to a server with faults."""

import base64
import gzip
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import (
    AccessRefused,
    InvalidReport,
    NotFound,
    TerminalError,
    TransientError,
)
from feature_lineage.operations import pod_protocol
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.kinds import kind_of_command
from feature_lineage.operations.pod_protocol import (
    UNFINISHED_KEY,
    PodRequest,
    pack_report,
    read_unfinished,
)
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.runner import publish as publishing
from feature_lineage.runner.ephemeral import mount_of, mount_points
from feature_lineage.runner.pod import execute
from feature_lineage.runner.publish import (
    TERMINATION_BYTES,
    ApiServerClient,
    Keeper,
    Retries,
    publish,
    termination_message,
)
from feature_lineage.sources.interface import SourceChanged
from feature_lineage.sources.source_kinds import fetch
from feature_lineage.sources.tree import files_revision

FILES = {"feature_store.yaml": b"project: p\n", "defs__features.py": b"x = 1\n"}
REVISION = files_revision({"feature_store.yaml": b"project: p\n", "defs/features.py": b"x = 1\n"})


NO_SERVER = ApiServerClient("http://127.0.0.1:1")


def order(revision: str = REVISION, kind: str = "apply", **fields: Any) -> PodRequest:
    request = JobRequest(
        operation_id=f"{kind}-1-x-1",
        kind=kind_of_command(kind),
        project="p",
        repo="",
        revision=revision,
    )
    return PodRequest(request=request, namespace="n", reports=("r-0", "r-1", "r-2"), **fields)


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A ConfigMap as the kubelet mounts it: links into a folder that is replaced as a whole."""
    folder = tmp_path / "mounted"
    (folder / "..2026_11_20").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_11_20")
    for name, content in FILES.items():
        (folder / "..2026_11_20" / name).write_bytes(content)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def test_a_config_map_becomes_a_folder(mounted: Path, tmp_path: Path) -> None:
    repo = fetch(order(files=str(mounted)), tmp_path)
    found = {str(path.relative_to(repo)) for path in repo.rglob("*") if path.is_file()}
    assert found == {"feature_store.yaml", "defs/features.py"}


def test_a_config_map_of_another_revision_is_not_applied(mounted: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceChanged, match="its newest state is used next"):
        fetch(order("sha256:0", files=str(mounted)), tmp_path)


def test_a_materialization_accepts_a_changed_config_map(mounted: Path, tmp_path: Path) -> None:
    assert fetch(order("sha256:0", "materialize", files=str(mounted)), tmp_path).is_dir()


@pytest.mark.parametrize("key", ["..__..__escaped.py", "defs"])
def test_a_key_that_is_no_path_in_the_repo_is_refused(
    mounted: Path, tmp_path: Path, key: str
) -> None:
    (mounted / key.replace("..__..__", "x__..__..__..__")).write_text("x")
    with pytest.raises(TerminalError, match="ConfigMap key") as caught:
        fetch(order(kind="materialize", files=str(mounted)), tmp_path)
    assert caught.value.reason == "InvalidRepo"


def test_a_folder_of_the_image_is_used_in_place(tmp_path: Path) -> None:
    (tmp_path / "baked").mkdir()
    assert fetch(order(folder=str(tmp_path / "baked")), tmp_path / "job") == tmp_path / "baked"
    with pytest.raises(NotFound, match="the image has no folder /nowhere"):
        fetch(order(folder="/nowhere"), tmp_path)


def test_a_missing_repo_is_reported(tmp_path: Path) -> None:
    report = execute(order(folder="/nowhere"), tmp_path, NO_SERVER)
    assert (report.outcome, report.reason) == (Outcome.FAILED, "RefNotFound")
    assert report.operation_id == "apply-1-x-1"


def test_a_path_that_does_not_exist_has_a_mount_point() -> None:
    table = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:1 /x /job rw - ext4 a rw\n3 2 0:5 / /a\\040b rw - x"
    mounts = mount_points(table)
    assert mounts == {"/", "/job", "/a b"}
    assert mount_of("/job/repo/data/registry.db", mounts) == "/job"
    assert mount_of("/jobs/registry.db", mounts) == "/"
    assert mount_of("/a b/registry.db", mounts) == "/a b"


class UnreliableServer(BaseHTTPRequestHandler):
    """Answers with the given statuses, then with 200."""

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        statuses: list[int] = self.server.statuses  # type: ignore[attr-defined]
        status = statuses.pop(0) if statuses else 200
        answer = json.dumps({"message": f"status {status}"}).encode()
        if status == 200:
            taken = (self.path.rpartition("/")[2], json.loads(body), dict(self.headers))
            self.server.taken.append(taken)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        return


@pytest.fixture
def unreliable_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setattr(publishing, "PAUSES", ())
    monkeypatch.setattr(publishing, "LONGEST_PAUSE", 0.01)
    server = ThreadingHTTPServer(("127.0.0.1", 0), UnreliableServer)
    server.statuses, server.taken = [], []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(
    unreliable_server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ApiServerClient:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    monkeypatch.setenv("http_proxy", "http://proxy.example:1")
    (tmp_path / "token").write_text("t0k3n\n")
    monkeypatch.setattr(publishing.ssl, "create_default_context", lambda **_: None)
    return ApiServerClient(f"http://127.0.0.1:{unreliable_server.server_port}", tmp_path)


def test_the_piece_with_the_manifest_is_written_last(
    api: ApiServerClient, unreliable_server: Any
) -> None:
    import os

    manifest, pieces = pack_report(os.urandom(1_500_000), "apply-1-x-1")
    publish(api, "n", ("r-0", "r-1", "r-2"), manifest, pieces, for_seconds(10))
    assert [name for name, _, _ in unreliable_server.taken] == ["r-2", "r-1", "r-0"]
    assert ["data" in body for _, body, _ in unreliable_server.taken] == [False, False, True]
    assert {headers["Authorization"] for _, _, headers in unreliable_server.taken} == {
        "Bearer t0k3n"
    }


def for_seconds(seconds: float, reasons: list[str] | None = None) -> Retries:
    def tell(why: str, _seconds: float) -> None:
        if reasons is not None:
            reasons.append(why)

    return Retries(time.monotonic() + seconds, tell)


def hand_over(api: ApiServerClient, retries: Retries) -> None:
    publish(api, "n", ("r-0",), *pack_report(b"{}", "apply-1-x-1"), retries)


def test_every_pause_is_logged_with_its_cause(api: ApiServerClient, unreliable_server: Any) -> None:
    reasons: list[str] = []
    unreliable_server.statuses[:] = [503, 429, 500, 401, 403] * 3
    hand_over(api, for_seconds(60, reasons))

    assert [name for name, _, _ in unreliable_server.taken] == ["r-0"]
    assert len(reasons) == 15
    assert reasons[0] == "ConfigMap n/r-0 could not be written: HTTP 503: status 503"


def test_retries_end_at_the_deadline(api: ApiServerClient, unreliable_server: Any) -> None:
    unreliable_server.statuses[:] = [503] * 10_000
    with pytest.raises(
        TransientError, match="ConfigMap n/r-0 could not be written: HTTP 503: status 503"
    ):
        hand_over(api, for_seconds(0.2))
    assert 10_000 > len(unreliable_server.statuses) > 9_900


def test_a_refused_connection_is_retried(api: ApiServerClient, unreliable_server: Any) -> None:
    unreliable_server.shutdown()
    unreliable_server.server_close()
    with pytest.raises(TransientError, match="Connection refused"):
        hand_over(api, for_seconds(0.1))


def test_a_refusal_is_retried_for_a_shorter_time(
    api: ApiServerClient, unreliable_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "REFUSED_SECONDS", 0.1)
    unreliable_server.statuses[:] = [403] * 10_000
    with pytest.raises(AccessRefused, match="HTTP 403: status 403"):
        hand_over(api, for_seconds(60))
    assert 9_999 > len(unreliable_server.statuses) > 9_900


def test_a_missing_config_map_is_not_retried(api: ApiServerClient, unreliable_server: Any) -> None:
    unreliable_server.statuses[:] = [404, 404]
    with pytest.raises(AccessRefused, match="HTTP 404: status 404"):
        hand_over(api, for_seconds(60))
    assert unreliable_server.statuses == [404]


def test_pauses_grow_to_15_s_and_end_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter((0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5, 50.0))
    monkeypatch.setattr(publishing.time, "monotonic", lambda: next(clock))

    assert list(Retries(50.0).pauses()) == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 4.5]


def test_a_termination_message_has_4_kib_at_most(tmp_path: Path) -> None:
    report = execute(order(folder="/nowhere"), tmp_path, NO_SERVER)
    report = report.model_copy(update={"message": 'ä"\\' * 5000})
    manifest, _ = pack_report(gzip.compress(b""), "x")
    words = termination_message(report, manifest)
    assert len(words) <= TERMINATION_BYTES
    assert json.loads(words)["reason"] == "RefNotFound"


def test_an_ipv6_address_has_brackets_in_the_url() -> None:
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert ApiServerClient.of_pod(environment)._url == "https://[fd00::1]:6443"


def test_a_report_too_large_becomes_a_short_one() -> None:
    from datetime import UTC, datetime

    from feature_lineage.operations.job_report import ExitCode
    from feature_lineage.runner.report import too_large

    now = datetime.now(UTC)
    report = JobReport(
        operation_id="apply-1-x-1",
        kind=OperationKind.APPLY,
        project="p",
        outcome=Outcome.SUCCEEDED,
        started_at=now,
        finished_at=now,
        registry_id="r",
    )
    short = too_large(report, TerminalError("9 bytes", reason="ReportTooLarge"))
    assert (short.outcome, short.reason, short.registry_id) == (
        Outcome.FAILED,
        "ReportTooLarge",
        "r",
    )
    assert short.exit_code is ExitCode.TERMINAL
    assert "apply ended (Succeeded), but 9 bytes" in short.message


def _unfinished(views: int = 1) -> JobReport:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    return JobReport(
        operation_id="materialize-1-x-1",
        kind=OperationKind.MATERIALIZE,
        project="p",
        outcome=Outcome.FAILED,
        started_at=now,
        finished_at=now,
        views=tuple(ViewReport(name=f"v{n}", kind="feature_view") for n in range(views)),
    )


def test_what_is_kept_goes_when_the_report_comes(
    api: ApiServerClient, unreliable_server: Any
) -> None:
    Keeper(api, "n", "r-0").keep(_unfinished())
    hand_over(api, for_seconds(10))

    (_, kept, _), (_, whole, _) = unreliable_server.taken
    packed = base64.b64decode(kept["binaryData"][UNFINISHED_KEY])
    assert read_unfinished(packed, "materialize-1-x-1") == _unfinished()
    assert whole["binaryData"][UNFINISHED_KEY] is None
    with pytest.raises(InvalidReport, match="not materialize-1-x-2's"):
        read_unfinished(packed, "materialize-1-x-2")


def test_a_view_does_not_wait_for_a_server_that_is_gone(
    api: ApiServerClient, unreliable_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    unreliable_server.statuses[:] = [503] * 10
    keeper = Keeper(api, "n", "r-0")

    for _ in range(5):
        keeper.keep(_unfinished())

    assert len(unreliable_server.statuses) == 9, "one attempt, then a pause"
    assert capsys.readouterr().err.count("HTTP 503") == 1


def test_what_does_not_fit_is_not_kept(
    api: ApiServerClient, unreliable_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_protocol, "MAX_PIECE_BYTES", 500)

    Keeper(api, "n", "r-0").keep(_unfinished(views=1000))

    assert unreliable_server.taken == []
