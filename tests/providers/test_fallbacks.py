"""Agents whose model fails before its first word: another provider's answers, and either goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atomr_agents import Agent
from atomr_agents.errors import StreamInterruptedError
from atomr_agents.testkit import Fault, ReplayServer, ScriptedModel

Checks = dict[str, Callable[[Any], None]]
FIRST = {
    "openai": "gpt-4o",
    "openai-responses": "gpt-4.1",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
}
VARIABLES = {
    "openai": "OPENAI",
    "openai-responses": "OPENAI",
    "anthropic": "ANTHROPIC",
    "gemini": "GEMINI",
}
PAIRS = [(one, two) for one in FIRST for two in FIRST if one != two]


def add(a: int, b: int) -> int:
    return a + b


def script() -> ScriptedModel:
    calls = (("add", {"a": 2, "b": 3}), ("add", {"a": 4, "b": 5}))
    return ScriptedModel().tool_calls(*calls, text="I add.").text("5 and 9.").text("14.")


@pytest.mark.parametrize("fault", [Fault.status(529, "Overloaded"), Fault.reset(), Fault.no_head()], ids=repr)
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda name: name)
def test_the_next_provider_answers_and_either_goes_on(
    first: str, second: str, fault: Fault, checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReplayServer(script(), faults=fault) as failing, ReplayServer(script()) as steady:
        monkeypatch.setenv(f"{VARIABLES[second]}_BASE_URL", steady.base_url)
        monkeypatch.setenv(f"{VARIABLES[second]}_API_KEY", "any")
        one, two = f"{first}:{FIRST[first]}", f"{second}:{FIRST[second]}"
        at_first: dict[str, Any] = {"base_url": failing.base_url, "api_key": "any", "max_attempts": 1, "tools": [add]}
        agent = Agent(one, fallbacks=[two], **at_first)
        result = agent.run_sync("2 + 3, 4 + 5?")
        assert result.output == "5 and 9."
        assert (len(failing.requests), len(steady.requests)) == (2, 1)

        # The first one is well again: it was given the other's calls with their results, and goes on from there.
        assert agent.run_sync("Together?", history=result.messages).output == "14."
        assert Agent(one, **at_first).run_sync("Together?", history=result.messages).output == "14."
        assert Agent(two, tools=[add]).run_sync("Together?", history=result.messages).output == "14."
        for provider, server, count in ((first, failing, 4), (second, steady, 2)):
            assert len(server.requests) == count
            for request in server.requests:
                checks[provider](request["body"])


async def test_the_stream_tells_of_the_change_and_a_word_once_said_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        ReplayServer(script(), faults=[Fault.status(529), Fault.half_event(3)]) as failing,
        ReplayServer(ScriptedModel().text("It is 5.")) as steady,
    ):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", steady.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        settings: dict[str, Any] = {"base_url": failing.base_url, "api_key": "any", "max_attempts": 1}
        agent = Agent("openai:gpt-4o", fallbacks=["anthropic:claude-sonnet-4-5"], tools=[add], **settings)
        events = [event async for event in agent.stream("2 + 3?")]
        (fell,) = [event for event in events if event.kind == "model_fallback"]
        told = fell.to_dict()
        assert told["from"] == "gpt-4o" and told["to"] == "claude-sonnet-4-5"
        with pytest.raises(StreamInterruptedError):
            await agent.run("2 + 3?")
        assert len(steady.requests) == 1
