"""A provider that costs no time: chat completions on loopback, every byte rendered beforehand.

The first request of a conversation is answered with two parallel tool calls, streamed in small deltas, or with a
hundred where the tool `slow` is offered; a request that carries tool results is answered with twenty tokens of text. It
runs as a process of its own, so its work is in nobody else's CPU time: `python provider.py` prints the port and serves
until its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys

TOOL_CALLS = (
    ("call_weather", "get_weather", '{"city": "Oslo, Norway, where the fjord begins", "unit": "C"}'),
    ("call_time", "get_time", '{"city": "Oslo, Norway, where the fjord begins", "clock": 24}'),
)
DELTAS_PER_CALL = 14
MANY = 100
ANSWER = "In Oslo it is ten degrees , cloudy , and the clock shows half past four in the afternoon ."


def chunk(delta: dict, finish: str | None = None) -> dict:
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
    }


def usage(prompt: int, completion: int) -> dict:
    last = chunk({})
    last["choices"] = []
    last["usage"] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return last


def tool_call_chunks() -> list[dict]:
    chunks = [chunk({"role": "assistant", "content": None, "refusal": None})]
    for index, (call_id, name, arguments) in enumerate(TOOL_CALLS):
        head = {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        chunks.append(chunk({"tool_calls": [head]}))
        step = -(-len(arguments) // (DELTAS_PER_CALL - 1))
        for start in range(0, len(arguments), step):
            part = {"index": index, "function": {"arguments": arguments[start : start + step]}}
            chunks.append(chunk({"tool_calls": [part]}))
    return [*chunks, chunk({}, "tool_calls"), usage(120, 60)]


def many_calls_chunks() -> list[dict]:
    """A hundred calls of one tool, a delta each."""
    chunks = [chunk({"role": "assistant", "content": None, "refusal": None})]
    for index in range(MANY):
        function = {"name": "slow", "arguments": f'{{"number": {index}}}'}
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        chunks.append(chunk({"tool_calls": [call]}))
    return [*chunks, chunk({}, "tool_calls"), usage(120, 60)]


def answer_chunks() -> list[dict]:
    chunks = [chunk({"role": "assistant", "content": "", "refusal": None})]
    for index, word in enumerate(words := ANSWER.split(" ")):
        chunks.append(chunk({"content": word if index == 0 else f" {word}"}))
    return [*chunks, chunk({}, "stop"), usage(190, len(words))]


def render(chunks: list[dict]) -> bytes:
    """The whole response: one HTTP chunk per event, as a provider's proxy sends them."""
    events = [f"data: {json.dumps(each, separators=(',', ':'))}\n\n".encode() for each in chunks]
    events.append(b"data: [DONE]\n\n")
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
        b"x-request-id: req_bench\r\nopenai-processing-ms: 1\r\nconnection: keep-alive\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


CALLS = render(tool_call_chunks())
MANY_CALLS = render(many_calls_chunks())
TEXT = render(answer_chunks())
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            stop = end + 4 + length
            if len(self.buffer) < stop:
                if b"expect: 100-continue" in head and len(self.buffer) == end + 4:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self.buffer = self.buffer[end + 4 : stop], self.buffer[stop:]
            if b'"stream"' not in body:
                self.transport.write(REFUSED)
            elif b'"tool_call_id"' in body:
                self.transport.write(TEXT)
            else:
                self.transport.write(MANY_CALLS if b'"slow"' in body else CALLS)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent's end of the pipe closes when the parent is gone.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
