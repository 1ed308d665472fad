"""What we send is what the providers' own SDKs would send: their types know every field of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, Message, ToolReturn, tool
from atomr_agents.testkit import ReplayServer, ScriptedModel

Checks = dict[str, Callable[[Any], None]]
PORTABLE = Path(__file__).parents[1] / "data" / "portable"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "media", "kind": "image", "source": {"base64": PIXEL}, "media_type": "image/png"}


@dataclass
class Weather:
    city: str
    degrees: int


@tool
def screenshot(screen: int) -> ToolReturn:
    """What is on a screen.

    Args:
        screen: Which one, from 1.
    """
    return ToolReturn.content([f"Screen {screen}:", IMAGE])


@tool
def add(a: int, b: int = 1) -> int:
    """Adds."""
    if a < 0:
        raise ValueError("no negative numbers")
    return a + b


def script() -> ScriptedModel:
    calls = (("screenshot", {"screen": 1}), ("add", {"a": 2, "b": 3}), ("add", {"a": -1}))
    return ScriptedModel().tool_calls(*calls, text="I look.").text('{"city": "Oslo", "degrees": 4}')


def bodies_of(model: str, **settings: Any) -> list[dict[str, Any]]:
    """The requests of a conversation with tools, results at once, a failed one, pictures and a typed answer."""
    with ReplayServer(script()) as server:
        settings = {"instructions": "Be brief.", "output_mode": "native", **settings}
        agent = Agent(
            model,
            base_url=server.base_url,
            api_key="any",
            tools=[screenshot, add],
            output_type=Weather,
            max_tokens=2000,
            **settings,
        )
        question = Message("user", [{"type": "text", "text": "What is this?"}, IMAGE])
        result = agent.run_sync(question)
        assert result.output == Weather("Oslo", 4)
        agent.run_sync("And this?", history=result.messages)
        return [request["body"] for request in server.requests]


def test_a_conversation_is_one_that_the_sdk_knows(provider: str, model: str, checks: Checks) -> None:
    bodies = bodies_of(model)
    assert len(bodies) >= 3
    text = json.dumps(bodies[1])
    assert text.count(PIXEL) == 2 and "no negative numbers" in text
    for body in bodies:
        checks[provider](body)


SETTINGS: dict[str, dict[str, Any]] = {
    "sampling": {"temperature": 0.5, "top_p": 0.9},
    "seed": {"seed": 7},
    "stop": {"stop": ["END"]},
    "effort": {"reasoning_effort": "low"},
    "thinking": {"thinking_budget": 1024},
    "no thinking": {"thinking_budget": 0},
    "required": {"tool_choice": "required"},
    "this tool": {"tool_choice": "add"},
    "no tool": {"tool_choice": "none"},
    "cache points": {"prompt_cache": ["tools", "system", "messages"]},
    "metadata": {"metadata": {"user_id": "u1"}},
    "shape by a tool": {"output_mode": "tool"},
    "shape in words": {"output_mode": "prompted"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_one_that_the_sdk_knows(name: str, provider: str, model: str, checks: Checks) -> None:
    if (provider, name) == ("openai-responses", "stop"):
        pytest.skip("the Responses API knows no stop texts, and the client says so")
    if name == "shape by a tool":
        with ReplayServer(ScriptedModel().tool_calls(("final_answer", {"city": "Oslo", "degrees": 4}))) as server:
            agent = Agent(model, base_url=server.base_url, api_key="any", output_type=Weather, **SETTINGS[name])
            agent.run_sync("Oslo?")
            bodies = [request["body"] for request in server.requests]
    else:
        bodies = bodies_of(model, **SETTINGS[name])
    for body in bodies:
        checks[provider](body)


FIXTURES = sorted(PORTABLE.glob("*/*.json"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_transcript_of_another_provider_is_one_that_the_sdk_knows(path: Path, checks: Checks) -> None:
    checks[path.stem.partition("-to-")[2]](json.loads(path.read_text(encoding="utf-8")))


def test_the_fixtures_are_there() -> None:
    assert len(FIXTURES) == 92


def test_the_types_are_strict(checks: Checks) -> None:
    """An unknown field, a wrong one and a missing one are refused, deep inside too."""
    for provider, check in checks.items():
        body = json.loads((PORTABLE / f"parallel-tools/openai-to-{provider}.json").read_text(encoding="utf-8"))
        check(body)
        turns = {"openai": "messages", "anthropic": "messages", "openai-responses": "input", "gemini": "contents"}
        spoilt = [{**body, "unheard_of": 1}, {**body, turns[provider]: [{"role": 7}]}]
        deep = json.loads(json.dumps(body))
        deep[turns[provider]][-1]["unheard_of"] = 1
        for each in [*spoilt, deep]:
            with pytest.raises((ValueError, AssertionError)):
                check(each)
