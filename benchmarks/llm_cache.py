"""Caches of answers beside peers: an exact hit of a chat of ten messages (4 KB), and the nearest of 10,000 questions.

`python llm_cache.py` measures in one process, rounds of all alternating; the figures are medians of wall time per call.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from common import child, failures, save, table, target

ROUNDS = 9
CALLS = 2_000
QUESTIONS = 10_000
DIM = 384


def chat() -> list[dict[str, str]]:
    roles = ["system", *["user", "assistant"] * 4, "user"]
    return [{"role": role, "content": f"{role} {at}: " + "the weather in Oslo, " * 19} for at, role in enumerate(roles)]


def exact() -> dict[str, Callable[[], Any]]:
    from atomr_agents import Message
    from atomr_agents.cache import CachedTurn, InMemoryLlmCache, Question

    messages = chat()
    ours_messages = [Message(message["role"], message["content"]) for message in messages]
    cache = InMemoryLlmCache()
    import asyncio

    asyncio.run(cache.put(Question(ours_messages, "gpt-4o", provider="openai"), CachedTurn("Rain.")))

    def ours() -> Any:
        return cache.find(Question(ours_messages, "gpt-4o", provider="openai"))

    kept: dict[str, str] = {}

    def key() -> str:
        return hashlib.sha256(json.dumps(["gpt-4o", messages]).encode()).hexdigest()

    kept[key()] = "Rain."

    from langchain_core.caches import InMemoryCache
    from langchain_core.load import dumps
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    from langchain_core.outputs import ChatGeneration

    classes = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    theirs = [classes[message["role"]](message["content"]) for message in messages]
    langchain = InMemoryCache()
    langchain.update(dumps(theirs), "gpt-4o", [ChatGeneration(message=AIMessage("Rain."))])
    return {
        "atomr-agents": ours,
        "dict of a SHA-256 of JSON": lambda: kept[key()],
        "langchain InMemoryCache": lambda: langchain.lookup(dumps(theirs), "gpt-4o"),
    }


def nearest() -> dict[str, Callable[[], Any]]:
    import faiss
    import numpy as np
    from usearch.index import Index

    from atomr_agents.embed import InMemoryAnnIndex

    random = np.random.default_rng(7)
    centers = random.normal(size=(100, DIM)).astype(np.float32)
    vectors = centers[random.integers(0, 100, QUESTIONS)] + 0.3 * random.normal(size=(QUESTIONS, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    queries = vectors[random.integers(0, QUESTIONS, 500)] + 0.01 * random.normal(size=(500, DIM)).astype(np.float32)
    queries = queries.astype(np.float32)
    # As the cache makes its own.
    ours = InMemoryAnnIndex(DIM, exact_below=2_000, recall=0.99)
    ours.upsert(range(QUESTIONS), vectors)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(vectors)
    faiss.omp_set_num_threads(1)
    usearch = Index(ndim=DIM, metric="cos")
    usearch.add(np.arange(QUESTIONS), vectors)
    at = 0

    def query() -> Any:
        nonlocal at
        at = (at + 1) % len(queries)
        return queries[at]

    return {
        "atomr-agents": lambda: ours.search(query(), 4),
        "faiss IndexFlatIP": lambda: flat.search(query()[None], 4),
        "usearch": lambda: usearch.search(query(), 4),
    }


def measured(works: dict[str, Callable[[], Any]], calls: int) -> dict[str, dict[str, float]]:
    for work in works.values():
        assert work() is not None
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = time.perf_counter()
            for _ in range(calls):
                work()
            times[name].append((time.perf_counter() - begun) / calls * 1e6)
    return {name: {"us": statistics.median(each)} for name, each in times.items()}


def llm_cache() -> dict[str, dict]:
    """Exact hits and the nearest of 10,000 questions, beside peers."""
    rows: dict[str, dict] = {}
    for what, title, goal in [
        ("exact", "Exact hit, ten messages with 4 KB", 5.0),
        ("nearest", f"Nearest of {QUESTIONS:,} questions of {DIM} dimensions", 100.0),
    ]:
        found = child("llm_cache.py", what)
        if "failed" in found:
            rows[what] = found
            continue
        rows.update({f"{what}: {name}": row for name, row in found.items()})
        ours = found["atomr-agents"]["us"]
        lines = [[name, f"{row['us']:.1f}", f"{row['us'] / ours:.1f} x"] for name, row in found.items()]
        table(title, ["", "us", "of ours"], lines)
        target(f"{title}: within {goal:.0f} us", met=ours <= goal)
    failures(rows)
    save("llm_cache", rows)
    return rows


if __name__ == "__main__":
    print(json.dumps(measured(exact(), CALLS) if sys.argv[1] == "exact" else measured(nearest(), CALLS // 4)))
