"""A loop of super-steps, written for each peer the way its own documentation writes it.

The state is a counter and a list that grows by one message with every step; a checkpoint is made after every step and
is durable before the next one begins. Each maker gives a context manager, which gives a function that runs a fresh
loop of so many steps and checks what it left.
"""

from __future__ import annotations

import contextlib
import json
import operator
import uuid
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import stores

Loop = Callable[[int], None]


def message(number: int) -> dict[str, str]:
    return {"role": "assistant", "content": f"message {number} of a conversation that goes on"}


def checked(count: int, messages: list[Any], steps: int) -> None:
    if count != steps or len(messages) != steps:
        raise AssertionError(f"{count} steps and {len(messages)} messages instead of {steps}")


# --- langgraph -------------------------------------------------------------------------------------------------------


class Conversation(TypedDict):
    count: int
    messages: Annotated[list[dict[str, str]], operator.add]


def langgraph_graph(steps: Callable[[], int], saver: Any) -> Any:
    from langgraph.graph import END, START, StateGraph

    def step(state: Conversation) -> dict[str, Any]:
        return {"count": state["count"] + 1, "messages": [message(state["count"])]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < steps() else END)
    return graph.compile(checkpointer=saver)


def langgraph_loop(saver: Any) -> Loop:
    limit = 0
    graph = langgraph_graph(lambda: limit, saver)

    def run(steps: int) -> None:
        nonlocal limit
        limit = steps
        config = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": steps + 10}
        end = graph.invoke({"count": 0, "messages": []}, config, durability="sync")
        checked(end["count"], end["messages"], steps)

    return run


@contextlib.contextmanager
def langgraph_memory() -> Iterator[Loop]:
    from langgraph.checkpoint.memory import InMemorySaver

    yield langgraph_loop(InMemorySaver())


@contextlib.contextmanager
def langgraph_sqlite(synchronous: str) -> Iterator[Loop]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with stores.sqlite_path() as path, contextlib.closing(stores.connect(path, synchronous)) as connection:
        yield langgraph_loop(SqliteSaver(connection))


@contextlib.contextmanager
def langgraph_postgres() -> Iterator[Loop]:
    from langgraph.checkpoint.postgres import PostgresSaver

    with stores.postgres_dsn() as dsn, PostgresSaver.from_conn_string(dsn) as saver:
        saver.setup()
        yield langgraph_loop(saver)


# --- ours ------------------------------------------------------------------------------------------------------------


def ours_graph(steps: Callable[[], int], checkpointer: Any, durability: str) -> Any:
    from atomr_agents.workflow import END, START, StateGraph

    async def step(state: Conversation) -> dict[str, Any]:
        return {"count": state["count"] + 1, "messages": [message(state["count"])]}

    graph = StateGraph(Conversation)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["count"] < steps() else END, ["step", END])
    return graph.compile(checkpointer, durability=durability)


def ours_loop(checkpointer: Any, durability: str = "full") -> Loop:
    import asyncio

    limit = 0
    graph = ours_graph(lambda: limit, checkpointer, durability)
    loop = asyncio.new_event_loop()

    def run(steps: int) -> None:
        nonlocal limit
        limit = steps
        config = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": steps + 10}
        end = loop.run_until_complete(graph.ainvoke({"count": 0, "messages": []}, config))
        checked(end["count"], end["messages"], steps)

    return run


@contextlib.contextmanager
def ours_memory() -> Iterator[Loop]:
    from atomr_agents.state import in_memory_checkpointer

    yield ours_loop(in_memory_checkpointer())


@contextlib.contextmanager
def ours_sqlite(durability: str) -> Iterator[Loop]:
    from atomr_agents.state import sqlite_checkpointer

    with stores.sqlite_path() as path:
        yield ours_loop(sqlite_checkpointer(path), durability)


@contextlib.contextmanager
def ours_postgres() -> Iterator[Loop]:
    from atomr_agents.state import postgres_checkpointer

    with stores.postgres_dsn() as dsn:
        yield ours_loop(postgres_checkpointer(dsn))


