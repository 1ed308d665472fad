"""What an idle agent with two tools holds: resident memory of many of them, divided.

Model and tools are made once and shared, as a program with many agents would. `python agent_memory.py [PEER…]`
measures the peers beside each other, each in its own process.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import child, failures, save, table, target
from peers import BOTH, MODEL, PEERS, SYSTEM

# Enough of the small ones that the grain of pages and arenas does not show.
AGENTS = {"ours": 20_000, "openai-agents": 10_000, "pydantic-ai": 2_000, "langgraph": 1_000}
WITHIN_BYTES = 2_000
Make = Callable[[], Any]


def ours() -> Make:
    from atomr_agents import Agent, InferenceClient, tool

    client = InferenceClient.openai(api_key="x")
    tools = [tool(each) for each in BOTH]
    return lambda: Agent(client, model_name=MODEL, instructions=SYSTEM, tools=tools)


def openai_agents() -> Make:
    from openai import AsyncOpenAI

    from agents import Agent, OpenAIChatCompletionsModel, function_tool

    model = OpenAIChatCompletionsModel(MODEL, openai_client=AsyncOpenAI(api_key="x"))
    tools: list[Any] = [function_tool(each) for each in BOTH]
    return lambda: Agent(name="bench", instructions=SYSTEM, model=model, tools=list(tools))


def pydantic_ai() -> Make:
    from pydantic_ai import Agent, Tool
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(api_key="x"))
    tools = [Tool(each) for each in BOTH]
    return lambda: Agent(model, instructions=SYSTEM, tools=tools)


def langgraph() -> Make:
    import warnings

    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    warnings.simplefilter("ignore")
    from langgraph.prebuilt import create_react_agent

    model = ChatOpenAI(model=MODEL, api_key="x")
    tools = [tool(each) for each in BOTH]
    return lambda: create_react_agent(model, tools, prompt=SYSTEM)


MAKERS = {"ours": ours, "openai-agents": openai_agents, "pydantic-ai": pydantic_ai, "langgraph": langgraph}


def resident() -> int:
    """Bytes of the process in memory."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Rss")


def measure(peer: str) -> dict:
    make = MAKERS[peer]()
    count = AGENTS[peer]
    kept: list[Any] = [None] * count
    # What the first ones load and cache is not theirs alone.
    for at in range(count // 20):
        kept[at] = make()
    gc.collect()
    start, before = count // 20, resident()
    for at in range(start, count):
        kept[at] = make()
    gc.collect()
    return {"bytes": (resident() - before) / (count - start)}


def main(names: list[str]) -> dict[str, dict]:
    rows = {peer: child("agent_memory.py", "--measure", peer) for peer in names}
    ours = rows.get("ours", {}).get("bytes")
    lines = []
    for peer, row in rows.items():
        if "failed" in row:
            lines.append([PEERS[peer][0], "failed", ""])
            continue
        lines.append([PEERS[peer][0], f"{row['bytes'] / 1e3:.2f}", f"{row['bytes'] / ours:.1f} x" if ours else ""])
    table("An idle agent with two tools", ["model and tools are shared", "KB", "beside ours"], lines)
    failures(rows)
    if ours:
        target(f"under {WITHIN_BYTES / 1e3:.0f} KB: {ours / 1e3:.2f}", met=ours < WITHIN_BYTES)
    save("memory", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        main(sys.argv[1:] or list(MAKERS))
