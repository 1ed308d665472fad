"""Conversations: one turn at a time, whoever sends what."""

import asyncio
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, tool
from atomr_agents.agent import SessionOptions
from atomr_agents.core import Message
from atomr_agents.errors import ConfigError, ConflictError, LockedError, OverloadedError, RunCancelledError
from atomr_agents.state import postgres_store
from atomr_agents.testkit import ScriptedModel


def talking() -> ScriptedModel:
    model = ScriptedModel()
    for n in range(20):
        model = model.text(f"Answer {n}.")
    return model


class Gate:
    """A tool that waits."""

    def __init__(self) -> None:
        self.runs = asyncio.Semaphore(0)
        self.may_end = asyncio.Semaphore(0)

    def tools(self) -> list[Any]:
        @tool
        async def wait() -> str:
            """Waits."""
            self.runs.release()
            await self.may_end.acquire()
            return "waited"

        return [wait]

    def model(self) -> ScriptedModel:
        model = ScriptedModel()
        for n in range(8):
            model = model.tool_calls(("wait", {})).text(f"Answer {n}.")
        return model


def said(messages: list[Message]) -> list[str]:
    return [message.text for message in messages if message.role != "tool" and message.text]


DSN = os.environ.get("ATOMR_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/test")


def psql(statement: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["psql", DSN, "-qc", statement], capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param != "postgres":
        yield None if request.param == "memory" else f"sqlite:{tmp_path}/app.db"
        return
    if shutil.which("psql") is None:
        pytest.skip("there is no psql to remove the schema with")
    if (there := psql("select 1")).returncode != 0:
        pytest.skip(f"no PostgreSQL at {DSN}: {there.stderr}")
    schema = f"t{uuid.uuid4().hex}"
    yield postgres_store(DSN, schema=schema)
    psql(f'drop schema if exists "{schema}" cascade')


def test_a_conversation_goes_on_under_its_name(store: Any) -> None:
    agent = Agent(talking(), store=store)
    agent.run_sync("One?", session="u1")
    result = agent.run_sync("Two?", thread="u1")
    assert said(result.messages) == ["One?", "Answer 0.", "Two?", "Answer 1."]
    assert len(result.new_messages) == 2
    assert result.run_id != "u1"
    assert said(agent.run_sync("Three?", session="u2").messages) == ["Three?", "Answer 2."]


def test_another_process_goes_on_with_what_is_in_the_store(tmp_path: Path) -> None:
    path = str(tmp_path / "app.db")
    Agent(talking(), store=path).run_sync("One?", session="u1")
    result = Agent(talking(), store=path).run_sync("Two?", session="u1")
    assert said(result.messages) == ["One?", "Answer 0.", "Two?", "Answer 0."]


async def test_the_events_of_a_turn_are_streamed(store: Any) -> None:
    agent = Agent(talking(), store=store)
    await agent.run("One?", session="u1")
    async with agent.stream("Two?", session="u1") as stream:
        kinds = [event.kind async for event in stream]
        assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")
        assert (await stream.result()).output == "Answer 1."


async def test_inputs_queue_and_a_full_queue_says_so(store: Any) -> None:
    gate = Gate()
    options = SessionOptions(queue=1)
    agent = Agent(gate.model(), tools=gate.tools(), store=store, sessions=options)
    session = agent.session("u1")
    first = asyncio.create_task(session.send("0"))
    await gate.runs.acquire()
    await session.post("1")
    with pytest.raises(OverloadedError):
        await session.send("2")
    for _ in range(2):
        gate.may_end.release()
    await first
    assert await session.drain() == 1
    assert said(await session.messages()) == ["0", "Answer 0.", "1", "Answer 1."]


async def test_an_input_interrupts_the_turn(store: Any) -> None:
    gate = Gate()
    agent = Agent(gate.model(), tools=gate.tools(), store=store, session_policy="interrupt")
    session = agent.session("u1")
    first = asyncio.create_task(session.send("Go."))
    await gate.runs.acquire()
    result = await session.send("Stop that.")
    with pytest.raises(RunCancelledError, match="interrupted"):
        await first
    assert said(result.messages) == ["Go.", "Stop that.", "Answer 0."]


async def test_an_input_steers_the_turn(store: Any) -> None:
    gate = Gate()
    agent = Agent(gate.model(), tools=gate.tools(), store=store)
    session = agent.session("u1")
    first = asyncio.create_task(session.send("Go."))
    await gate.runs.acquire()
    await session.post("But slowly.", policy="steer")
    gate.may_end.release()
    assert said((await first).messages) == ["Go.", "But slowly.", "Answer 0."]


async def test_an_input_is_rejected(store: Any) -> None:
    gate = Gate()
    agent = Agent(gate.model(), tools=gate.tools(), store=store, session_policy="reject")
    first = asyncio.create_task(agent.run("Go.", session="u1"))
    await gate.runs.acquire()
    with pytest.raises(LockedError):
        await agent.run("And?", session="u1")
    gate.may_end.release()
    assert (await first).output == "Answer 0."


async def test_a_task_that_is_cancelled_leaves_a_history_that_can_be_sent(store: Any) -> None:
    gate = Gate()
    agent = Agent(gate.model(), tools=gate.tools(), store=store)
    turn = asyncio.create_task(agent.run("Go.", session="u1"))
    await gate.runs.acquire()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    gate.may_end.release()
    result = await agent.run("And?", session="u1")
    assert said(result.messages) == ["Go.", "And?", "Answer 0."]


def test_an_input_that_is_sent_again_is_taken_once(tmp_path: Path) -> None:
    model = talking()
    session = Agent(model, store=str(tmp_path / "app.db")).session("u1")

    async def main() -> None:
        first = await session.send("One?", input_id="m1")
        again = await session.send("One?", input_id="m1")
        assert (first.output, first.run_id) == (again.output, again.run_id)
        assert len(model.requests) == 1

    asyncio.run(main())


async def test_an_approval_is_given_in_the_session(store: Any) -> None:
    @tool(requires_approval=True)
    def pay(usd: int) -> str:
        return f"paid {usd}"

    model = ScriptedModel().tool_calls(("pay", {"usd": 5})).text("Done.")
    session = Agent(model, tools=[pay], store=store).session("u1")
    waiting = (await session.send("Pay.")).pending
    assert waiting is not None
    with pytest.raises(ConflictError):
        await session.send("Hello?")
    result = await session.resume([call.approve() for call in waiting.calls])
    assert result.output == "Done."


async def test_a_history_is_compacted_cleared_and_forked(store: Any) -> None:
    seen: list[int] = []

    async def summary(messages: list[Message]) -> list[Message]:
        seen.append(len(messages))
        return [Message.user("Before.")]

    agent = Agent(talking(), store=store, sessions=SessionOptions(max_messages=3, compact=summary))
    session = agent.session("u1")
    for n in range(3):
        await session.send(f"{n}?")
    assert seen == [4]
    assert said(await session.messages()) == ["Before.", "2?", "Answer 2."]
    fork = await session.fork("u2")
    await session.clear()
    assert await session.messages() == []
    assert said(await fork.messages()) == ["Before.", "2?", "Answer 2."]


async def test_what_a_compaction_raises_comes_out_as_itself(store: Any) -> None:
    def broken(messages: list[Message]) -> list[Message]:
        raise ZeroDivisionError("no summary")

    session = Agent(talking(), store=store, sessions=SessionOptions(max_messages=1, compact=broken)).session("u1")
    await session.send("0?")
    with pytest.raises(ZeroDivisionError, match="no summary"):
        await session.send("1?")
    assert said(await session.messages()) == ["0?", "Answer 0."]


def test_settings_that_make_no_sense_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="session_policy"):
        Agent(talking(), session_policy="wait")
    with pytest.raises(ConfigError, match="policy of its own"):
        Agent(talking(), session_policy="steer", sessions=SessionOptions())
    with pytest.raises(ConfigError, match="on_unfinished"):
        SessionOptions(on_unfinished="ignore")
    with pytest.raises(ConfigError):
        Agent(talking()).session("")
    with pytest.raises(ConfigError):
        Agent(talking()).run_sync("Hi", session="u1", history=[])
