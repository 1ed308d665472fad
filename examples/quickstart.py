"""An agent with three tools, asked something that needs several of them at once. This is what `make run` runs.

With a key (OPENAI_API_KEY or --api-key), another server (OPENAI_BASE_URL or --base-url) or a --model, it asks that
provider. Without any of these it needs no network: a server in this process answers over HTTP with recorded bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys

from _view import View

from atomr_agents import Agent, AgentError, RunResult, tool
from atomr_agents.testkit import ReplayServer

QUESTION = "Add and multiply 2 and 3 at the same time, then tell me the temperature in Florence, Italy."
INSTRUCTIONS = "Use the tools for every calculation and for the weather. If a tool fails, say so and go on."


@tool
def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    # An exception ends no run: the model is told, and decides what to do.
    raise RuntimeError(f"the multiplier is out of order, {a} times {b} was not computed")


@tool(timeout=5)
async def weather(location: str) -> str:
    """The temperature at a place, now.

    Args:
        location: A city.
    """
    await asyncio.sleep(0.3)  # an HTTP request would be here
    return "40 °C" if "florence" in location.lower() else "21 °C"


async def ask(agent: Agent[None, str], question: str, view: View) -> RunResult[str]:
    """Runs the agent and shows what happens while it happens."""
    async with agent.stream(question) as stream:
        async for event in stream:
            view.show(event)
        return await stream.result()


def summary(result: RunResult[str]) -> list[tuple[str, str]]:
    usage = result.usage
    cost = "unknown: no price for this model" if result.cost is None else f"${result.cost:.6f}"
    return [
        ("answer", result.output),
        ("tokens", f"{usage.input_tokens} in, {usage.output_tokens} out"),
        ("cost", cost),
        ("model calls", str(result.iterations)),
        ("events", str(result.event_count)),
        ("run", result.run_id),
    ]


async def main(arguments: argparse.Namespace) -> int:
    view = View()
    model, base_url, api_key = arguments.model, arguments.base_url, arguments.api_key
    asked_for = [model, base_url, api_key, os.environ.get("OPENAI_API_KEY"), os.environ.get("OPENAI_BASE_URL")]
    with contextlib.ExitStack() as stack:
        if any(asked_for):
            model = model or "openai:gpt-4o-mini"
            note = f"Asking {base_url or os.environ.get('OPENAI_BASE_URL') or 'api.openai.com'}."
        else:
            # Three real answers of gpt-4o, one event at a time, so that the stream can be watched.
            server = stack.enter_context(ReplayServer(mode="conversation", cut="event", delay_ms=arguments.delay))
            model, base_url, api_key = "openai:gpt-4o", server.base_url, "none needed"
            note = "No key was given: a server in this process replays what gpt-4o once sent, whatever is asked."
        view.header(f"atomr-agents  {model}", note, arguments.question)
        try:
            agent = Agent(
                model,
                instructions=INSTRUCTIONS,
                tools=[add, multiply, weather],
                base_url=base_url,
                api_key=api_key,
            )
            result = await ask(agent, arguments.question, view)
        except AgentError as error:
            view.failure(error.kind, str(error))
            return 1
        view.footer(summary(result))
        return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="quickstart", description=__doc__.partition("\n")[0])
    parser.add_argument("question", nargs="?", default=QUESTION, help="what to ask")
    parser.add_argument("--model", help="such as openai:gpt-4o-mini, which is also the default")
    parser.add_argument("--base-url", help="a server that speaks OpenAI's protocol, such as http://localhost:8000/v1")
    parser.add_argument("--api-key", help="otherwise OPENAI_API_KEY is used")
    parser.add_argument("--delay", type=int, default=40, metavar="MS", help="between two replayed events (40)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal that knows no ✓ shows a ?
    try:
        sys.exit(asyncio.run(main(arguments())))
    except KeyboardInterrupt:
        sys.exit(130)
