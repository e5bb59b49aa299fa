"""A request or report is read as it was written, or rejected if it was damaged."""

import gzip
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import InvalidReport, TerminalError
from feature_lineage.operations import pod_protocol
from feature_lineage.operations.pod_protocol import (
    MAX_MANIFEST_BYTES,
    MAX_PIECE_BYTES,
    GitCheckout,
    PodRequest,
    join_report,
    pack_pod_request,
    pack_report,
    read_manifest,
    read_pod_request,
)
from feature_lineage.operations.protocol import JobRequest

JOB = "apply-1-x-1"


def pod_request(**fields: object) -> PodRequest:
    request = JobRequest(operation_id=JOB, kind=OperationKind.APPLY, project="p", repo="")
    values = {"request": request, "namespace": "n", "reports": ("a", "b", "c"), **fields}
    return PodRequest.model_validate(values)


def test_a_pod_request_is_read_as_it_was_written() -> None:
    request = pod_request(git=GitCheckout(url="https://git.example/r.git", credential="/c"))
    assert read_pod_request(pack_pod_request(request)) == request


def test_a_request_of_another_protocol_names_the_next_step() -> None:
    packed = gzip.compress(packed_text().replace(b'"protocol":1', b'"protocol":2'))
    with pytest.raises(InvalidReport, match="operator and runner of the same minor version"):
        read_pod_request(packed)


def packed_text() -> bytes:
    return gzip.decompress(pack_pod_request(pod_request()))


@given(st.binary(max_size=2000))
def test_pieces_join_to_the_report(text: bytes) -> None:
    manifest, pieces = pack_report(text, JOB)
    assert join_report(manifest, pieces) == text
    assert read_manifest(manifest.model_dump_json(), JOB) == manifest


def test_every_piece_fits_into_an_object() -> None:
    _, pieces = pack_report(os.urandom(1_800_000), JOB)
    assert [len(piece) <= MAX_PIECE_BYTES for piece in pieces] == [True, True, True]


@pytest.mark.parametrize("size", [3 * MAX_PIECE_BYTES + 1])
def test_a_report_that_is_too_large_is_not_packed(size: int) -> None:
    with pytest.raises(TerminalError, match="split the project") as caught:
        pack_report(os.urandom(size), JOB)
    assert caught.value.reason == "ReportTooLarge"


def test_decompression_stops_at_the_largest_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest, pieces = pack_report(b"0" * 100_000, JOB)
    monkeypatch.setattr(pod_protocol, "MAX_REPORT_BYTES", 50_000)
    with pytest.raises(InvalidReport, match="more than 50000 bytes when decompressed"):
        join_report(manifest, pieces)


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"not compressed", "not gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], "truncated"),
        (gzip.compress(b"{}", mtime=0) + b"more", "trailing bytes"),
    ],
)
def test_incomplete_gzip_is_refused(packed: bytes, message: str) -> None:
    manifest, _ = pack_report(b"{}", JOB)
    changed = manifest.model_copy(update={"sha256": hashlib.sha256(packed).hexdigest()})
    with pytest.raises(InvalidReport, match=message) as caught:
        join_report(changed, [packed])
    assert caught.value.reason == "JobFailed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not parse"),
        ('{"operation": "apply-2-x-1", "sha256": "", "size": 1, "pieces": 1}', "'apply-2-x-1''s"),
        ('{"operation": "apply-1-x-1", "sha256": "", "size": 1, "pieces": 4}', "claims 4 pieces"),
        ('{"operation": "apply-1-x-1", "sha256": "", "size": 1, "pieces": 0}', "claims 0 pieces"),
        (
            '{"operation": "apply-1-x-1", "sha256": "", "size": 1, "pieces": 1, "x": "%s"}'
            % ("x" * MAX_MANIFEST_BYTES),
            "does not parse",
        ),
    ],
)
def test_an_invalid_manifest_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidReport, match=message):
        read_manifest(text, JOB)
