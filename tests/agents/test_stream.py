"""Streams of events: their order, their end, and every way to leave them."""

import asyncio
import gc
import pickle
import weakref
from typing import Any, get_args

import pytest

from atomr_agents import Agent
from atomr_agents.core import Event, EventKind
from atomr_agents.errors import ConfigError, RateLimitedError, RunCancelledError
from atomr_agents.testkit import ReplayServer, ScriptedModel, sample_events


def add(a: int, b: int) -> int:
    return a + b


async def settled() -> None:
    """Nothing of a run is left on the loop: at most a second is given to it."""
    for _ in range(100):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(asyncio.all_tasks())


class Slow:
    """A tool that waits, and knows how it ended."""

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0
        self.running = 0
        self.runs = asyncio.Event()

    async def __call__(self) -> str:
        self.started += 1
        self.running += 1
        self.runs.set()
        try:
            await asyncio.sleep(20)
        finally:
            self.running -= 1
            self.ended += 1
        return "never"

    @property
    def __name__(self) -> str:
        return "slow"


async def test_events_tell_the_whole_run_in_order(kinds):
    model = ScriptedModel().tool_calls(("add", {"a": 1, "b": 2}), text="Let me see.").text("It is 3.")
    stream = Agent(model, tools=[add], name="adder").stream("1 + 2?")
    events = [event async for event in stream]
    assert kinds(events) == [
        "run_started",
        "model_requested",
        "text_delta",
        "tool_call_streamed",
        "model_finished",
        "tool_started",
        "tool_invoked",
        "model_requested",
        "text_delta",
        "model_finished",
        "run_finished",
    ]
    order = [(event.seq, event.index) for event in events]
    assert order == sorted(order)
    assert len(set(order)) == len(order)
    assert {event.run_id for event in events} == {stream.run_id}
    written = [event for event in events if event.kind == "tool_call_streamed"]
    assert "".join(event.arguments or "" for event in written) == '{"a":1,"b":2}'
    assert {(event.name, event.call_index) for event in written} == {("add", 0)}
    (invoked,) = [event for event in events if event.kind == "tool_invoked"]
    assert (invoked.name, invoked.ok, invoked.result, invoked.error) == ("add", True, "3", None)
    assert invoked.elapsed_ms is not None
    text = "".join(event.text or "" for event in events if event.kind == "text_delta")
    assert text == "Let me see.It is 3."
    result = await stream.result()
    assert result.output == "It is 3."
    assert result.event_count == len(events)
    assert result is await stream.result()
    assert events[-1].usage == result.usage
    assert events[0].name == "adder"
    assert [event async for event in stream] == []


# What Python reserves, or calls otherwise.
CALLED = {"from": "from_", "parent": "parent_run_id"}


@pytest.mark.parametrize("event", sample_events(), ids=lambda event: event.kind)
def test_every_field_of_every_event_can_be_read_and_told_as_a_dict(event: Event):
    fields = event.to_dict()
    for name, told in fields.items():
        value: Any = getattr(event, CALLED.get(name, name))
        if name == "usage":
            value = value.to_dict()
        assert value == (told / 1e6 if name == "cost" else told), name
    # And nothing else: a getter for another kind's field gives `None`.
    others = {name for name in dir(event) if not name.startswith("_") and not callable(getattr(event, name))}
    extra = {name for name in others if getattr(event, name) is not None} - {CALLED.get(name, name) for name in fields}
    aliases = {"name": event.agent, "message": event.reason}
    assert {name: getattr(event, name) for name in extra} == {
        name: value for name, value in aliases.items() if name in extra
    }
    assert event.kind in repr(event)


def test_an_event_is_made_again_from_its_dict_and_from_a_pickle():
    for event in sample_events():
        assert Event.from_dict(event.to_dict()).to_dict() == event.to_dict()
        assert pickle.loads(pickle.dumps(event)).to_dict() == event.to_dict()
    with pytest.raises(ConfigError, match="no event"):
        Event.from_dict({"kind": "run_started"})


def test_the_kinds_that_can_be_annotated_are_the_kinds_there_are():
    assert sorted(get_args(EventKind)) == sorted(event.kind for event in sample_events())


