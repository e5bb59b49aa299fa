"""An MLflow server of a hostile tenant: each path below its address answers in another bad way."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.servers.tcp import BadServer, Script, Seen, answer, bad_server

ELSEWHERE: Final = "stolen"
"""A path to which answers redirect; nobody must ask for it."""
GZIP: Final = {"Content-Encoding": "gzip"}


@asynccontextmanager
async def poisoned_mlflow(address: tuple[str, int] = ("127.0.0.1", 0)) -> AsyncIterator[BadServer]:
    """Answer below ``/<name of a poison>``."""

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        name = seen.line.split(" ")[1].split("/")[1]
        poison = SLOW if name.startswith("drip-") else POISONS.get(name)
        await (poison[0] if poison else answer(404))(seen, writer)

    async with bad_server(script, address) as server:
        yield server


def _packed(value: bytes | object) -> Script:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return answer(200, gzip.compress(text), **GZIP)


def _listing(rows: list[Any], token: str = "more") -> dict[str, Any]:
    return {"registered_models": rows, "model_versions": rows, "next_page_token": token}


def _version(number: int, **more: Any) -> dict[str, Any]:
    return {"name": f"model-{number}", "version": "1", "creation_timestamp": 1, **more}


def _tagged(characters: int) -> list[Any]:
    return [{"key": "feast.project", "value": "x" * characters}]


def _versions_only(script: Script) -> Script:
    """No models, so that the versions are asked for."""
    none = answer(200, b"{}")

    async def answers(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (none if "registered-models" in seen.line else script)(seen, writer)

    return answers


async def _drip(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.5)


async def _without_end(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


def _raw(content: bytes) -> Script:
    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return script


SLOW: Final[tuple[Script, str]] = (_drip, "was not answered within 18 s")
_ROWS: Final = [_version(number) for number in range(1000)]
POISONS: Final[dict[str, tuple[Script, str]]] = {
    "a-gigabyte-of-gzip": (_packed(bytes(200_000_000)), "more than 33554432 bytes"),
    "four-million-models": (
        _packed(b'{"registered_models":[' + b"{}," * 4_000_000 + b"{}]}"),
        "MiB of memory",
    ),
    "deep-json": (_packed(b'{"registered_models":' + b"[" * 100_000), "nested deeper"),
    "empty-pages": (answer(200, json.dumps(_listing([]))), "more than 1000 pages"),
    "models-without-end": (_packed(_listing(_ROWS)), "all readings together may have"),
    "tags-of-20-kb": (
        _versions_only(_packed(_listing([_version(n, tags=_tagged(20_000)) for n in range(500)]))),
        "all readings together may have",
    ),
    "tags-of-10-mb": (
        _versions_only(_packed(_listing([_version(1, tags=_tagged(10_000_000))]))),
        "all readings together may have",
    ),
    "a-token-of-10-mb": (_packed(_listing([], "x" * 10_000_000)), "has 10000000 characters"),
    "a-number-for-a-list": (answer(200, b'{"registered_models": 7}'), "of another shape"),
    "an-object-for-a-run": (
        _versions_only(answer(200, json.dumps(_listing([_version(1, run_id={"a": 1})], "")))),
        "run_id is a dict",
    ),
    "a-year-of-a-million": (
        _versions_only(answer(200, json.dumps(_listing([_version(1, creation_timestamp=1e20)])))),
        "of another shape",
    ),
    "to-the-metadata": (
        answer(302, "", location="http://169.254.169.254/latest"),
        "a redirect (302) to http://169.254.169.254",
    ),
    "to-another-path": (answer(307, "", location=f"/{ELSEWHERE}"), "a redirect (307)"),
    "less-than-its-length": (
        _raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}"),
        "the connection broke",
    ),
    "more-than-its-length": (
        _raw(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"registered_models": []}'),
        "is not JSON",
    ),
    "an-answer-without-end": (_without_end, "more than 33554432 bytes"),
    "bytes-behind-gzip": (
        answer(200, gzip.compress(b"{}") + b"x" * 10_000_000, **GZIP),
        "trailing bytes",
    ),
    "brotli": (answer(200, b"x", **{"Content-Encoding": "br"}), "the encoding 'br'"),
    "a-header-of-10-mb": (
        _raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n{}"),
        "the connection broke",
    ),
    "an-answer-that-drips": SLOW,
}
"""By path: the answer, and what the condition of a project with this server says."""
