"""Strategies for hostile input: valid documents with a few edits, and shapes that cost much.

A document is edited as a value (a field is replaced, dropped, nested, repeated) and then as bytes,
so that an input passes the first checks of a reader as often as it fails at them.
"""

import gzip
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of an input: enough for objects above each limit of memory."""

Json = Any

TOKENS: Final = (
    *(
        b"",
        b"[",
        b"{",
        b"]",
        b"}",
        b",",
        b":",
        b'"',
        b"'",
        b"\\",
        b"\\u1234",
        b"\\ud800",
        b"\\u0000",
    ),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-0",
        b"0" * 50,
        b"9" * 4301,
        b"null",
        b'"":0',
        b"[]",
        b"{}",
    ),
    *(b"[" * 70, b"[" * 3000, b'{"a":' * 70, b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
    *(
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"\x1b[2J",
        "\u202e😀".encode(),
        b"&a ",
        b"*a",
        b"<<: *a\n",
        b"!!",
    ),
    *(
        b"%",
        b"@",
        b"/",
        b"..",
        b"__",
        b"*",
        b"-",
        b"~",
        b"^",
        b"\x7f",
        b"0001-01-01T00:00:00+23:59",
    ),
    *(b"9999-12-31T23:59:59-23:59", b"2026-11-20T12:00:00", b"\xc2\x85", b"\xe2\x80\xa8"),
)
_REPEATS: Final = (*(2, 2, 2, 2, 3, 3, 64, 64, 64, 64, 1000, 1000, 1000), 100_000, LARGEST)

ODD: Final = (
    *(None, True, False, 0, -1, 1, 2**63, -(2**63) - 1, 10**400, 0.5, 1e308, float("nan")),
    *(float("inf"), "", " ", "\x00", "\ud800", "x" * 1001, "é😀", "\x1b[2J\n", "nan", "1", "-1"),
    *([], {}, [[]], [None], {"": {}}, "2026-11-20T12:00:00", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59-23:59", "2026-11-20T12:00:00Z", 253402300800, -62135596801),
)


@st.composite
def edited_value(draw: st.DrawFn, value: Json, names: Sequence[str] = ("",)) -> Json:
    """A JSON value with one change at a random place of it."""
    inside = isinstance(value, dict | list) and value
    if inside and draw(st.integers(0, 4)):
        copy: Any = dict(value) if isinstance(value, dict) else list(value)
        key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        match draw(st.integers(0, 7)):
            case 0:
                del copy[key]
            case 1 if isinstance(copy, dict):
                copy[draw(st.sampled_from((*names, *value)) | st.text(max_size=4))] = copy[key]
            case 1:
                copy += repeated(copy[key], draw(st.sampled_from((1, 100, 10_000))))
            case _:
                copy[key] = draw(edited_value(copy[key], names))
        return copy
    match draw(st.integers(0, 5)):
        case 0:
            return [value]
        case 1:
            return {draw(st.sampled_from(("", "a", *names))): value}
        case 2 if isinstance(value, str):
            return draw(mangled(st.just(value.encode(errors="replace")))).decode(errors="replace")
        case 3:
            return draw(st.text(max_size=20) | st.integers() | st.floats())
        case 4 if value is not None:
            return draw(st.sampled_from([odd for odd in ODD if type(odd) is type(value)]))
        case _:
            return draw(st.sampled_from(ODD))


def repeated(item: Json, times: int) -> list[Json]:
    """An item so many times, or as often as `LARGEST` has room for it: edits multiply."""
    return [item] * min(times, max(1, LARGEST // len(json.dumps(item, default=str))))


@st.composite
def mangled(draw: st.DrawFn, texts: st.SearchStrategy[bytes], most: int = LARGEST) -> bytes:
    """A text with up to four edits of its bytes."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        span = text[start:end]
        match draw(st.integers(0, 5)):
            case 0:
                span = draw(st.sampled_from(TOKENS))
            case 1:
                span += draw(st.sampled_from(TOKENS))
            case 2:
                span = b""
            case 3:
                span = draw(st.binary(max_size=4))
            case 4:
                times = draw(st.sampled_from(_REPEATS))
                span *= min(times, max(1, (most - len(text)) // max(len(span), 1)))
            case _:
                end = len(text)
        text = text[:start] + span + text[end:]
    return text[:most]


@st.composite
def json_texts(draw: st.DrawFn, documents: Sequence[Json], names: Sequence[str] = ("",)) -> bytes:
    """The text of one of these documents after some edits, in one of JSON's encodings."""
    value = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(0, 3))):
        value = draw(edited_value(value, names))
    ascii_only = draw(st.booleans())
    text = json.dumps(value, ensure_ascii=ascii_only, sort_keys=True, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    kind = draw(st.integers(0, 19))
    if kind < 10:
        return text
    if kind < 17:
        return draw(mangled(st.just(text)))
    coding = draw(st.sampled_from(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-16-be")))
    return text.decode("utf-8", "surrogatepass").encode(coding, "surrogatepass")


@cache
def bomb(item: bytes, times: int) -> bytes:
    """A small gzip of a text that repeats one item."""
    return gzip.compress(b"[" + item * times, 6, mtime=0)


packed_bombs = st.builds(
    bomb, st.sampled_from((b"[],", b"{},", b" ", b'"",', b"[")), st.sampled_from((10**6, 2 * 10**7))
)


def packed(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Gzip of a text: mostly undamaged, at times cut, changed, or with bytes behind its end."""
    whole = texts.map(lambda text: gzip.compress(text, 1, mtime=0))
    return st.sampled_from(
        (whole, whole, whole, whole, whole, mangled(whole), packed_bombs)
    ).flatmap(lambda each: each)
