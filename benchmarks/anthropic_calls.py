"""Tool-call deltas in Anthropic's format, from one read of their stream to finished calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from decoder_input import EVENTS


class Block(msgspec.Struct):
    type: str
    id: str | None = None
    name: str | None = None


class Delta(msgspec.Struct):
    type: str | None = None
    partial_json: str | None = None


class Event(msgspec.Struct):
    type: str
    index: int = 0
    content_block: Block | None = None
    delta: Delta | None = None


def events() -> list[tuple[str, dict[str, Any]]]:
    """Two calls, one after the other, their arguments in small pieces."""
    usage = {"input_tokens": 400, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    made: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    half = (EVENTS - 7) // 2
    for index in range(2):
        block = {"type": "tool_use", "id": f"toolu_{index}", "name": "weather", "input": {}}
        made.append({"type": "content_block_start", "index": index, "content_block": block})
        for piece in ['{"', *["loca"] * (half - 2), '":1}']:
            delta = {"type": "input_json_delta", "partial_json": piece}
            made.append({"type": "content_block_delta", "index": index, "delta": delta})
        made.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": "tool_use", "stop_sequence": None}
    made += [{"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]
    return [(event["type"], event) for event in made]


def measure(compare: Callable[..., dict[str, dict]], rounds: int, slow_rounds: int) -> dict[str, dict]:
    """CPU microseconds per event of each peer."""
    from anthropic.lib.streaming._messages import accumulate_event

    from atomr_agents import Provider, ToolCallParser

    all_events = [(name, json.dumps(event, separators=(",", ":"))) for name, event in events()]
    body = "".join(f"event: {name}\ndata: {data}\n\n" for name, data in all_events).encode()
    decode = msgspec.json.Decoder(Event, strict=True).decode

    def lines() -> list[bytes]:
        return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]

    def by_msgspec() -> list[tuple[str, str, str]]:
        calls: dict[int, tuple[str, str, list[str]]] = {}
        for line in lines():
            event = decode(line)
            if event.delta is not None and event.delta.partial_json is not None:
                calls[event.index][2].append(event.delta.partial_json)
            elif event.content_block is not None and event.content_block.type == "tool_use":
                calls[event.index] = (event.content_block.id or "", event.content_block.name or "", [])
        return [(id, name, "".join(arguments)) for id, name, arguments in calls.values()]

    def by_anthropic() -> list[tuple[str, str, str]]:
        snapshot, buffers = None, {}
        for line in lines():
            snapshot = accumulate_event(event=json.loads(line), current_snapshot=snapshot, json_bufs=buffers)
        # Its snapshot holds the arguments parsed; what it parsed them from is beside it.
        content = enumerate(snapshot.content)
        return [(block.id, block.name, buffers.get(index, b"").decode()) for index, block in content]

    def ours() -> list[tuple[str, str, str]]:
        parser = ToolCallParser(Provider.anthropic())
        parser.feed_sse(body)
        return [(call.id, call.name, call.arguments_raw) for call in parser.finish()]

    peers: dict[str, tuple[Callable[[], Any], int]] = {
        "ours": (ours, rounds),
        "typed msgspec loop": (by_msgspec, rounds),
        "anthropic SDK": (by_anthropic, slow_rounds),
    }
    wanted = by_msgspec()
    assert [name for _, name, _ in wanted] == ["weather", "weather"]
    assert ours() == wanted
    assert [(id, name) for id, name, _ in by_anthropic()] == [(id, name) for id, name, _ in wanted]
    return compare(peers, len(all_events))