# --- burr ------------------------------------------------------------------------------------------------------------


def burr_loop(persister: Any) -> Loop:
    from burr.core import ApplicationBuilder, State, action

    @action(reads=["count"], writes=["count", "messages"])
    def step(state: State) -> State:
        return state.append(messages=message(state["count"])).update(count=state["count"] + 1)

    @action(reads=[], writes=[])
    def done(state: State) -> State:
        return state

    def run(steps: int) -> None:
        from burr.core import expr

        builder = ApplicationBuilder().with_actions(step, done)
        builder = builder.with_transitions(("step", "step", expr(f"count < {steps}")), ("step", "done"))
        builder = builder.with_state(count=0, messages=[]).with_entrypoint("step")
        builder = builder.with_identifiers(app_id=uuid.uuid4().hex).with_state_persister(persister)
        _, _, end = builder.build().run(halt_after=["done"])
        checked(end["count"], end["messages"], steps)

    return run


@contextlib.contextmanager
def burr_memory() -> Iterator[Loop]:
    from burr.core.persistence import InMemoryPersister

    yield burr_loop(InMemoryPersister())


@contextlib.contextmanager
def burr_sqlite(synchronous: str) -> Iterator[Loop]:
    from burr.core.persistence import SQLitePersister

    with stores.sqlite_path() as path:
        persister = SQLitePersister(str(path), connection=stores.connect(path, synchronous))
        persister.initialize()
        yield burr_loop(persister)


# --- the floor -------------------------------------------------------------------------------------------------------

TABLE = "CREATE TABLE steps (run TEXT, at BIGINT, body TEXT, PRIMARY KEY (run, at))"


def body(number: int) -> str:
    """What is new in a step, and nothing else."""
    return json.dumps({"step": number, "count": number + 1, "messages": [message(number)]})


@contextlib.contextmanager
def bare_sqlite(synchronous: str) -> Iterator[Loop]:
    with stores.sqlite_path() as path, contextlib.closing(stores.connect(path, synchronous)) as connection:
        connection.isolation_level = None
        connection.execute(TABLE)

        def run(steps: int) -> None:
            name = uuid.uuid4().hex
            for at in range(steps):
                connection.execute("INSERT INTO steps VALUES (?, ?, ?)", (name, at, body(at)))
            (count,) = connection.execute("SELECT count(*) FROM steps WHERE run = ?", (name,)).fetchone()
            checked(count, [None] * count, steps)

        yield run


@contextlib.contextmanager
def bare_postgres() -> Iterator[Loop]:
    import psycopg

    with stores.postgres_dsn() as dsn, psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(TABLE)

        def run(steps: int) -> None:
            name = uuid.uuid4().hex
            for at in range(steps):
                connection.execute("INSERT INTO steps VALUES (%s, %s, %s)", (name, at, body(at)))
            row = connection.execute("SELECT count(*) FROM steps WHERE run = %s", (name,)).fetchone()
            assert row is not None
            checked(row[0], [None] * row[0], steps)

        yield run


Maker = Callable[[], contextlib.AbstractContextManager[Loop]]

# By where the checkpoints go; the first of each is the floor where there is one.
LOOPS: dict[str, dict[str, Maker]] = {
    "memory": {"ours": ours_memory, "burr": burr_memory, "langgraph": langgraph_memory},
    "sqlite normal": {
        "bare": lambda: bare_sqlite("NORMAL"),
        "ours": lambda: ours_sqlite("relaxed"),
        "burr": lambda: burr_sqlite("NORMAL"),
        "langgraph": lambda: langgraph_sqlite("NORMAL"),
    },
    "sqlite full": {
        "bare": lambda: bare_sqlite("FULL"),
        "ours": lambda: ours_sqlite("full"),
        "burr": lambda: burr_sqlite("FULL"),
        "langgraph": lambda: langgraph_sqlite("FULL"),
    },
    "postgres": {"bare": bare_postgres, "ours": ours_postgres, "langgraph": langgraph_postgres},
}
