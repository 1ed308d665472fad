"""Middleware from Python: ours, and what users write, plain or async."""

import asyncio
import logging
from typing import Any

import pytest

from atomr_agents import (
    Agent,
    AgentMiddleware,
    logging_middleware,
    rate_limit_middleware,
    redaction_middleware,
    retry_middleware,
    tool,
    tool_error_recovery_middleware,
)
from atomr_agents.errors import ConfigError, ContractError, OverloadedError, ServerError
from atomr_agents.testkit import ScriptedModel


@tool
def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


class Notes(AgentMiddleware):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def before_agent(self, ctx: Any, messages: list[dict[str, Any]]) -> None:
        self.notes.append(f"before_agent {len(messages)} {bool(ctx.run_id)}")

    async def after_agent(self, ctx: Any, output: str) -> None:
        self.notes.append(f"after_agent {output}")

    async def before_model(self, ctx: Any, request: dict[str, Any]) -> None:
        self.notes.append(f"before_model {request['model']}")

    def after_model(self, ctx: Any, reply: dict[str, Any]) -> None:
        self.notes.append(f"after_model {reply['finish']}")

    def before_tool(self, ctx: Any, call: dict[str, Any]) -> None:
        self.notes.append(f"before_tool {call['name']} {call['arguments']}")

    async def after_tool(self, ctx: Any, call: dict[str, Any], outcome: dict[str, Any]) -> None:
        self.notes.append(f"after_tool {outcome}")

    async def wrap_model(self, ctx: Any, request: dict[str, Any], call_next: Any) -> Any:
        self.notes.append("model (")
        reply = await call_next(request)
        self.notes.append("model )")
        return reply

    def wrap_tool(self, ctx: Any, call: dict[str, Any], call_next: Any) -> Any:
        self.notes.append("tool")
        # What can be awaited may be handed on as it is.
        return call_next(call)


async def test_every_hook_is_called_in_its_order_whether_plain_or_async():
    notes = Notes()
    model = ScriptedModel().tool_calls(("add", {"a": 1})).text("done")
    result = await Agent(model, tools=[add], middleware=[notes]).run("go")
    assert result.output == "done"
    call = ["before_model scripted", "model (", "model )"]
    assert notes.notes == [
        "before_agent 1 True",
        *call,
        "after_model tool_calls",
        "before_tool add {'a': 1}",
        "tool",
        "after_tool {'ok': True, 'content': '2'}",
        *call,
        "after_model stop",
        "after_agent done",
    ]


class Changes:
    """Any object with one of the methods will do."""

    def before_agent(self, ctx: Any, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*messages, {"role": "user", "parts": [{"type": "text", "text": "Be kind."}]}]

    def before_model(self, ctx: Any, request: dict[str, Any]) -> dict[str, Any]:
        return {**request, "sampling": {**request["sampling"], "temperature": 0.5}}

    def before_tool(self, ctx: Any, call: dict[str, Any]) -> dict[str, Any]:
        return {**call, "arguments": {"a": 40, "b": 2}}

    def after_tool(self, ctx: Any, call: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "content": f"it is {outcome['content']}"}

    def after_agent(self, ctx: Any, output: str) -> str:
        return output + "!"


async def test_what_a_hook_returns_counts():
    model = ScriptedModel().tool_calls(("add", {"a": 1})).text("done")
    result = await Agent(model, tools=[add], middleware=[Changes()]).run("go")
    assert result.output == "done!"
    assert result.messages[1].text == "Be kind."
    assert result.messages[3].parts[0]["parts"] == [{"type": "text", "text": "it is 42"}]
    assert model.requests[0]["sampling"]["temperature"] == 0.5


async def test_what_a_hook_raises_comes_out_as_itself():
    class Fails:
        def before_tool(self, ctx: Any, call: dict[str, Any]) -> None:
            raise LookupError("no such account")

    model = ScriptedModel().tool_calls(("add", {"a": 1}))
    with pytest.raises(LookupError, match="no such account") as caught:
        await Agent(model, tools=[add], middleware=[Fails()]).run("go")
    assert caught.value.partial is not None  # type: ignore[attr-defined]


async def test_a_wrong_answer_of_a_hook_and_no_middleware_are_named():
    class Wrong:
        def before_model(self, ctx: Any, request: dict[str, Any]) -> str:
            return "yes"

    with pytest.raises(ContractError, match="Wrong.*before_model"):
        await Agent(ScriptedModel().text("x"), middleware=[Wrong()]).run("go")
    for nothing in (object(), None, "x", 3):
        with pytest.raises(ConfigError, match="middleware"):
            Agent(ScriptedModel(), middleware=[nothing])
    with pytest.raises(ConfigError, match="calls"):
        rate_limit_middleware(0)
    with pytest.raises(ConfigError, match="nothing to redact"):
        redaction_middleware()
    with pytest.raises(ConfigError, match=r"\("):
        redaction_middleware(patterns=["("])


