"""Resume of a run of a thousand steps: from opening the store to the first line of the next step.

The run is stopped between two steps, everything is closed, and a fresh connection goes on. What has been imported
stays so. `python resume.py` measures everybody, each in its own process.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import stores
from common import child, failures, save, table, target
from step_loops import message

STEPS = 1_000
ROUNDS = 7
WITHIN_MS = 5

# Runs from the state that is stored, if any, for so many steps; gives the time at which the first of them began.
Part = Callable[[int], float]
Open = Callable[[], contextlib.AbstractContextManager[Part]]


def langgraph_part(saver: Any, thread: str) -> Part:
    from langgraph.graph import END, START, StateGraph

    from step_loops import Conversation

    began: list[float] = []
    until = 0

    def step(state: Conversation) -> dict[str, Any]:
        began.append(time.perf_counter())
        if state["count"] != len(state["messages"]):
            raise AssertionError("the state is not the one that was left")
        if state["count"] >= until:
            raise InterruptedError
        return {"count": state["count"] + 1, "messages": [message(state["count"])]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < STEPS * 2 else END)
    compiled = graph.compile(checkpointer=saver)

    def run(steps: int) -> float:
        nonlocal until
        until = steps
        config = {"configurable": {"thread_id": thread}, "recursion_limit": STEPS * 3}
        start = {"count": 0, "messages": []} if saver.get_tuple(config) is None else None
        with contextlib.suppress(InterruptedError):
            compiled.invoke(start, config, durability="sync")
        return began[0]

    return run


@contextlib.contextmanager
def langgraph_sqlite() -> Iterator[Open]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    thread = uuid.uuid4().hex
    with stores.sqlite_path() as path:

        @contextlib.contextmanager
        def opened() -> Iterator[Part]:
            with contextlib.closing(stores.connect(path, "FULL")) as connection:
                yield langgraph_part(SqliteSaver(connection), thread)

        yield opened


@contextlib.contextmanager
def langgraph_postgres() -> Iterator[Open]:
    from langgraph.checkpoint.postgres import PostgresSaver

    thread = uuid.uuid4().hex
    with stores.postgres_dsn() as dsn:
        with PostgresSaver.from_conn_string(dsn) as saver:
            saver.setup()

        @contextlib.contextmanager
        def opened() -> Iterator[Part]:
            with PostgresSaver.from_conn_string(dsn) as saver:
                yield langgraph_part(saver, thread)

        yield opened


# The threads that have begun.
begun: set[str] = set()


def ours_part(checkpointer: Any, thread: str) -> Part:
    import asyncio

    from atomr_agents.workflow import END, START, StateGraph

    from step_loops import Conversation

    began: list[float] = []
    until = 0

    async def step(state: Conversation) -> dict[str, Any]:
        began.append(time.perf_counter())
        if state["count"] != len(state["messages"]):
            raise AssertionError("the state is not the one that was left")
        if state["count"] >= until:
            raise InterruptedError
        return {"count": state["count"] + 1, "messages": [message(state["count"])]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < STEPS * 2 else END, ["step", END])
    compiled = graph.compile(checkpointer)

    def run(steps: int) -> float:
        nonlocal until
        until = steps
        config = {"configurable": {"thread_id": thread}, "recursion_limit": STEPS * 3}
        start = None if thread in begun else {"count": 0, "messages": []}
        begun.add(thread)
        with contextlib.suppress(InterruptedError):
            asyncio.run(compiled.ainvoke(start, config))
        return began[0]

    return run


@contextlib.contextmanager
def ours_sqlite() -> Iterator[Open]:
    from atomr_agents.state import sqlite_checkpointer

    thread = uuid.uuid4().hex
    with stores.sqlite_path() as path:

        @contextlib.contextmanager
        def opened() -> Iterator[Part]:
            yield ours_part(sqlite_checkpointer(path), thread)

        yield opened


@contextlib.contextmanager
def ours_postgres() -> Iterator[Open]:
    from atomr_agents.state import postgres_checkpointer

    thread = uuid.uuid4().hex
    with stores.postgres_dsn() as dsn:

        @contextlib.contextmanager
        def opened() -> Iterator[Part]:
            yield ours_part(postgres_checkpointer(dsn), thread)

        yield opened


PEERS: dict[str, Callable[[], contextlib.AbstractContextManager[Open]]] = {
    "ours, SQLite": ours_sqlite,
    "langgraph, SQLite": langgraph_sqlite,
    "ours, PostgreSQL": ours_postgres,
    "langgraph, PostgreSQL": langgraph_postgres,
}


def measure(peer: str) -> dict:
    times = []
    with PEERS[peer]() as opened:
        with opened() as run:
            run(STEPS)
        for at in range(ROUNDS):
            started = time.perf_counter()
            with opened() as run:
                times.append((run(STEPS + at) - started) * 1e3)
    return {"ms": statistics.median(times), "ms_best": min(times)}


def main(peers: list[str]) -> dict[str, dict]:
    rows = {peer: child("resume.py", "--measure", peer) for peer in peers}
    lines = [
        [peer, *(["failed", ""] if "failed" in row else [f"{row['ms']:.1f}", f"{row['ms_best']:.1f}"])]
        for peer, row in rows.items()
    ]
    table(f"Resume of a run of {STEPS:,} steps", ["", "ms (median)", "ms (best)"], lines)
    failures(rows)
    if (row := rows.get("ours, SQLite")) and "ms" in row:
        target(f"within {WITHIN_MS} ms from SQLite: {row['ms']:.1f}", met=row["ms"] <= WITHIN_MS)
    save("resume", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(sys.argv[1:] or list(PEERS))
