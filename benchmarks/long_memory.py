"""Search by meaning in a long memory: the ten items that fit best of 1,000, 10,000 and 100,000, whose vectors have 384
numbers, in memory and in SQLite, beside langgraph's store in memory with the same embedding function. (Its store in
SQLite needs an extension that many builds of Python cannot load.)

`python long_memory.py [COUNT…]` runs each store in a process of its own. What is in SQLite is written by one process and
searched by another. The first search of a process is told apart: it reads what the next ones have in memory. A search
is timed from Python to Python, the embedding function (a look-up) with it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import child, failures, save, table, target

COUNTS = (1_000, 10_000, 100_000)
DIM, TOP, QUERIES, CLUSTERS = 384, 10, 200, 100
# For searches that take long.
SECONDS = 15.0
AT_ONCE = 500
OF = ("users", "ada")

Search = Callable[[str], list[str]]


class Vectors:
    """Of `item 3` and `query 3` those that were drawn for them, around middles as embeddings of texts lie."""

    dim = DIM
    model = "drawn"

    def __init__(self, count: int) -> None:
        chance = np.random.default_rng(7)
        middles = chance.standard_normal((CLUSTERS, DIM), dtype=np.float32)

        def some(count: int) -> Any:
            near = middles[chance.integers(0, CLUSTERS, count)]
            vectors = near + 0.6 * chance.standard_normal((count, DIM), dtype=np.float32)
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

        self.items, self.queries = some(count), some(QUERIES)

    def of(self, text: str) -> list[float]:
        kind, number = text.split()
        found: list[float] = (self.items if kind == "item" else self.queries)[int(number)].tolist()
        return found

    async def embed(self, text: str) -> list[float]:
        return self.of(text)

    async def embed_batch(self, texts: list[str]) -> list[list[float]]:
        return [self.of(text) for text in texts]

    def best(self, query: int) -> set[str]:
        """What really fits best."""
        return {f"k{at}" for at in np.argsort(-(self.items @ self.queries[query]))[:TOP]}


# --- the stores: each gives what fills it, and what searches in it ---


def ours(vectors: Vectors, place: str | None) -> tuple[Callable[[], None], Search]:
    from atomr_agents.memory import LongStore

    loop = asyncio.new_event_loop()
    store = LongStore.on(place, embedder=vectors) if place else LongStore.in_memory(embedder=vectors)

    async def fill() -> None:
        for start in range(0, len(vectors.items), AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, len(vectors.items)))
            await asyncio.gather(*(store.put(OF, f"k{at}", f"item {at}") for at in numbers))

    def search(query: str) -> list[str]:
        found = loop.run_until_complete(store.search(OF, query, by="meaning", top_k=TOP))
        return [item.key for item in found]

    return lambda: loop.run_until_complete(fill()), search


def langgraph(vectors: Vectors, _: str | None) -> tuple[Callable[[], None], Search]:
    from langgraph.store.base import PutOp
    from langgraph.store.memory import InMemoryStore

    index: Any = {"dims": DIM, "embed": lambda texts: [vectors.of(text) for text in texts], "fields": ["text"]}
    store = InMemoryStore(index=index)

    def fill() -> None:
        for start in range(0, len(vectors.items), AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, len(vectors.items)))
            store.batch([PutOp(OF, f"k{at}", {"text": f"item {at}"}) for at in numbers])

    return fill, lambda query: [item.key for item in store.search(OF, query=query, limit=TOP)]


STORES = {"ours": ours, "langgraph": langgraph}
NAMES = {
    "ours": "atomr-agents, in memory",
    "ours-sqlite": "atomr-agents, SQLite",
    "langgraph": "langgraph InMemoryStore",
}


def measure(peer: str, count: int, place: str | None, *, filling: bool) -> dict[str, Any]:
    vectors = Vectors(count)
    fill, search = STORES[peer.removesuffix("-sqlite")](vectors, place)
    if filling or place is None:
        fill()
    if filling:
        return {}
    times: list[float] = []
    hits = 0
    began = time.perf_counter()
    for query in range(QUERIES):
        started = time.perf_counter()
        found = search(f"query {query}")
        times.append((time.perf_counter() - started) * 1e3)
        hits += len(vectors.best(query) & set(found))
        if time.perf_counter() - began > SECONDS and query > 2:
            break
    warm = sorted(times[1:])
    return {
        "first_ms": times[0],
        "p50_ms": statistics.median(warm),
        "p95_ms": warm[len(warm) * 95 // 100],
        "recall": hits / (len(times) * TOP),
    }


def main(counts: list[int]) -> dict[str, dict]:
    every: dict[str, dict] = {}
    for count in counts:
        rows: dict[str, dict] = {}
        for peer in NAMES:
            with tempfile.TemporaryDirectory() as folder:
                place = str(Path(folder) / "memory.db") if peer.endswith("-sqlite") else ""
                filled = child("long_memory.py", "--fill", peer, str(count), place) if place else {}
                rows[peer] = filled or child("long_memory.py", "--measure", peer, str(count), place)
        lines = [
            [NAMES[peer], *(f"{row[key]:.2f}" for key in ("first_ms", "p50_ms", "p95_ms")), f"{row['recall']:.4f}"]
            for peer, row in rows.items()
            if "failed" not in row
        ]
        columns = ["", "first ms", "p50 ms", "p95 ms", "recall"]
        table(f"By meaning, the best {TOP} of {count:,} items, vectors of {DIM}", columns, lines)
        failures(rows)
        for peer in ("ours", "ours-sqlite"):
            met = rows[peer].get("recall") == 1.0
            target(f"{NAMES[peer]}: what fits best is found", met=met)
        every |= {f"{count}: {peer}": row for peer, row in rows.items()}
    save("long_memory", every)
    return every


if __name__ == "__main__":
    if sys.argv[1:2] in (["--fill"], ["--measure"]):
        result = measure(sys.argv[2], int(sys.argv[3]), sys.argv[4] or None, filling=sys.argv[1] == "--fill")
        print(json.dumps(result))
    else:
        main([int(count) for count in sys.argv[1:]] or list(COUNTS))
