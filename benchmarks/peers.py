"""One streamed agent turn, written for each peer the way its own documentation writes it.

Every maker takes the provider's URL and answers an async function that runs one turn and returns its answer. All
of them offer the model the same two tools. The SDK's clients wait as long as it takes: a thousand turns at once keep
some of them from connecting within its usual five seconds, and a turn that failed is no measure of speed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

Turn = Callable[[], Awaitable[str]]
Functions = Sequence[Callable[..., Any]]

MODEL = "gpt-4o-mini"
PATIENCE = 600.0
SYSTEM = "Answer in one line."
QUESTION = "What is the weather in Oslo, and what time is it there?"
# How often a tool ran: a turn that skipped its tools would be fast and worth nothing.
ran = {"get_weather": 0, "get_time": 0}
# A list, because many threads count at once.
slow_ran: list[int] = []


async def get_weather(city: str, unit: str) -> str:
    """The weather in a city.

    Args:
        city: The name of the city.
        unit: C or F.
    """
    ran["get_weather"] += 1
    return f"10 {unit}, cloudy in {city}"


async def get_time(city: str, clock: int) -> str:
    """The time in a city.

    Args:
        city: The name of the city.
        clock: 12 or 24.
    """
    ran["get_time"] += 1
    return f"16:30 in {city} ({clock} hours)"


def slow(number: int) -> str:
    """Takes its time, and blocks its thread.

    Args:
        number: Any.
    """
    time.sleep(0.010)
    slow_ran.append(number)
    return str(number)


FUNCTIONS = {"get_weather": get_weather, "get_time": get_time}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, other: {"type": kind}},
                "required": ["city", other],
            },
        },
    }
    for name, description, other, kind in [
        ("get_weather", "The weather in a city.", "unit", "string"),
        ("get_time", "The time in a city.", "clock", "integer"),
    ]
]


async def sdk(base_url: str) -> Turn:
    """The openai SDK over aiohttp, with a loop written by hand."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    http = DefaultAioHttpClient(timeout=PATIENCE)
    client = AsyncOpenAI(api_key="x", base_url=base_url, http_client=http, timeout=PATIENCE)

    async def turn() -> str:
        messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
        while True:
            text: list[str] = []
            calls: dict[int, dict[str, str]] = {}
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=messages,
                tools=TOOLS,
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    if choice.delta.content:
                        text.append(choice.delta.content)
                    for part in choice.delta.tool_calls or ():
                        call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                        call["id"] += part.id or ""
                        call["name"] += part.function.name or ""
                        call["arguments"] += part.function.arguments or ""
            if not calls:
                return "".join(text)
            results = await asyncio.gather(
                *(FUNCTIONS[call["name"]](**json.loads(call["arguments"])) for call in calls.values())
            )
            messages += transcript(list(calls.values()), results)

    return turn


