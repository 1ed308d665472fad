"""What the decoders are measured with: the same streams and documents as in crates/wire/benches."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable

EVENTS = 1_000

HEAD = (
    '{"id":"chatcmpl-DuLdInI48CUMPbcraGuxW2KFhK3CM","object":"chat.completion.chunk","created":1782321896,'
    '"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_e6c46296c9",'
    '"choices":[{"index":0,"delta":'
)
TAIL = ',"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"bkGJq7e6fF9ZFa"}'


def openai_chunks() -> list[str]:
    """Two calls, one after the other, their arguments in small pieces."""
    half = EVENTS // 2
    deltas = []
    for index in range(2):
        head = {"index": index, "id": f"call_{index}", "type": "function"}
        deltas.append({**head, "function": {"name": "weather", "arguments": ""}})
        for piece in ['{"', *["loca"] * (half - 3), '":1}']:
            deltas.append({"index": index, "function": {"arguments": piece}})
    return [HEAD + json.dumps({"tool_calls": [delta]}, separators=(",", ":")) + TAIL for delta in deltas]


def stream(chunks: Iterable[str]) -> bytes:
    return "".join(f"data: {chunk}\n\n" for chunk in chunks).encode()


def text_stream() -> bytes:
    return stream(
        '{"id":"chatcmpl-DuLdCoxuLDs8HRMlOuz0Bi4wgi4XJ","object":"chat.completion.chunk","created":1782321890,'
        '"model":"gpt-4o-2024-08-06","system_fingerprint":null,"choices":[{"index":0,'
        f'"delta":{{"content":" token{i}"}},"finish_reason":null}}]}}'
        for i in range(EVENTS)
    )


def cut(body: bytes, mean: int) -> list[bytes]:
    """Reads of varying size around `mean`, the same in every run."""
    sizes, reads, at = random.Random(1), [], 0
    while at < len(body):
        size = sizes.randint(1, 2 * mean)
        reads.append(body[at : at + size])
        at += size
    return reads


def records() -> str:
    note = 'Closed for repairs until the "spring"; ask at the harbour office.'
    stations = [
        {
            "id": i,
            "name": f"Station {i}",
            "tags": ["north", "coast"],
            "ratio": 0.25 + i,
            "open": i % 2 == 0,
            "note": note,
        }
        for i in range(290)
    ]
    return json.dumps({"title": "Stations", "records": stations}, separators=(",", ":"))


def file() -> str:
    line = "    let total = items.iter().map(|item| item.price * item.count).sum::<u64>();\n"
    return json.dumps({"path": "src/total.rs", "content": line * 600}, separators=(",", ":"))


def small() -> str:
    return json.dumps(
        {"location": "Oslo, Norway", "unit": "celsius", "days": 3, "detailed": True}, separators=(",", ":")
    )


def pieces_of(text: str, count: int) -> list[str]:
    place = [len(text) * n // count for n in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(place)]
