"""Agents that work together, and tools that order the loop about."""

import asyncio
from typing import Any

import pytest

from atomr_agents import Agent, Budget, Handoff, RunContext, ToolControl, ToolReturn, handoff_tool, tool
from atomr_agents.errors import AgentError, ConfigError
from atomr_agents.testkit import ScriptedModel


async def test_a_conversation_goes_to_another_agent_and_back():
    billing_model = ScriptedModel().tool_calls(("transfer_to_triage", {}))
    billing = Agent(billing_model, name="billing", instructions="Bill.", handoffs=[Handoff("triage", "All else.")])
    triage_model = ScriptedModel().tool_calls(("transfer_to_billing", {"note": "be kind"})).text("bye")
    triage = Agent(triage_model, name="triage", instructions="Sort.", handoffs=[billing])
    async with triage.stream("What do I owe?") as stream:
        events = [event async for event in stream]
        result = await stream.result()
    assert (result.output, result.agent, result.iterations) == ("bye", "triage", 3)
    assert [event.to_dict()["to"] for event in events if event.kind == "handed_off"] == ["billing", "triage"]
    seen = billing_model.requests[0]["messages"]
    assert (seen[0]["parts"][0]["text"], seen[1]["parts"][0]["text"]) == ("Bill.", "What do I owe?")
    assert "be kind" in str(seen[-1])
    assert triage_model.requests[0]["tools"][0]["description"].startswith("Hands the conversation over to billing")


async def test_the_output_type_of_whoever_has_the_last_word_does_not_bind_the_first():
    poet = Agent(ScriptedModel().text("rain, rain"), name="poet")
    asked = ScriptedModel().tool_calls(("transfer_to_poet", {}))
    counting = Agent(asked, output_type=int, handoffs=[poet])
    assert (await counting.run("go")).output == "rain, rain"  # type: ignore[comparison-overlap]


def test_a_handoff_that_is_none_is_refused():
    for wrong in (3, None, b"x"):
        with pytest.raises(ConfigError, match="handoff"):
            Agent(ScriptedModel(), handoffs=[wrong])
    with pytest.raises(ConfigError, match="two of them"):
        Agent(ScriptedModel(), handoffs=["a", "a"])
    assert repr(Handoff("a")) == "<Handoff to a>"


async def test_an_agent_is_a_tool_of_another_and_sees_its_deps():
    @tool
    def who(ctx: RunContext[str]) -> str:
        return f"{ctx.deps} at {ctx.path}"

    inner = ScriptedModel().tool_calls(("who", {})).text("It is Ada.")
    expert = Agent(inner, name="expert", description="Knows people.", tools=[who])
    asked = expert.as_tool(timeout=5.0)
    assert (asked.name, asked.description, asked.timeout) == ("expert", "Knows people.", 5.0)
    assert asked.parameters["required"] == ["task"]
    outer_model = ScriptedModel().tool_calls(("expert", {"task": "Who is it?"})).text("Ada.")
    outer = Agent(outer_model, tools=[asked])
    assert (await outer.run("Who?", deps="Ada")).output == "Ada."
    assert "Ada at expert" in str(inner.requests[1])
    assert "It is Ada." in str(outer_model.requests[1]) and len(outer_model.requests[1]["messages"]) == 3
    assert expert.as_tool(name="oracle").name == "oracle"
    with pytest.raises(ConfigError, match="timeout"):
        expert.as_tool(timeout=-1)


async def test_an_expert_that_fails_is_an_error_the_model_sees():
    expert = Agent(ScriptedModel().error("server_error", "down"), name="expert")
    model = ScriptedModel().tool_calls(("expert", {"task": "x"})).text("It is down.")
    result = await Agent(model, tools=[expert.as_tool()]).run("go")
    part = result.messages[2].parts[0]
    assert part["is_error"] and "expert failed" in part["parts"][0]["text"]