async def test_a_wrap_can_do_without_the_call_and_catch_what_it_raises():
    class Cached:
        async def wrap_tool(self, ctx: Any, call: dict[str, Any], call_next: Any) -> dict[str, Any]:
            if call["arguments"]["a"] == 1:
                return {"ok": True, "content": "known"}
            first = await call_next(call)
            assert first == {"ok": True, "content": "3"}
            return await call_next({**call, "arguments": {"a": 10}})

        async def wrap_model(self, ctx: Any, request: dict[str, Any], call_next: Any) -> Any:
            try:
                return await call_next(request)
            except ConnectionError:
                return await call_next(request)

    model = ScriptedModel().tool_calls(("add", {"a": 1}), ("add", {"a": 2})).error("connect", "refused").text("done")
    result = await Agent(model, tools=[add], middleware=[Cached()]).run("go")
    told = [part["parts"][0]["text"] for part in result.messages[2].parts]
    assert (told, result.output) == (["known", "11"], "done")


async def test_ours_are_applied_too(caplog: pytest.LogCaptureFixture):
    model = ScriptedModel().tool_calls(("add", {"a": 4711})).text("it is 4712, s3cret")
    with caplog.at_level(logging.INFO, "atomr_agents"):
        agent = Agent(model, tools=[add], middleware=[logging_middleware(), redaction_middleware(["s3cret"])])
        result = await agent.run("s3cret?")
    assert result.output == "it is 4712, [redacted]"
    assert "s3cret" not in str(model.requests) and "s3cret" not in caplog.text and "4711" not in caplog.text
    assert "tool add answered" in caplog.text and "model scripted answered" in caplog.text

    broken = ScriptedModel().error("stream_interrupted", "cut").text("whole")
    assert (await Agent(broken, middleware=[retry_middleware(2, wait=0.001)]).run("go")).output == "whole"

    limited = Agent(ScriptedModel().text("x").repeat(), middleware=[rate_limit_middleware(1, per=60, max_waiting=0)])
    await limited.run("go")
    with pytest.raises(OverloadedError, match="rate limiter"):
        await limited.run("go")


async def test_the_model_can_go_on_from_an_error_that_ends_a_run():
    @tool
    def leave() -> str:
        raise SystemExit(3)

    def model() -> ScriptedModel:
        return ScriptedModel().tool_calls(("leave", {})).text("I see.")

    with pytest.raises(Exception, match="SystemExit"):
        await Agent(model(), tools=[leave]).run("go")
    telling = model()
    recovering = tool_error_recovery_middleware("{tool} is broken")
    assert (await Agent(telling, tools=[leave], middleware=[recovering]).run("go")).output == "I see."
    assert "leave is broken" in str(telling.requests[1])


async def test_what_a_wrap_lets_through_is_still_the_models_error():
    model = ScriptedModel().error("stream_interrupted", "cut").text("whole")
    # The retry stands further out than a wrap that is written in Python.
    agent = Agent(model, middleware=[retry_middleware(2, wait=0.001), Notes()])
    assert (await agent.run("go")).output == "whole"
    events: list[Any] = []
    broken = Agent(ScriptedModel().error("server_error", "down"), middleware=[Notes()])
    with pytest.raises(ServerError):
        async for event in broken.stream("go"):
            events.append(event)
    assert (events[-1].kind, events[-1].error) == ("run_failed", "server_error")

    class Other(AgentMiddleware):
        async def wrap_model(self, ctx: Any, request: dict[str, Any], call_next: Any) -> Any:
            try:
                return await call_next(request)
            except ServerError as error:
                raise LookupError("another one") from error

    model = ScriptedModel().error("server_error", "down").text("never")
    with pytest.raises(LookupError, match="another one"):
        await Agent(model, middleware=[retry_middleware(2, wait=0.001), Other()]).run("go")


async def test_a_wrap_asks_twice_at_once():
    class Hedges(AgentMiddleware):
        async def wrap_model(self, ctx: Any, request: dict[str, Any], call_next: Any) -> Any:
            first, _ = await asyncio.gather(call_next(request), call_next(request))
            return first

    model = ScriptedModel().text("one two three").text("four five six").delay(0.001)
    result = await Agent(model, middleware=[Hedges()]).run("go")
    assert result.output in ("one two three", "four five six")
    assert result.iterations == 1
