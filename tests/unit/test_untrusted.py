"""Text from outside is measured before it is parsed, and legitimate text passes."""

import contextlib
import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.untrusted import (
    MAX_DEPTH,
    MAX_PARSE_BYTES,
    Inflater,
    TooLarge,
    check_json,
    inflate,
    parse_bytes,
    parse_json,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def depth(value: Any) -> int:
    """Levels of a value, by its definition."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES, st.booleans())
def test_a_legitimate_value_is_parsed(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert parse_json(text) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(text: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_json(text)


@given(st.integers(1, 2 * MAX_DEPTH), st.sampled_from(["[", "{"]), st.text(alphabet='[]{}"\\a'))
def test_depth_is_counted_outside_of_strings_only(levels: int, opening: str, text: str) -> None:
    noise = json.dumps(text)
    before, after = (f"[{noise},", "]") if opening == "[" else (f'{{"a":{noise},"b":', "}")
    nested = (before * levels + noise + after * levels).encode()

    assert depth(json.loads(nested)) == levels
    if levels <= MAX_DEPTH:
        check_json(nested)
    else:
        with pytest.raises(TooLarge, match=f"nested deeper than {MAX_DEPTH}"):
            check_json(nested)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32-be", "utf-8-sig"])
def test_a_text_that_is_not_utf_8_is_not_parsed(coding: str) -> None:
    """In UTF-16 an escaped quote would hide from the check how deep the text is."""
    text = '["\\"", ' + "[" * 100_000

    with pytest.raises(ValueError, match=r"expected value|nested deeper"):
        parse_json(text.encode(coding))


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\xed\xa0\x80"', b'{"\\udfff":1}'])
def test_half_a_surrogate_pair_is_no_text(text: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_json(text)


HOSTILE = {
    "empty arrays": b"[" + b"[]," * 200_000 + b"[]]",
    "nested arrays": b"[" + (b"[" * 60 + b"]" * 60 + b",") * 3000 + b"[]]",
    "nested objects": b"[" + (b'{"":' * 60 + b"0" + b"}" * 60 + b",") * 3000 + b"{}]",
    "empty objects": b"[" + b"{}," * 200_000 + b"{}]",
    "objects of one key": b"[" + b'{"":0},' * 100_000 + b"{}]",
    "keys": b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "numbers": b"[" + b"12345678," * 200_000 + b"1]",
    "strings": b"[" + b",".join(b'"s%d"' % number for number in range(100_000)) + b"]",
    "one wide string": json.dumps(["x" * 1_000_000 + "😀"], ensure_ascii=False).encode(),
    "escapes": b'["' + b"\\u1234" * 200_000 + b'"]',
    "short escapes": b'["' + b"\\n[" * 200_000 + b'"]',
    "strings of a bracket": b"[" + b'"]",' * 200_000 + b'""]',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_estimate_is_never_less_than_the_parse_takes(name: str) -> None:
    text = HOSTILE[name]
    tracemalloc.start()
    try:
        parse_json(text, most=2**40)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak <= parse_bytes(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_above_the_limit_is_not_parsed(name: str) -> None:
    with pytest.raises(TooLarge, match="bytes of JSON would take"):
        parse_json(HOSTILE[name], most=parse_bytes(HOSTILE[name]) - 1)


def test_the_attack_of_61_kb_is_refused() -> None:
    text = inflate(gzip.compress(b"[" + b"[]," * 20_000_000 + b"[]]"), 64 * 1024 * 1024)

    with pytest.raises(TooLarge, match="MiB of memory; at most 64"):
        parse_json(text)
    assert parse_bytes(text) > 20 * MAX_PARSE_BYTES


@given(st.binary(max_size=1000), st.integers(0, 1000))
def test_gzip_is_decompressed_up_to_the_limit(text: bytes, most: int) -> None:
    if len(text) <= most:
        assert inflate(gzip.compress(text), most) == text
    else:
        with pytest.raises(TooLarge, match=f"more than {most} bytes"):
            inflate(gzip.compress(text), most)


def test_decompression_stops_at_the_limit() -> None:
    packed = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="more than 100 bytes"):
            inflate(packed, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


@pytest.mark.parametrize(
    "packed", [b"", b"no gzip", gzip.compress(b"x")[:-1]], ids=["empty", "other", "truncated"]
)
def test_damaged_gzip_is_an_error(packed: bytes) -> None:
    with pytest.raises(ValueError, match="it is"):
        inflate(packed, 100)


@given(st.binary(max_size=1000), st.integers(1, 50))
def test_gzip_that_arrives_in_pieces_is_decompressed(text: bytes, length: int) -> None:
    inflater, packed = Inflater(), gzip.compress(text)
    pieces = [packed[at : at + length] for at in range(0, len(packed), length)]

    assert b"".join(part for piece in pieces for part in inflater.feed(piece)) == text
    inflater.finish()


def test_pieces_after_the_end_of_gzip_are_an_error() -> None:
    inflater = Inflater()
    list(inflater.feed(gzip.compress(b"x")))

    with pytest.raises(ValueError, match="trailing bytes"):
        list(inflater.feed(b"y"))


def test_gzip_without_its_last_piece_is_an_error() -> None:
    inflater = Inflater()
    list(inflater.feed(gzip.compress(b"x")[:-1]))

    with pytest.raises(ValueError, match="truncated"):
        inflater.finish()


def test_bytes_after_the_end_of_gzip_are_an_error() -> None:
    with pytest.raises(ValueError, match="trailing bytes"):
        inflate(gzip.compress(b"x") + b"y", 100)