async def test_a_tool_leaves_values_ends_the_run_or_shows_more_than_text():
    image: dict[str, Any] = {
        "type": "media",
        "kind": "image",
        "media_type": "image/png",
        "source": {"base64": "aGk="},
    }

    @tool
    def look() -> ToolReturn:
        return ToolReturn.content_and_artifact(["see:", image], {"rows": 3})

    @tool
    def note() -> ToolControl:
        return ToolControl.update("noted", ticket=7)

    @tool
    def finish() -> ToolReturn:
        return ToolReturn.command(ToolControl.done({"sum": 3}))

    model = ScriptedModel().tool_calls(("look", {}), ("note", {})).tool_calls(("finish", {}))
    result = await Agent(model, tools=[look, note, finish]).run("go")
    assert (result.output, result.values) == ('{"sum":3}', {"ticket": 7})
    shown, noted = result.messages[2].parts
    assert [part["type"] for part in shown["parts"]] == ["text", "media"] and shown["artifact"] == {"rows": 3}
    assert noted["parts"] == [{"type": "text", "text": "noted"}]
    assert ToolReturn.content({"a": 1}) == ToolReturn.content('{"a":1}')


async def test_a_handoff_may_stand_among_other_tools():
    poet = Agent(ScriptedModel().text("rain, rain"), name="poet", description="Rhymes.")
    made = handoff_tool(poet)
    assert (made.name, made.description) == ("transfer_to_poet", "Hands the conversation over to poet. Rhymes.")
    clerk = Agent(ScriptedModel().tool_calls(("hand_on", {})), name="clerk", tools=[hand_on], handoffs=[poet])
    assert (await clerk.run("go")).output == "rain, rain"
    back = ScriptedModel().tool_calls(("transfer_to_clerk", {}))
    other = Agent(back, name="other", tools=[handoff_tool("clerk")])
    model = ScriptedModel().tool_calls(("transfer_to_other", {})).text("Here I am again.")
    assert (await Agent(model, name="clerk", handoffs=[other]).run("go")).agent == "clerk"


@tool
def hand_on() -> ToolControl:
    return ToolControl.handoff("poet")


async def test_a_tool_that_hands_over_by_itself():
    @tool
    def escalate() -> ToolControl:
        return ToolControl.handoff("boss", {"why": "angry"})

    boss = Agent(ScriptedModel().text("I am sorry."), name="boss")
    clerk = Agent(ScriptedModel().tool_calls(("escalate", {})), tools=[escalate], handoffs=[boss])
    assert (await clerk.run("Grr.")).output == "I am sorry."
    alone = ScriptedModel().tool_calls(("escalate", {})).text("Nobody is here.")
    result = await Agent(alone, tools=[escalate]).run("Grr.")
    assert (result.output, result.messages[2].parts[0]["is_error"]) == ("Nobody is here.", True)


async def test_a_tool_that_ends_the_run_gives_the_output_type():
    @tool
    def finish(answer: int) -> ToolControl:
        return ToolControl.done(answer)

    model = ScriptedModel().tool_calls(("finish", {"answer": 3}))
    assert (await Agent(model, tools=[finish], output_type=int).run("go")).output == 3


def test_two_agents_of_one_name_cannot_be_told_apart():
    other = Agent(ScriptedModel())
    with pytest.raises(ConfigError, match="two of the agents"):
        Agent(ScriptedModel(), handoffs=[other])


async def test_what_outlives_its_tool_is_a_run_of_its_own():
    inner = Agent(ScriptedModel().text("inner").repeat(), name="inner")
    slow = Agent(ScriptedModel().text("x").delay(60), name="slow")
    over = asyncio.Event()
    left: list[asyncio.Task[Any]] = []

    async def later() -> Any:
        await over.wait()
        return await inner.run("go")

    @tool
    async def leave() -> str:
        left.append(asyncio.create_task(later()))
        left.append(asyncio.create_task(slow.run("go")))
        await asyncio.sleep(0)
        return "left"

    model = ScriptedModel().tool_calls(("leave", {})).text("done")
    result = await Agent(model, tools=[leave], budget=Budget(iterations=2)).run("go")
    over.set()
    late = await left[0]
    assert (late.output, result.output) == ("inner", "done") and late.run_id != result.run_id
    with pytest.raises((AgentError, asyncio.CancelledError)):
        await left[1]
