"""What a conversation takes on the disk: bytes per turn, and what a hundred forks of it add.

A turn is one call of a graph on its thread: a short question in, an answer of four kilobytes out. The text is random
letters, of which no packing makes much less than three quarters. Counted is everything that the library keeps, after
a checkpoint (SQLite) or a vacuum (PostgreSQL). `python stored_bytes.py` measures everybody, each in its own process.
"""

from __future__ import annotations

import contextlib
import json
import random
import string
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, TypedDict

import stores
from common import child, failures, save, table, target

TURNS = 1_000
FORKS = 100
ANSWER_BYTES = 4_096
PATIENCE_S = 600
WHOLE_TURNS = 300
DELTA_TURNS = 400
WITHIN = 1.3


class Conversation(NamedTuple):
    """What is measured of one library in one store."""

    turn: Callable[[int], None]
    # Forks at that turn, and says something new in the fork.
    fork: Callable[[int], None]
    stored: Callable[[], int]


def answer(number: int) -> str:
    letters = random.Random(number)
    return "".join(letters.choices(string.ascii_letters + string.digits, k=ANSWER_BYTES))


# --- langgraph -------------------------------------------------------------------------------------------------------


def add(held: list[dict[str, str]], new: list[dict[str, str]]) -> list[dict[str, str]]:
    return held + new


def add_batch(held: list[dict[str, str]], writes: list[list[dict[str, str]]]) -> list[dict[str, str]]:
    return [*held, *(each for write in writes for each in write)]


def langgraph_conversation(saver: Any, stored: Callable[[], int], *, deltas: bool) -> Conversation:
    from langgraph.channels.delta import DeltaChannel
    from langgraph.graph import END, START, StateGraph

    reducer = DeltaChannel(add_batch) if deltas else add
    # Not a class: its annotations would be read where `reducer` is not known.
    State = TypedDict("State", {"messages": Annotated[list[dict[str, str]], reducer]})  # noqa: UP013

    def model(held: Any) -> dict[str, Any]:
        return {"messages": [{"role": "assistant", "content": answer(len(held["messages"]))}]}

    graph = StateGraph(State)
    graph.add_node("model", model)
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    compiled = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "conversation"}}
    ends: list[Any] = []

    def turn(number: int) -> None:
        end = compiled.invoke({"messages": [{"role": "user", "content": f"go on {number}"}]}, config, durability="sync")
        if len(end["messages"]) != 2 * (number + 1):
            raise AssertionError(f"{len(end['messages'])} messages after turn {number}")
        ends.append(saver.get_tuple(config).config)

    def fork(at: int) -> None:
        compiled.update_state(ends[at], {"messages": [{"role": "user", "content": f"differently {at}"}]})

    return Conversation(turn, fork, stored)


@contextlib.contextmanager
def langgraph_sqlite(*, deltas: bool = False) -> Iterator[Conversation]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with stores.sqlite_path() as path, contextlib.closing(stores.connect(path, "NORMAL")) as connection:
        yield langgraph_conversation(SqliteSaver(connection), lambda: stores.sqlite_bytes(path), deltas=deltas)


@contextlib.contextmanager
def langgraph_postgres(*, deltas: bool = False) -> Iterator[Conversation]:
    from langgraph.checkpoint.postgres import PostgresSaver

    with stores.postgres_dsn() as dsn, PostgresSaver.from_conn_string(dsn) as saver:
        saver.setup()
        yield langgraph_conversation(saver, lambda: stores.postgres_bytes(dsn), deltas=deltas)


# --- ours ------------------------------------------------------------------------------------------------------------


class Messages(TypedDict):
    messages: Annotated[list[dict[str, str]], add]


