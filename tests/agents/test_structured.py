"""Answers of a certain type: how they are asked for, asked for again, and shown while they are being written."""

import dataclasses
from typing import Annotated, Any, TypedDict

import msgspec
import pydantic
import pytest

from atomr_agents import Agent, tool
from atomr_agents.errors import ConfigError, InvalidOutputError
from atomr_agents.testkit import ScriptedModel


@dataclasses.dataclass
class Weather:
    city: str
    days: int


class Typed(TypedDict):
    city: str
    days: int


class Model(pydantic.BaseModel):
    city: str
    days: Annotated[int, pydantic.Field(ge=0)]

    @pydantic.field_validator("city")
    @classmethod
    def known(cls, city: str) -> str:
        if city == "Atlantis":
            raise ValueError("there is no such city")
        return city


class Struct(msgspec.Struct):
    city: str
    days: int


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
ANSWER = '{"city": "Oslo", "days": 3}'
PLAIN = {"city": "Oslo", "days": 3}


@pytest.mark.parametrize("mode", ["native", "tool", "prompted"])
@pytest.mark.parametrize("kind", [Weather, Typed, Model, Struct, SCHEMA])
async def test_every_type_comes_out_in_every_mode(kind: Any, mode: str):
    model = ScriptedModel()
    model = model.tool_calls(("final_answer", PLAIN)) if mode == "tool" else model.text(ANSWER)
    result = await Agent(model, output_type=kind, output_mode=mode).run("go")
    wanted = PLAIN if kind in (Typed, SCHEMA) else kind(**PLAIN)
    assert result.output == wanted
    request = model.requests[0]
    assert ("output" in request) == (mode == "native")
    assert any(each["name"] == "final_answer" for each in request.get("tools", ())) == (mode == "tool")
    said = request["messages"][0]["parts"][0]["text"]
    assert ('"days"' in said) == (mode == "prompted")


async def test_a_wrong_answer_is_asked_for_again_also_when_only_the_type_says_so():
    atlantis = '{"city": "Atlantis", "days": 3}'
    model = ScriptedModel().text("no").text('{"city": "Oslo"}').text(atlantis).text(ANSWER)
    agent = Agent(model, output_type=Model, output_retries=3)
    async with agent.stream("go") as stream:
        rejected = [event async for event in stream if event.kind == "output_rejected"]
        assert (await stream.result()).output == Model(city="Oslo", days=3)
    assert [event.attempt for event in rejected] == [1, 2, 3]
    assert "there is no such city" in str(model.requests[3]["messages"][-1])
    few = Agent(ScriptedModel().text("no").text("no"), output_type=Model, output_retries=1)
    with pytest.raises(InvalidOutputError, match="not JSON"):
        await few.run("go")


async def test_values_are_shown_while_they_are_written():
    text = '{"city": "Oslo", "days": 3, "odd": 1}'
    model = ScriptedModel().text(text.replace(" ", "  ")).text(ANSWER)
    seen = [value async for value in Agent(model, output_type=Weather).stream("go").partials()]
    assert seen[:2] == [{}, {"city": "Oslo"}] and seen[-1] == PLAIN
    assert all(set(value) <= {"city", "days"} for value in seen), "what the type does not know is not shown"
    listed = ScriptedModel().tool_calls(("final_answer", {"value": [1, 2, 3]}))
    stream = Agent(listed, output_type=list[int], output_mode="tool").stream("go")
    parts = [value async for value in stream.partials()]
    assert parts[-1] == [1, 2, 3] and (await stream.result()).output == [1, 2, 3]
    with pytest.raises(ConfigError, match="output_type"):
        async for _ in Agent(ScriptedModel().text("x")).stream("go").partials():
            pass


async def test_values_of_an_agent_inside_a_tool_are_shown_too():
    inner = Agent(ScriptedModel().text(ANSWER), output_type=Weather, name="inner")
    seen: list[Any] = []

    @tool
    async def ask() -> str:
        async for value in inner.stream("go").partials():
            seen.append(value)
        return "asked"

    assert (await Agent(ScriptedModel().tool_calls(("ask", {})).text("done"), tools=[ask]).run("go")).output == "done"
    assert seen and seen[-1] == PLAIN