def transcript(calls: list[dict[str, str]], results: list[str]) -> list[dict]:
    """What is appended after the tools of a turn ran."""
    asked = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in calls
    ]
    answers = [
        {"role": "tool", "tool_call_id": call["id"], "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return [{"role": "assistant", "content": None, "tool_calls": asked}, *answers]


BOTH = (get_weather, get_time)


async def openai_agents(base_url: str, functions: Functions = BOTH) -> Turn:
    """openai-agents with the chat completions model."""
    from openai import AsyncOpenAI

    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(True)
    client = AsyncOpenAI(api_key="x", base_url=base_url, timeout=PATIENCE)
    model = OpenAIChatCompletionsModel(MODEL, openai_client=client)
    tools = [function_tool(each) for each in functions]
    agent = Agent(name="bench", instructions=SYSTEM, model=model, tools=tools)

    async def turn() -> str:
        result = Runner.run_streamed(agent, QUESTION)
        async for _ in result.stream_events():
            pass
        return str(result.final_output)

    return turn


async def langgraph(base_url: str, functions: Functions = BOTH) -> Turn:
    """langgraph's prebuilt ReAct agent over langchain-openai."""
    import warnings

    from langchain_core.messages import AIMessageChunk
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langgraph.prebuilt import create_react_agent

        model = ChatOpenAI(model=MODEL, api_key="x", base_url=base_url, timeout=PATIENCE, stream_usage=True)
        agent = create_react_agent(model, [tool(each) for each in functions], prompt=SYSTEM)

    async def turn() -> str:
        text: list[str] = []
        inputs = {"messages": [("user", QUESTION)]}
        async for message, _ in agent.astream(inputs, stream_mode="messages"):
            if isinstance(message, AIMessageChunk) and isinstance(message.content, str):
                text.append(message.content)
        return "".join(text)

    return turn


async def pydantic_ai(base_url: str, functions: Functions = BOTH) -> Turn:
    """pydantic-ai with its chat completions model."""
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(api_key="x", base_url=base_url, timeout=PATIENCE)
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, instructions=SYSTEM, tools=list(functions))

    async def turn() -> str:
        async with agent.run_stream_events(QUESTION) as events:
            async for event in events:
                result = getattr(event, "result", None)
        return str(result.output)

    return turn


async def bare(base_url: str) -> Turn:
    """Sockets and orjson: what the wire itself costs in Python. No framework does so little."""
    import orjson

    address = urlsplit(base_url)
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(body: bytes) -> tuple[str, dict[int, dict[str, str]]]:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        # One HTTP chunk holds one event, so the chunk frames need no reading.
        answer = await reader.readuntil(b"0\r\n\r\n")
        idle.append((reader, writer))
        text: list[str] = []
        calls: dict[int, dict[str, str]] = {}
        for line in answer.split(b"\n"):
            if not line.startswith(b"data: {"):
                continue
            for choice in orjson.loads(line[6:])["choices"]:
                delta = choice["delta"]
                if delta.get("content"):
                    text.append(delta["content"])
                for part in delta.get("tool_calls") or ():
                    call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
                    call["id"] += part.get("id") or ""
                    call["name"] += part["function"].get("name") or ""
                    call["arguments"] += part["function"].get("arguments") or ""
        return "".join(text), calls

    async def turn() -> str:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
        while True:
            request = {"model": MODEL, "messages": messages, "tools": TOOLS, "stream": True}
            text, calls = await post(orjson.dumps(request))
            if not calls:
                return text
            results = await asyncio.gather(
                *(FUNCTIONS[call["name"]](**orjson.loads(call["arguments"])) for call in calls.values())
            )
            messages += transcript(list(calls.values()), results)

    return turn


async def ours(base_url: str, functions: Functions = BOTH) -> Turn:
    """atomr-agents."""
    from atomr_agents import Agent, tool

    tools = [tool(each) for each in functions]
    agent = Agent(f"openai:{MODEL}", instructions=SYSTEM, base_url=base_url, api_key="x", tools=tools)

    async def turn() -> str:
        stream = agent.stream(QUESTION)
        async for _ in stream:
            pass
        return str((await stream.result()).output)

    return turn


PEERS: dict[str, tuple[str, Callable[[str], Awaitable[Turn]]]] = {
    "ours": ("atomr-agents", ours),
    "bare": ("bare sockets + orjson", bare),
    "sdk": ("openai SDK, aiohttp, by hand", sdk),
    "openai-agents": ("openai-agents", openai_agents),
    "langgraph": ("langgraph ReAct agent", langgraph),
    "pydantic-ai": ("pydantic-ai", pydantic_ai),
}


async def checked(turn: Turn) -> None:
    """Runs one turn and holds it to its answer."""
    from provider import ANSWER

    answer = await turn()
    if answer != ANSWER:
        raise AssertionError(f"not the answer: {answer!r}")


def check_tools(turns: int) -> None:
    if set(ran.values()) != {turns}:
        raise AssertionError(f"{turns} turns ran their tools {ran} times")


@contextlib.contextmanager
def many_files():
    """A thousand turns hold a thousand connections."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard > 0 else 8192, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
