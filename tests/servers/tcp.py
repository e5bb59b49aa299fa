"""Servers with faults: a script, instead of a web server, handles each connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[["Seen", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class BadServer:
    """Address of the server, and its requests."""

    url: str
    seen: list[Seen] = field(default_factory=list)


@asynccontextmanager
async def bad_server(
    script: Script, address: tuple[str, int] = ("127.0.0.1", 0)
) -> AsyncIterator[BadServer]:
    """Listen at an address; `script` writes the answer to each request, or none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = Seen(head[0], headers, body)
            there.seen.append(seen)
            await script(seen, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, *address)
    host, port = server.sockets[0].getsockname()[:2]
    there = BadServer(f"http://{host}:{port}")
    try:
        yield there
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if "bad_server" in getattr(task.get_coro(), "__qualname__", ""):
                task.cancel()


def answer(
    status: int, body: bytes | str = b"{}", *, kind: str = "application/json", **headers: str
) -> Script:
    """Send the same answer to everything; in header names, ``_`` is ``-``."""
    return sequence((status, body, kind, headers))


def sequence(*answers: tuple[int, bytes | str, str, dict[str, str]]) -> Script:
    """Send one answer after the other, then repeat the last one."""
    rest = list(answers)

    async def script(seen: Seen, writer: asyncio.StreamWriter) -> None:
        status, body, kind, headers = rest.pop(0) if len(rest) > 1 else rest[0]
        data = body.encode() if isinstance(body, str) else body
        extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
        writer.write(f"{head}{extra}Connection: close\r\n\r\n".encode() + data)
        await writer.drain()

    return script


async def silence(seen: Seen, writer: asyncio.StreamWriter) -> None:
    """Accept the request and never answer."""
    await asyncio.Event().wait()