def ours_conversation(checkpointer: Any, stored: Callable[[], int]) -> Conversation:
    from atomr_agents.workflow import END, START, StateGraph

    def model(held: Messages) -> dict[str, Any]:
        return {"messages": [{"role": "assistant", "content": answer(len(held["messages"]))}]}

    graph = StateGraph(Messages)
    graph.add_node("model", model)
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    compiled = graph.compile(checkpointer)
    config: Any = {"configurable": {"thread_id": "conversation"}}
    ends: list[Any] = []

    def turn(number: int) -> None:
        end = compiled.invoke({"messages": [{"role": "user", "content": f"go on {number}"}]}, config)
        if len(end["messages"]) != 2 * (number + 1):
            raise AssertionError(f"{len(end['messages'])} messages after turn {number}")
        ends.append(compiled.get_state(config).config)

    def fork(at: int) -> None:
        compiled.update_state(ends[at], {"messages": [{"role": "user", "content": f"differently {at}"}]})

    return Conversation(turn, fork, stored)


@contextlib.contextmanager
def ours_sqlite() -> Iterator[Conversation]:
    from atomr_agents.state import sqlite_checkpointer

    with stores.sqlite_path() as path:
        yield ours_conversation(sqlite_checkpointer(path), lambda: stores.sqlite_bytes(path))


@contextlib.contextmanager
def ours_postgres() -> Iterator[Conversation]:
    from atomr_agents.state import postgres_checkpointer

    with stores.postgres_dsn() as dsn:
        yield ours_conversation(postgres_checkpointer(dsn), lambda: stores.postgres_bytes(dsn))


# Those whose size or time grows with the square of the turns have fewer of them. Whole states: a thousand would be
# gigabytes. Deltas: each turn reads those before it, and a thousand take minutes. More turns are not kinder to them.
class Peer(NamedTuple):
    turns: int
    make: Callable[[], contextlib.AbstractContextManager[Conversation]]


PEERS = {
    "ours, SQLite": Peer(TURNS, ours_sqlite),
    "ours, PostgreSQL": Peer(TURNS, ours_postgres),
    "langgraph, SQLite": Peer(WHOLE_TURNS, langgraph_sqlite),
    "langgraph, SQLite, DeltaChannel (beta)": Peer(DELTA_TURNS, lambda: langgraph_sqlite(deltas=True)),
    "langgraph, PostgreSQL": Peer(WHOLE_TURNS, langgraph_postgres),
    "langgraph, PostgreSQL, DeltaChannel (beta)": Peer(DELTA_TURNS, lambda: langgraph_postgres(deltas=True)),
}


def measure(name: str) -> dict:
    peer = PEERS[name]
    with peer.make() as conversation:
        empty = conversation.stored()
        for number in range(peer.turns):
            conversation.turn(number)
        turned = conversation.stored()
        places = random.Random(1)
        for _ in range(FORKS):
            conversation.fork(places.randrange(peer.turns))
        forked = conversation.stored()
    per_turn = (turned - empty) / peer.turns
    return {
        "turns": peer.turns,
        "per_turn": per_turn,
        "of_raw": per_turn / ANSWER_BYTES,
        "per_fork": (forked - turned) / FORKS,
        "fork_of_all": (forked - turned) / FORKS / (turned - empty),
    }


def main(peers: list[str]) -> dict[str, dict]:
    rows = {peer: child("stored_bytes.py", "--measure", peer, timeout=PATIENCE_S) for peer in peers}
    lines = []
    for peer, row in rows.items():
        if "failed" in row:
            lines.append([peer, "failed", "", "", "", ""])
            continue
        kilobytes = [f"{row[key] / 1e3:.1f}" for key in ("per_turn", "per_fork")]
        ratio, fork = f"{row['of_raw']:.2f} x", f"{row['fork_of_all']:.2%}"
        lines.append([peer, f"{row['turns']:,}", kilobytes[0], ratio, kilobytes[1], fork])
    columns = [f"turns of {ANSWER_BYTES:,} bytes", "turns", "KB per turn", "of the text", "KB per fork", "of the whole"]
    table(f"What is stored, and after {FORKS} forks", columns, lines)
    failures(rows)
    if (row := rows.get("ours, SQLite")) and "of_raw" in row:
        target(f"a turn within {WITHIN} x of its text: {row['of_raw']:.2f} x", met=row["of_raw"] <= WITHIN)
        target(f"a fork under 1 % of the whole: {row['fork_of_all']:.2%}", met=row["fork_of_all"] < 0.01)
    save("bytes", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(sys.argv[1:] or list(PEERS))
