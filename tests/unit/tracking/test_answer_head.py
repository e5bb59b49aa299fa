"""The head of an answer has the fields after a long text, however the answer arrives."""

import json

import pytest

from feature_lineage.tracking.answer_head import HEAD_BYTES, MAX_TEXT, head_of

FORGED = '", "start_time": 5, "data": {"x": "\\'
"""A text that looks like the end of a string, if its escapes are not read."""


def pieces(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 10**9])
@pytest.mark.parametrize(
    "name", ["n" * 40_000, "ä" * 9_000, FORGED * 3_000, "\\" * 30_000, "short"]
)
def test_a_long_text_is_cut_and_what_follows_is_kept(name: str, size: int) -> None:
    text = json.dumps({"run_id": "r1", "name": name, "start_time": 17, "end": "x"}).encode()

    head = head_of(pieces(text, size))

    before, after = b'{"run_id": "r1", "name": "', b'", "start_time": 17, "end": "x"}'
    assert head.startswith(before)
    assert head.endswith(after)
    assert text[len(before) :].startswith(head[len(before) : -len(after)])
    assert len(head) <= len(before) + MAX_TEXT + len(after)
    assert b'"start_time": 5' not in head


@pytest.mark.parametrize("size", [1, 1000, 10**9])
def test_many_short_texts_are_cut_at_the_limit(size: int) -> None:
    text = json.dumps(["abc"] * 10_000).encode()

    assert head_of(pieces(text, size)) == text[:HEAD_BYTES]