async def test_the_events_of_a_run_have_what_the_samples_have():
    model = ScriptedModel().tool_calls(("add", {"a": 1}), ("add", {"a": 1, "b": 2})).text("3")
    samples = {event.kind: set(event.to_dict()) for event in sample_events()}
    async for event in Agent(model, tools=[add]).stream("?"):
        assert set(event.to_dict()) <= samples[event.kind]
        assert event.time_ms > 1_600_000_000_000


async def test_a_failing_tool_is_told_as_such():
    model = ScriptedModel().tool_calls(("add", {"a": 1})).text("sorry")
    events = [event async for event in Agent(model, tools=[add]).stream("?")]
    (invoked,) = [event for event in events if event.kind == "tool_invoked"]
    assert (invoked.ok, invoked.error) == (False, "invalid_arguments")


async def test_text_gives_the_text_alone():
    model = ScriptedModel().tool_calls(("add", {"a": 1, "b": 2}), text="Let me see. ").text("It is 3.")
    pieces = [piece async for piece in Agent(model, tools=[add]).stream("?").text()]
    assert "".join(pieces) == "Let me see. It is 3."
    assert len(pieces) > 2


async def test_nothing_happens_before_it_is_asked_for():
    model = ScriptedModel().text("x")
    stream = Agent(model).stream("?")
    await asyncio.sleep(0.02)
    assert model.requests == []
    assert [message.text for message in stream.messages] == ["?"]
    await stream.aclose()
    assert model.requests == []


async def test_the_result_can_be_had_without_the_events():
    model = ScriptedModel().text("Rain.")
    assert (await Agent(model).stream("?").result()).output == "Rain."


async def test_after_the_last_event_the_error_is_raised(kinds):
    stream = Agent(ScriptedModel().error("rate_limited", "slow down")).stream("?")
    events: list[Any] = []
    with pytest.raises(RateLimitedError) as caught:
        async for event in stream:
            events.append(event)
    assert kinds(events)[-1] == "run_failed"
    assert events[-1].error == "rate_limited"
    assert [message.text for message in caught.value.partial.messages] == ["?"]
    assert [event async for event in stream] == []
    with pytest.raises(RateLimitedError):
        await stream.result()


async def test_the_transcript_so_far_is_there_at_any_time():
    model = ScriptedModel().text("one two three four").delay(0.01)
    stream = Agent(model).stream("?")
    seen: list[str] = []
    async for event in stream:
        if event.kind == "text_delta":
            seen.append(stream.messages[-1].text if len(stream.messages) > 1 else "")
    assert seen[-1] == "one two three four"
    assert any(text and text != "one two three four" for text in seen), seen
    assert all("one two three four".startswith(text) for text in seen), seen


# --- leaving ---


async def reach(stream: Any, slow: Slow) -> None:
    async for event in stream:
        if event.kind == "tool_started":
            break
    await asyncio.wait_for(slow.runs.wait(), 5)


def slow_stream() -> tuple[Any, Slow]:
    from atomr_agents import tool

    slow = Slow()
    made = tool(name="slow")(slow)
    return Agent(ScriptedModel().tool_calls(("slow", {})).text("never"), tools=[made]).stream("?"), slow


async def test_aclose_stops_the_run_and_waits_for_it():
    stream, slow = slow_stream()
    await reach(stream, slow)
    await stream.aclose()
    assert (slow.started, slow.ended, slow.running) == (1, 1, 0)
    await settled()
    assert [event async for event in stream] == []
    with pytest.raises(RunCancelledError):
        await stream.result()
    roles = [message.role for message in stream.messages]
    assert roles == ["user", "assistant", "tool"], "the call is answered with why it has no result"


async def test_leaving_the_with_block_stops_the_run():
    stream, slow = slow_stream()
    async with stream:
        await reach(stream, slow)
    assert slow.ended == 1
    await settled()


async def test_an_error_of_the_consumer_stops_the_run():
    stream, slow = slow_stream()
    with pytest.raises(ZeroDivisionError):
        async with stream:
            await reach(stream, slow)
            raise ZeroDivisionError
    assert slow.ended == 1


