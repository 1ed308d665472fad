"""What an idle conversation of ten messages holds in memory: resident memory of many of them, divided.

`python idle_sessions.py [PEER…]` measures everybody, each in its own process. Every message has a text of its own, of
64 characters; the conversation is held the way the library holds one between two turns: in its in-memory saver or
session where it has one, else as the list that its documentation says to keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import operator
import sys
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypedDict

from agent_memory import resident
from common import child, failures, save, table, target

SESSIONS = 10_000
MESSAGES = 10
WITHIN_BYTES = 5_000

# Makes the conversation with this number, and gives what must be held for it.
Make = Callable[[int], Any]


def text(session: int, at: int) -> str:
    return f"message {at} of conversation {session}".ljust(64, ".")


def role(at: int) -> str:
    return "assistant" if at % 2 else "user"


class Held(TypedDict):
    session: int
    messages: Annotated[list[Any], operator.add]


def langgraph(message: Callable[[int, int], Any], durability: Any) -> Make:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(Held)
    graph.add_node("model", lambda state: {"messages": [message(state["session"], MESSAGES - 1)]})
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    compiled = graph.compile(checkpointer=InMemorySaver())

    def make(session: int) -> None:
        config: Any = {"configurable": {"thread_id": f"conversation-{session}"}}
        first = [message(session, at) for at in range(MESSAGES - 1)]
        end = compiled.invoke({"session": session, "messages": first}, config, durability=durability)
        assert len(end["messages"]) == MESSAGES

    return make


def langgraph_default() -> Make:
    from langchain_core.messages import AIMessage, HumanMessage

    return langgraph(lambda session, at: (AIMessage if at % 2 else HumanMessage)(text(session, at)), None)


def langgraph_least() -> Make:
    """Plain dictionaries, and one checkpoint for a turn instead of one for a step."""
    return langgraph(lambda session, at: {"role": role(at), "content": text(session, at)}, "exit")


def ours_session() -> Make:
    """A turn of an agent in a session for each two messages."""
    from atomr_agents import Agent
    from atomr_agents.guest import inference_client

    @inference_client
    async def model(request: dict[str, Any], ctx: Any) -> AsyncIterator[str]:
        asked = request["messages"][-1]["parts"][0]["text"].rstrip(".").split()
        yield text(int(asked[-1]), int(asked[1]) + 1)

    agent = Agent(model)
    loop = asyncio.new_event_loop()

    def make(session: int) -> None:
        name = f"conversation-{session}"
        for at in range(0, MESSAGES, 2):
            end = loop.run_until_complete(agent.run(text(session, at), session=name))
        assert [message.text for message in end.messages] == [text(session, at) for at in range(MESSAGES)]

    return make


def ours_graph() -> Make:
    from atomr_agents.state import in_memory_checkpointer
    from atomr_agents.workflow import END, START, StateGraph

    async def model(state: Held) -> dict[str, Any]:
        return {"messages": [{"role": role(MESSAGES - 1), "content": text(state["session"], MESSAGES - 1)}]}

    graph = StateGraph(Held)
    graph.add_node("model", model)
    graph.add_edge(START, "model")
    graph.add_edge("model", END)
    compiled = graph.compile(in_memory_checkpointer())
    loop = asyncio.new_event_loop()

    def make(session: int) -> None:
        config: Any = {"configurable": {"thread_id": f"conversation-{session}"}}
        first = [{"role": role(at), "content": text(session, at)} for at in range(MESSAGES - 1)]
        end = loop.run_until_complete(compiled.ainvoke({"session": session, "messages": first}, config))
        assert len(end["messages"]) == MESSAGES

    return make


def pydantic_ai() -> Make:
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    def message(session: int, at: int) -> ModelRequest | ModelResponse:
        if at % 2:
            return ModelResponse(parts=[TextPart(text(session, at))])
        return ModelRequest(parts=[UserPromptPart(text(session, at))])

    return lambda session: [message(session, at) for at in range(MESSAGES)]


def openai_agents_list() -> Make:
    return lambda session: [{"role": role(at), "content": text(session, at)} for at in range(MESSAGES)]


def openai_agents_session() -> Make:
    from agents import SQLiteSession

    loop = asyncio.new_event_loop()

    def make(session: int) -> Any:
        held = SQLiteSession(f"conversation-{session}")
        items: Any = [{"role": role(at), "content": text(session, at)} for at in range(MESSAGES)]
        loop.run_until_complete(held.add_items(items))
        return held

    return make


MAKERS: dict[str, Callable[[], Make]] = {
    "ours, session of an agent": ours_session,
    "ours, in_memory_checkpointer": ours_graph,
    "langgraph, InMemorySaver": langgraph_default,
    'langgraph, InMemorySaver, durability="exit"': langgraph_least,
    "pydantic-ai, list of messages": pydantic_ai,
    "openai-agents, list of items": openai_agents_list,
    "openai-agents, SQLiteSession": openai_agents_session,
}


def measure(name: str) -> dict:
    make = MAKERS[name]()
    kept: list[Any] = [None] * SESSIONS
    # What the first ones load and cache is not theirs alone.
    first = SESSIONS // 20
    for at in range(first):
        kept[at] = make(at)
    gc.collect()
    before = resident()
    for at in range(first, SESSIONS):
        kept[at] = make(at)
    gc.collect()
    bytes_each = (resident() - before) / (SESSIONS - first)
    for each in kept:
        with contextlib.suppress(AttributeError):
            each.close()
    return {"bytes": bytes_each}


def main(names: list[str]) -> dict[str, dict]:
    rows = {name: child("idle_sessions.py", "--measure", name) for name in names}
    lines = [[name, "failed" if "failed" in row else f"{row['bytes'] / 1e3:.2f}"] for name, row in rows.items()]
    table(f"An idle conversation of {MESSAGES} messages, {SESSIONS:,} of them", ["", "KB each"], lines)
    failures(rows)
    for name, row in rows.items():
        if name.startswith("ours") and "bytes" in row:
            met = row["bytes"] < WITHIN_BYTES
            target(f"{name}: under {WITHIN_BYTES / 1e3:.0f} KB: {row['bytes'] / 1e3:.2f}", met=met)
    save("idle-sessions", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(sys.argv[1:] or list(MAKERS))
