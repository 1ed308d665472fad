"""One step that sends to a hundred nodes and joins what they give, with a checkpoint after each super-step.

`python fan_out.py [PLACE…]` measures everybody, each in its own process. The nodes are async and wait for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import operator
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, TypedDict

import stores
from common import child, failures, save, table, target

WIDTH = 100
ROUNDS = 15
WARM_UP = 3
WITHIN_MS = {"no store": 4, "sqlite full": 8, "postgres": 10}

FanOut = Callable[[], Awaitable[None]]


class Gathered(TypedDict):
    results: Annotated[list[int], operator.add]
    total: int


def langgraph_graph(saver: Any) -> Any:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    async def work(sent: dict[str, int]) -> dict[str, Any]:
        return {"results": [sent["number"] * 2]}

    async def join(state: Gathered) -> dict[str, Any]:
        return {"total": sum(state["results"])}

    graph = StateGraph(Gathered)
    graph.add_node("work", work)
    graph.add_node("join", join)
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": at}) for at in range(WIDTH)])
    graph.add_edge("work", "join")
    graph.add_edge("join", END)
    return graph.compile(checkpointer=saver)


def checked(end: dict[str, Any]) -> None:
    if end["total"] != WIDTH * (WIDTH - 1) or len(end["results"]) != WIDTH:
        raise AssertionError(f"joined {end}")


def langgraph_fan_out(saver: Any) -> FanOut:
    graph = langgraph_graph(saver)
    how = {"durability": "sync"} if saver else {}

    async def run() -> None:
        config = {"configurable": {"thread_id": uuid.uuid4().hex}}
        checked(await graph.ainvoke({"results": [], "total": 0}, config, **how))

    return run


@contextlib.asynccontextmanager
async def langgraph_none() -> AsyncIterator[FanOut]:
    yield langgraph_fan_out(None)


@contextlib.asynccontextmanager
async def langgraph_memory() -> AsyncIterator[FanOut]:
    from langgraph.checkpoint.memory import InMemorySaver

    yield langgraph_fan_out(InMemorySaver())


@contextlib.asynccontextmanager
async def langgraph_sqlite(synchronous: str) -> AsyncIterator[FanOut]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    with stores.sqlite_path() as path:
        async with aiosqlite.connect(path) as connection:
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute(f"PRAGMA synchronous = {synchronous}")
            yield langgraph_fan_out(AsyncSqliteSaver(connection))


@contextlib.asynccontextmanager
async def langgraph_postgres() -> AsyncIterator[FanOut]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    with stores.postgres_dsn() as dsn:
        async with AsyncPostgresSaver.from_conn_string(dsn) as saver:
            await saver.setup()
            yield langgraph_fan_out(saver)


def ours_fan_out(checkpointer: Any, durability: str = "full") -> FanOut:
    from atomr_agents.workflow import END, START, Send, StateGraph

    async def work(sent: dict[str, int]) -> dict[str, Any]:
        return {"results": [sent["number"] * 2]}

    async def join(state: Gathered) -> dict[str, Any]:
        return {"total": sum(state["results"])}

    graph = StateGraph(Gathered)
    graph.add_node("work", work)
    graph.add_node("join", join)
    graph.add_conditional_edges(START, lambda _: [Send("work", {"number": at}) for at in range(WIDTH)], ["work"])
    graph.add_edge("work", "join")
    graph.add_edge("join", END)
    compiled = graph.compile(checkpointer, durability=durability)

    async def run() -> None:
        config = {"configurable": {"thread_id": uuid.uuid4().hex}}
        checked(await compiled.ainvoke({"results": [], "total": 0}, config))

    return run


@contextlib.asynccontextmanager
async def ours_none() -> AsyncIterator[FanOut]:
    yield ours_fan_out(None)


@contextlib.asynccontextmanager
async def ours_memory() -> AsyncIterator[FanOut]:
    from atomr_agents.state import in_memory_checkpointer

    yield ours_fan_out(in_memory_checkpointer())


@contextlib.asynccontextmanager
async def ours_sqlite(durability: str) -> AsyncIterator[FanOut]:
    from atomr_agents.state import sqlite_checkpointer

    with stores.sqlite_path() as path:
        yield ours_fan_out(sqlite_checkpointer(path), durability)


@contextlib.asynccontextmanager
async def ours_postgres() -> AsyncIterator[FanOut]:
    from atomr_agents.state import postgres_checkpointer

    with stores.postgres_dsn() as dsn:
        yield ours_fan_out(postgres_checkpointer(dsn))


Maker = Callable[[], contextlib.AbstractAsyncContextManager[FanOut]]
PEERS: dict[str, dict[str, Maker]] = {
    "no store": {"ours": ours_none, "langgraph": langgraph_none},
    "memory": {"ours": ours_memory, "langgraph": langgraph_memory},
    "sqlite normal": {"ours": lambda: ours_sqlite("relaxed"), "langgraph": lambda: langgraph_sqlite("NORMAL")},
    "sqlite full": {"ours": lambda: ours_sqlite("full"), "langgraph": lambda: langgraph_sqlite("FULL")},
    "postgres": {"ours": ours_postgres, "langgraph": langgraph_postgres},
}


async def measure(place: str, peer: str) -> dict:
    async with PEERS[place][peer]() as run:
        times = []
        for at in range(WARM_UP + ROUNDS):
            gc.collect()
            started = time.perf_counter()
            await run()
            if at >= WARM_UP:
                times.append((time.perf_counter() - started) * 1e3)
    return {"ms": statistics.median(times), "ms_best": min(times)}


def main(places: list[str]) -> dict[str, dict]:
    rows, lines = {}, []
    for place in places:
        for peer in PEERS[place]:
            row = rows[f"{place}: {peer}"] = child("fan_out.py", "--measure", place, peer)
            figures = ["failed", ""] if "failed" in row else [f"{row[key]:.1f}" for key in ("ms", "ms_best")]
            lines.append([place, peer, *figures])
    table(f"Fan-out to {WIDTH} nodes, and join", ["checkpoints in", "", "ms (median)", "ms (best)"], lines)
    failures(rows)
    for place, within in WITHIN_MS.items():
        if (row := rows.get(f"{place}: ours")) and "ms" in row:
            target(f"{place}: within {within} ms: {row['ms']:.1f}", met=row["ms"] <= within)
    save("fan-out", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(*sys.argv[2:4]))))
    else:
        main(sys.argv[1:] or list(PEERS))
