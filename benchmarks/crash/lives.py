"""One life of the graph for each saver: it goes on from what is stored, and says on standard output what it does.

Every line is one write, so that nothing of it is lost or mixed when the process is killed: `resumed N`, then for each
step `effect N T` (T in nanoseconds of the machine's monotonic clock) and `ack N`, at last `done`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import stores
from crash.ledger import Ledger
from step_loops import Conversation, message


class Life(NamedTuple):
    """What a life is told."""

    store: str
    run: str
    ledger: str
    steps: int


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def langgraph(saver: Any, life: Life, durability: Any) -> None:
    from langgraph.graph import END, START, StateGraph

    ledger = Ledger(Path(life.ledger))

    def step(state: Conversation) -> dict[str, Any]:
        number = state["count"]
        say(f"effect {number} {time.monotonic_ns()}")
        ledger.write(f"{life.run}:{number}")
        return {"count": number + 1, "messages": [message(number)]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < life.steps else END)
    compiled = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": life.run}, "recursion_limit": life.steps + 10}
    held = compiled.get_state(config).values
    say(f"resumed {held.get('count', 0)}")
    start = None if held else {"count": 0, "messages": []}
    for state in compiled.stream(start, config, stream_mode="values", durability=durability):
        if state.get("count"):
            say(f"ack {state['count'] - 1}")
    end = compiled.get_state(config).values
    if end["messages"] != [message(number) for number in range(life.steps)]:
        raise AssertionError(f"{len(end['messages'])} messages after {life.steps} steps")


@contextlib.contextmanager
def langgraph_sqlite(life: Life) -> Iterator[Any]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with contextlib.closing(stores.connect(Path(life.store), "FULL")) as connection:
        yield SqliteSaver(connection)


@contextlib.contextmanager
def langgraph_postgres(life: Life) -> Iterator[Any]:
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(life.store) as saver:
        saver.setup()
        yield saver


def ours(life: Life) -> None:
    """The same graph, with the same effect: a step that is begun again makes it again."""
    import asyncio

    from atomr_agents.state import postgres_checkpointer, sqlite_checkpointer
    from atomr_agents.workflow import END, START, StateGraph

    ledger = Ledger(Path(life.ledger))

    async def step(state: Conversation) -> dict[str, Any]:
        number = state["count"]
        say(f"effect {number} {time.monotonic_ns()}")
        ledger.write(f"{life.run}:{number}")
        return {"count": number + 1, "messages": [message(number)]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < life.steps else END, ["step", END])
    on_server = life.store.startswith("postgres")
    compiled = graph.compile((postgres_checkpointer if on_server else sqlite_checkpointer)(life.store))
    config: Any = {"configurable": {"thread_id": life.run}, "recursion_limit": life.steps + 10}

    async def live() -> None:
        held = (await compiled.aget_state(config)).values
        say(f"resumed {held.get('count', 0)}")
        start = None if held else {"count": 0, "messages": []}
        # Killed after its last step, a run has nothing left to do.
        if held.get("count") != life.steps:
            async for state in compiled.astream(start, config, stream_mode="values"):
                if state["count"]:
                    say(f"ack {state['count'] - 1}")
        end = (await compiled.aget_state(config)).values
        if end["messages"] != [message(number) for number in range(life.steps)]:
            raise AssertionError(f"{len(end['messages'])} messages after {life.steps} steps")

    asyncio.run(live())


Saver = Callable[[Life], contextlib.AbstractContextManager[Any]]


def langgraph_life(saver: Saver, durability: str) -> Callable[[Life], None]:
    def live(life: Life) -> None:
        with saver(life) as opened:
            langgraph(opened, life, durability)

    return live


class Peer(NamedTuple):
    """Somebody who is killed."""

    # What is imported before the first life: a process that is up is what is killed, not one that imports.
    imports: tuple[str, ...]
    store: str
    live: Callable[[Life], None]


SQLITE = ("langgraph.graph", "langgraph.checkpoint.sqlite")
POSTGRES = ("langgraph.graph", "langgraph.checkpoint.postgres")
OURS = ("atomr_agents.state", "atomr_agents.workflow")
PEERS = {
    "ours, SQLite": Peer(OURS, "sqlite", ours),
    "ours, PostgreSQL": Peer(OURS, "postgres", ours),
    'langgraph, SQLite, "sync"': Peer(SQLITE, "sqlite", langgraph_life(langgraph_sqlite, "sync")),
    'langgraph, SQLite, "async" (its default)': Peer(SQLITE, "sqlite", langgraph_life(langgraph_sqlite, "async")),
    'langgraph, SQLite, "exit"': Peer(SQLITE, "sqlite", langgraph_life(langgraph_sqlite, "exit")),
    'langgraph, PostgreSQL, "sync"': Peer(POSTGRES, "postgres", langgraph_life(langgraph_postgres, "sync")),
    'langgraph, PostgreSQL, "async" (its default)': Peer(
        POSTGRES, "postgres", langgraph_life(langgraph_postgres, "async")
    ),
}
