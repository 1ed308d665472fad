"""Agents against scripted models, recordings, and servers that misbehave."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, clear_factories

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings" / "openai-chat"


@pytest.fixture(autouse=True)
def _fresh_registry():
    yield
    clear_factories()


@pytest.fixture
def recording() -> Callable[[str], str]:
    """The folder of a recording."""

    def find(name: str) -> str:
        assert (RECORDINGS / name).is_dir(), name
        return str(RECORDINGS / name)

    return find


class Wire:
    """An HTTP server on loopback whose every answer a test writes by hand."""

    def __init__(self, answer: Callable[["Wire", asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.gone = 0
        self.base_url = ""
        self.open: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[writer] = asyncio.current_task()
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
                )
                self.heads.append(head)
                self.bodies.append(json.loads(await reader.readexactly(length)))
                await self.answer(self, writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone += 1
        finally:
            writer.close()

    async def hang_up(self) -> None:
        """Ends every connection, also one whose peer reads no more, before the loop does: what is still closing
        then is reported by the garbage collector, in some later test."""
        for task in filter(None, self.open.values()):
            task.cancel()
        await asyncio.gather(*filter(None, self.open.values()), return_exceptions=True)
        for writer in self.open:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def plain(status: int, body: object, **headers: str) -> bytes:
    """A whole answer."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", "content-type: application/json", f"content-length: {len(text)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    body = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-x", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


@pytest.fixture
def http():
    """The makers of answers."""

    class Http:
        plain = staticmethod(plain)
        chunk = staticmethod(chunk)
        head = STREAM_HEAD
        done = DONE

    return Http


@pytest.fixture
async def wire() -> AsyncIterator[Callable[..., Awaitable[Wire]]]:
    """Starts a `Wire` that answers with bytes, or by a coroutine function of the wire and the writer."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer: bytes | Callable[[Wire, asyncio.StreamWriter], Awaitable[None]]) -> Wire:
            async def fixed(_: Wire, writer: asyncio.StreamWriter) -> None:
                writer.write(answer)
                if b"connection: close" in answer:
                    await writer.drain()
                    writer.close()

            made = Wire(fixed if isinstance(answer, bytes) else answer)
            server = await asyncio.start_server(made.serve, "127.0.0.1", 0)

            async def stop() -> None:
                server.close()
                await made.hang_up()

            stack.push_async_callback(stop)
            made.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            return made

        yield start


@pytest.fixture
def openai() -> Callable[..., Agent[Any, Any]]:
    """An agent that speaks to a server, and gives up at once."""

    def make(base_url: str, **settings: Any) -> Agent[Any, Any]:
        settings = {"api_key": "sk-test", "max_attempts": 1, **settings}
        return Agent("openai:gpt-4o-mini", base_url=base_url, **settings)

    return make


@pytest.fixture
def kinds() -> Callable[[list[Any]], list[str]]:
    """The kinds of events, with repetitions of one kind told once."""

    def told(events: list[Any]) -> list[str]:
        names = [event.kind for event in events]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]

    return told
