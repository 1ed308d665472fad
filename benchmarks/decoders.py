"""Decoders beside their peers: tool-call deltas, server-sent events, JSON in pieces.

`python decoders.py` measures in one process, rounds of all peers alternating, so that a busy machine slows all of them;
the figures are CPU time, medians are compared. Where cargo is there, the Rust decoders are measured too, by their own
benchmarks over the same input; `--no-rust` leaves that out.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import anthropic_calls
from common import HERE, child, failures, save, table, target
from decoder_input import EVENTS, cut, file, openai_chunks, pieces_of, records, small, stream, text_stream

ROUNDS = 7
# One round of a slow peer takes seconds.
SLOW_ROUNDS = 3
PIECES = 9_000
# Of a peer that parses anew, the text after every so many pieces: what one costs does not depend on the others.
SAMPLE = 100

# --- measuring -------------------------------------------------------------------------------------------------------

Work = Callable[[], Any]


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    index: int
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    delta: Delta
    index: int = 0


class Chunk(msgspec.Struct):
    choices: list[Choice]


def compare(peers: dict[str, tuple[Work, int]], count: int, *, times: int = 1) -> dict[str, dict]:
    """CPU microseconds per item of each peer, which does `count` items `times` times in a round. The number beside a
    peer says for how many of its rounds it takes part."""
    rounds: dict[str, list[float]] = {name: [] for name in peers}
    for n in range(max(rounds for _, rounds in peers.values()) + 1):
        for name, (work, limit) in peers.items():
            if n > limit:
                continue
            started = time.process_time()
            for _ in range(times):
                work()
            if n:  # the first round warms up
                rounds[name].append((time.process_time() - started) / times / count * 1e6)
    return {name: {"us": statistics.median(each), "us_best": min(each)} for name, each in rounds.items()}


def tool_calls() -> dict[str, dict]:
    """The chunks of one answer, from one read of its stream to finished calls."""
    from langchain_core.messages import AIMessageChunk
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    from atomr_agents import Provider, ToolCallParser

    chunks = openai_chunks()
    body = stream(chunks)
    reads = cut(body, 1400)

    decode = msgspec.json.Decoder(Chunk, strict=True).decode

    def lines() -> list[bytes]:
        return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]

    def by_msgspec() -> list[tuple[str, str, str]]:
        calls: dict[int, tuple[str, str, list[str]]] = {}
        for line in lines():
            for choice in decode(line).choices:
                for call in choice.delta.tool_calls or ():
                    if (known := calls.get(call.index)) is None:
                        name = call.function.name if call.function else None
                        known = calls[call.index] = (call.id or "", name or "", [])
                    if call.function and call.function.arguments:
                        known[2].append(call.function.arguments)
        return [(id, name, "".join(arguments)) for id, name, arguments in calls.values()]

    def by_openai() -> list[tuple[str, str, str]]:
        state = ChatCompletionStreamState()
        for line in lines():
            state.handle_chunk(ChatCompletionChunk.construct(**json.loads(line)))
        # The two calls have no finish reason in this stream, so its own snapshot is asked.
        calls = state.current_completion_snapshot.choices[0].message.tool_calls or []
        return [(call.id, call.function.name, call.function.arguments) for call in calls]

    def by_langchain() -> list[tuple[str, str, str]]:
        whole = None
        for line in lines():
            delta = json.loads(line)["choices"][0]["delta"]
            pieces = [
                {
                    "name": call["function"].get("name"),
                    "args": call["function"].get("arguments"),
                    "id": call.get("id"),
                    "index": call["index"],
                    "type": "tool_call_chunk",
                }
                for call in delta["tool_calls"]
            ]
            chunk = AIMessageChunk(content="", tool_call_chunks=pieces)
            whole = chunk if whole is None else whole + chunk
        return [(call["id"], call["name"], call["args"]) for call in whole.tool_call_chunks]

    def ours(feed: Callable[[Any], None], parser: Any) -> list[tuple[str, str, str]]:
        feed(parser)
        return [(call.id, call.name, call.arguments_raw) for call in parser.finish()]

    def one_read(parser: Any) -> None:
        parser.feed_sse(body)

    def many_reads(parser: Any) -> None:
        for read in reads:
            parser.feed_sse(read)

    def one_by_one(parser: Any) -> None:
        for chunk in chunks:
            parser.feed(chunk)

    provider = Provider.openai()
    peers: dict[str, tuple[Work, int]] = {
        "ours": (lambda: ours(one_read, ToolCallParser(provider)), ROUNDS),
        "ours, reads of 1400 bytes": (lambda: ours(many_reads, ToolCallParser(provider)), ROUNDS),
        "ours, chunk by chunk": (lambda: ours(one_by_one, ToolCallParser(provider)), ROUNDS),
        "typed msgspec loop": (by_msgspec, ROUNDS),
        "openai SDK": (by_openai, SLOW_ROUNDS),
        "langchain-core": (by_langchain, SLOW_ROUNDS),
    }
    wanted = by_msgspec()
    assert [name for _, name, _ in wanted] == ["weather", "weather"]
    for name, (work, _) in peers.items():
        assert work() == wanted, name
    return compare(peers, EVENTS)


def events() -> dict[str, dict]:
    """Raw reads cut anywhere, to events."""
    import httpx
    from httpx_sse import EventSource
    from openai._streaming import SSEDecoder

    from atomr_agents import Provider, ToolCallParser

    reads = cut(text_stream(), 250)

    def by_httpx_sse() -> int:
        response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=iter(reads))
        return sum(1 for _ in EventSource(response).iter_sse())

    def by_openai() -> int:
        return sum(1 for _ in SSEDecoder().iter_bytes(iter(reads)))

    def ours() -> int:
        # There is no decoder of bare events in Python; this one also looks for tool calls in each of them.
        parser = ToolCallParser(Provider.openai())
        for read in reads:
            parser.feed_sse(read)
        assert parser.finish() == []
        return EVENTS

    peers: dict[str, tuple[Work, int]] = {
        "ours, JSON read too": (ours, ROUNDS),
        "httpx-sse": (by_httpx_sse, ROUNDS),
        "openai SDK": (by_openai, ROUNDS),
    }
    for name, (work, _) in peers.items():
        assert work() == EVENTS, name
    return compare(peers, EVENTS)


def partial(text: str, count: int, *, times: int = 1) -> dict[str, dict]:
    """The value after every piece."""
    import jiter
    from langchain_core.utils.json import parse_partial_json

    from atomr_agents import PartialJson

    pieces, whole = pieces_of(text, count), json.loads(text)

    def each(step: str) -> Any:
        parser = PartialJson()
        feed = getattr(parser, step)
        for piece in pieces:
            feed(piece)
            _ = parser.value
        return parser.finish()

    def copies() -> Any:
        parser = PartialJson()
        for piece in pieces:
            parser.update(piece)
            parser.snapshot()
        return parser.finish()

    def by_jiter() -> Any:
        buffer, value = b"", None
        for piece in pieces:
            buffer += piece.encode()
            value = jiter.from_json(buffer, partial_mode="trailing-strings")
        return value

    every = max(1, count // SAMPLE)
    starts = ["".join(pieces[: n + 1]) for n in range(count - 1, -1, -every)]

    def by_langchain() -> Any:
        values = [parse_partial_json(start) for start in starts]
        return values[0]

    peers: dict[str, tuple[Work, int]] = {
        "ours": (lambda: each("update"), ROUNDS),
        "ours, with the list of changes": (lambda: each("feed"), ROUNDS),
        "ours, with a copy each time": (copies, ROUNDS if count < 100 else SLOW_ROUNDS),
        "jiter, anew each time": (by_jiter, ROUNDS if count < 100 else SLOW_ROUNDS),
    }
    for name, (work, _) in peers.items():
        assert work() == whole, name
    assert by_langchain() == whole
    rows = compare(peers, count, times=times)
    rows["langchain-core, anew each time"] = compare({"": (by_langchain, SLOW_ROUNDS)}, len(starts), times=times)[""]
    return rows


def measure() -> dict[str, dict[str, dict]]:
    return {
        "tool-call deltas, OpenAI format": tool_calls(),
        "tool-call deltas, Anthropic format": anthropic_calls.measure(compare, ROUNDS, SLOW_ROUNDS),
        "server-sent events, reads of 250 bytes": events(),
        f"JSON: records of 46 KB in {PIECES} pieces": partial(records(), PIECES),
        f"JSON: a text of 48 KB in {PIECES} pieces": partial(file(), PIECES),
        "JSON: 69 bytes in 20 pieces": partial(small(), 20, times=200),
        "JSON: 69 bytes in 5 pieces": partial(small(), 5, times=500),
    }


# --- Rust ------------------------------------------------------------------------------------------------------------

RUST = {
    "tool-call deltas, OpenAI format": {
        "Rust, every event": "tool-call deltas from the event stream, reads of 1400 bytes",
        "Rust, finished calls": "finished tool calls only, from the event stream in one read",
    },
    "tool-call deltas, Anthropic format": {
        "Rust, every event": "Anthropic tool-call deltas from the event stream, reads of 1400 bytes",
        "Rust, finished calls": "Anthropic tool calls only",
    },
    "server-sent events, reads of 250 bytes": {"Rust": "reads of 250 bytes on average"},
    f"JSON: records of 46 KB in {PIECES} pieces": {
        "Rust": "records, 46537 bytes in 9000 pieces, incremental without changes",
        "Rust, with changes": "records, 46537 bytes in 9000 pieces, incremental",
        "Rust jiter, anew each time": "records, 46537 bytes in 9000 pieces, jiter anew",
    },
    f"JSON: a text of 48 KB in {PIECES} pieces": {
        "Rust": "file, 48036 bytes in 9000 pieces, incremental without changes",
        "Rust, with changes": "file, 48036 bytes in 9000 pieces, incremental",
        "Rust jiter, anew each time": "file, 48036 bytes in 9000 pieces, jiter anew",
    },
    "JSON: 69 bytes in 20 pieces": {
        "Rust": "small, 69 bytes in 20 pieces, incremental without changes",
        "Rust, with changes": "small, 69 bytes in 20 pieces, incremental",
        "Rust jiter, anew each time": "small, 69 bytes in 20 pieces, jiter anew",
    },
    "JSON: 69 bytes in 5 pieces": {
        "Rust": "small, 69 bytes in 5 pieces, incremental without changes",
        "Rust, with changes": "small, 69 bytes in 5 pieces, incremental",
        "Rust jiter, anew each time": "small, 69 bytes in 5 pieces, jiter anew",
    },
}


def rust() -> dict[str, dict[str, dict]]:
    """The figures of the Rust benchmarks, by the names of the tables here; empty where there is no cargo."""
    if shutil.which("cargo") is None:
        print("cargo is not there: the Rust decoders are not measured")
        return {}
    benches = [part for name in ("sse", "chat", "anthropic", "partial_json") for part in ("--bench", name)]
    command = ["cargo", "bench", "--quiet", "--package", "atomr-agents-wire", *benches, "--", "--noplot"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"the Rust decoders are not measured: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
        return {}
    folder = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "criterion"
    per_item: dict[str, float] = {}
    for found in folder.glob("**/new/benchmark.json"):
        about, figures = (json.loads((found.parent / name).read_text()) for name in (found.name, "estimates.json"))
        per_item[about["function_id"]] = figures["median"]["point_estimate"] / 1e3 / about["throughput"]["Elements"]
    return {
        title: {name: {"us": per_item[function]} for name, function in names.items() if function in per_item}
        for title, names in RUST.items()
    }


# --- showing ---------------------------------------------------------------------------------------------------------


def show(title: str, rows: dict[str, dict]) -> None:
    ours = next((row["us"] for name, row in rows.items() if name.startswith("ours")), None)
    lines = [
        [name, f"{row['us']:.3f}", f"{row['us'] / ours:.2f} x" if ours else ""]
        for name, row in rows.items()
        if "us" in row
    ]
    table(title, ["", "us each", "beside ours"], lines)


def check(tables: dict[str, dict[str, dict]]) -> None:
    """What the project promises of its decoders."""
    for title, calls in tables.items():
        if not title.startswith("tool-call deltas"):
            continue
        loop = calls["typed msgspec loop"]["us"]
        ratio = calls["ours"]["us"] / loop
        target(f"{title}, a whole read within 1.5 x of msgspec: {ratio:.2f}", met=ratio <= 1.5)
        for name in ("Rust, every event", "Rust, finished calls"):
            if name in calls:
                ratio = calls[name]["us"] / loop
                target(f"{title}, {name}: at or below msgspec: {ratio:.2f}", met=ratio <= 1)
    if sse := tables["server-sent events, reads of 250 bytes"].get("Rust"):
        target(f"an event in Rust below 0.3 us: {sse['us']:.3f}", met=sse["us"] < 0.3)
    for title, rows in tables.items():
        if title.startswith("JSON"):
            ratio = rows["jiter, anew each time"]["us"] / rows["ours"]["us"]
            target(f"{title}: quicker than jiter: {ratio:.1f} times", met=ratio > 1)
        if title.startswith("JSON") and "Rust" in rows:
            ratio = rows["Rust jiter, anew each time"]["us"] / rows["Rust"]["us"]
            target(f"{title}, in Rust: quicker than jiter: {ratio:.1f} times", met=ratio > 1)
            target(f"{title}, in Rust: below 1 us: {rows['Rust']['us']:.3f}", met=rows["Rust"]["us"] < 1)


def main(*, with_rust: bool = True) -> dict[str, dict]:
    tables = child("decoders.py", "--measure")
    if "failed" in tables:
        rows = {"ours": tables}
        failures(rows)
        save("decoders", rows)
        return rows
    for title, rows in (rust() if with_rust else {}).items():
        tables[title] |= rows
    for title, rows in tables.items():
        show(title, rows)
    check(tables)
    save("decoders", tables)
    return tables


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure()))
    else:
        main(with_rust="--no-rust" not in sys.argv[1:])
