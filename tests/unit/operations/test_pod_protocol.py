"""What is handed to a pod and comes back from it survives the trip, or is noticed not to have."""

import gzip
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import InvalidReport, TerminalError
from feature_lineage.operations import pod_protocol as delivery
from feature_lineage.operations.pod_protocol import (
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


def order(**fields: object) -> PodRequest:
    request = JobRequest(operation_id=JOB, kind=OperationKind.APPLY, project="p", repo="")
    values = {"request": request, "namespace": "n", "reports": ("a", "b", "c"), **fields}
    return PodRequest.model_validate(values)


def test_an_order_is_read_as_it_was_written() -> None:
    given_ = order(git=GitCheckout(url="https://git.example/r.git", credential="/c"))
    assert read_pod_request(pack_pod_request(given_)) == given_


def test_an_order_of_another_protocol_says_what_to_do() -> None:
    packed = gzip.compress(pack_pod_request_text().replace(b'"protocol":1', b'"protocol":2'))
    with pytest.raises(InvalidReport, match="operator and runner of the same minor version"):
        read_pod_request(packed)


def pack_pod_request_text() -> bytes:
    return gzip.decompress(pack_pod_request(order()))


@given(st.binary(max_size=2000))
def test_a_report_is_what_its_pieces_make(text: bytes) -> None:
    manifest, pieces = pack_report(text, JOB)
    assert join_report(manifest, pieces) == text
    assert read_manifest(manifest.model_dump_json(), JOB) == manifest


def test_no_piece_is_larger_than_an_object_may_be() -> None:
    _, pieces = pack_report(os.urandom(1_800_000), JOB)
    assert [len(piece) <= MAX_PIECE_BYTES for piece in pieces] == [True, True, True]


@pytest.mark.parametrize("size", [3 * MAX_PIECE_BYTES + 1])
def test_a_report_that_is_too_large_is_refused_by_its_writer(size: int) -> None:
    with pytest.raises(TerminalError, match="split the project") as caught:
        pack_report(os.urandom(size), JOB)
    assert caught.value.reason == "ReportTooLarge"


def test_what_would_unpack_to_more_than_a_report_may_have_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest, pieces = pack_report(b"0" * 100_000, JOB)
    monkeypatch.setattr(delivery, "MAX_REPORT_BYTES", 50_000)
    with pytest.raises(InvalidReport, match="more than 50000 bytes once decompressed"):
        join_report(manifest, pieces)


@pytest.mark.parametrize(
    ("packed", "complaint"),
    [
        (b"nothing of the kind", "not gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], "cut short"),
        (gzip.compress(b"{}", mtime=0) + b"more", "something follows"),
    ],
)
def test_what_is_no_whole_gzip_is_refused(packed: bytes, complaint: str) -> None:
    manifest, _ = pack_report(b"{}", JOB)
    told = manifest.model_copy(update={"sha256": hashlib.sha256(packed).hexdigest()})
    with pytest.raises(InvalidReport, match=complaint) as caught:
        join_report(told, [packed])
    assert caught.value.reason == "JobFailed"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not parse"),
        ('{"operation": "apply-2-x-1", "sha256": "", "size": 1, "pieces": 1}', "'apply-2-x-1''s"),
        ('{"operation": "apply-1-x-1", "sha256": "", "size": 1, "pieces": 4}', "claims 4 pieces"),
        ('{"operation": "apply-1-x-1", "sha256": "", "size": 1, "pieces": 0}', "claims 0 pieces"),
    ],
)
def test_a_manifest_that_means_nothing_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidReport, match=complaint):
        read_manifest(text, JOB)