async def test_dropping_the_stream_stops_the_run():
    stream, slow = slow_stream()
    await reach(stream, slow)
    gone = weakref.ref(stream)
    del stream
    gc.collect()
    assert gone() is None
    await settled()
    assert slow.ended == 1


async def test_cancelling_the_consumer_stops_the_run():
    stream, slow = slow_stream()

    async def consume() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(consume())
    await slow.runs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert slow.ended == 1
    assert [message.role for message in caught.value.partial.messages] == ["user", "assistant", "tool"]
    await settled()


async def test_leaving_the_text_early_stops_the_run():
    model = ScriptedModel().text("one two three four").delay(0.01)
    stream = Agent(model).stream("?")
    text = stream.text()
    async for _ in text:
        break
    await text.aclose()
    await settled()
    assert [event async for event in stream] == []


async def test_aclose_is_harmless_when_the_run_is_over_or_was_closed():
    stream = Agent(ScriptedModel().text("x")).stream("?")
    assert (await stream.result()).output == "x"
    await stream.aclose()
    await stream.aclose()
    assert (await stream.result()).output == "x"


@pytest.mark.parametrize("after_ms", range(0, 60, 3))
async def test_cancelled_anywhere_a_run_leaves_nothing_behind(after_ms: int):
    """Through the model's stream, between the turns and inside the tools."""
    running = 0

    async def work(n: int) -> str:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(0.01)
        finally:
            running -= 1
        return str(n)

    model = ScriptedModel().tool_calls(("work", {"n": 1}), ("work", {"n": 2})).text("one two three").delay(0.004)
    agent = Agent(model, tools=[work])
    task = asyncio.create_task(agent.run("?"))
    await asyncio.sleep(after_ms / 1000)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        assert task.result().output == "one two three"
    elif after_ms > 0:  # cancelled before its first step, there is no run yet
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        messages = caught.value.partial.messages
        assert messages[0].text == "?"
        calls = [call["id"] for message in messages for call in message.tool_calls]
        answered = [part["call_id"] for message in messages if message.role == "tool" for part in message.parts]
        assert answered == calls
        assert caught.value.partial.run_id
    assert running == 0
    await settled()


async def test_a_wait_with_a_limit_stops_the_run():
    _, slow = slow_stream()
    from atomr_agents import tool

    agent = Agent(ScriptedModel().tool_calls(("slow", {})).text("never"), tools=[tool(name="slow")(slow)])
    with pytest.raises(TimeoutError) as caught:
        await asyncio.wait_for(agent.run("?"), 0.1)
    assert slow.running == 0
    assert caught.value.__cause__ is not None
    assert len(caught.value.__cause__.partial.messages) == 3  # type: ignore[attr-defined]


# --- many, and over a real wire ---


async def test_many_streams_at_once():
    agent = Agent(ScriptedModel().text("one two three").repeat())

    async def one() -> str:
        return "".join([piece async for piece in agent.stream("?").text()])

    assert set(await asyncio.gather(*(one() for _ in range(100)))) == {"one two three"}


@pytest.mark.parametrize("cut", ["whole", "event", "byte", "seeded"])
async def test_bytes_of_a_provider_cut_anywhere(cut: Any, recording, openai):
    import json
    from pathlib import Path

    folders = [recording("tools-parallel-stream"), recording("text-stream")]
    expected = json.loads((Path(folders[1]) / "expected.json").read_text())
    with ReplayServer(folders, cut=cut, seed=7) as server:
        agent = openai(server.base_url, tools=[add, multiply])
        stream = agent.stream("What is 2 + 3 and 2 * 3?")
        events = [event async for event in stream]
        result = await stream.result()
    assert result.output == expected["text"]
    invoked = [(event.name, event.result) for event in events if event.kind == "tool_invoked"]
    assert sorted(invoked) == [("add", "5"), ("multiply", "6")]
    sent = server.requests[1]["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]
    assert [message["content"] for message in sent[2:]] == ["5", "6"]


def multiply(a: int, b: int) -> int:
    return a * b


async def test_a_script_at_its_end_says_so():
    agent = Agent(ScriptedModel().text("x"))
    await agent.run("?")
    with pytest.raises(ConfigError, match="script"):
        await agent.run("?")
