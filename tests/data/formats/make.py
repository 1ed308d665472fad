"""Writes a database of today's formats, `sqlite-N-frames-M.db`: run it once when one of them is new, never over a file.

The frames of `sqlite-1.db` are of format 1.

A file that was released stays as it is: `tests/state/test_formats.py` reads each with the version under test.
"""

import asyncio
import sys
from operator import add
from pathlib import Path
from typing import Annotated, TypedDict

from atomr_agents import START, Agent, StateGraph, interrupt, tool
from atomr_agents.state import Checkpointer, CheckpointKey, Journal, runs, sqlite_store
from atomr_agents.testkit import ScriptedModel


class Log(TypedDict):
    lines: Annotated[list[str], add]
    count: int


@tool
async def look(n: int) -> str:
    """Looks."""
    return f"seen {n}" * 100


@tool(requires_approval=True)
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


def graph() -> StateGraph[Log]:
    built = StateGraph(Log)
    built.add_node("a", lambda state: {"lines": ["a"], "count": state["count"] + 1})
    built.add_node("b", lambda state: {"lines": [f"b {interrupt('sure?')}"]})
    return built.add_edge(START, "a").add_edge("a", "b")


def agents(store: object) -> tuple[Agent, Agent]:
    script = ScriptedModel().tool_calls(("look", {"n": 1}), ("look", {"n": 2}), text="Let me look.").text("Done.")
    paying = ScriptedModel().tool_calls(("pay", {"amount": 5})).text("It is paid.")
    return (
        Agent(script.by_conversation(), tools=[look], store=store, name="looking"),
        Agent(paying.by_conversation(), tools=[pay], store=store, name="paying"),
    )


async def main(path: str) -> None:
    store = sqlite_store(path)
    looking, paying = agents(store)
    await looking.run("What is there?", run_id="looked")
    await paying.run("Pay 5.", run_id="waits")
    thread = {"configurable": {"thread_id": "asked"}}
    await graph().compile(store).ainvoke({"lines": ["in"], "count": 6}, thread)
    async with Journal.open(store, "script", target="shop") as journal:
        await journal.effect("charge", lambda amount: f"receipt {amount}", 20, effect="once")
        journal.output = "sold"
    checkpointer = Checkpointer(store)
    for step in range(3):
        await checkpointer.save(CheckpointKey("w", "saved", step), {"n": step, "text": "long " * 1_000})
    await runs(store).fork("saved", at_step=1, name="forked", edits={"n": 100})


if __name__ == "__main__":
    if Path(sys.argv[1]).exists():
        raise SystemExit(f"{sys.argv[1]} is there: released files are not written again")
    asyncio.run(main(sys.argv[1]))
