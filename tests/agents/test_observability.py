"""Buses: what they show, and that nobody waits for those who look."""

import asyncio
import gc
import sys
import threading
import weakref
from typing import Any

import pytest

from atomr_agents import Agent, EventBus, tracer
from atomr_agents.errors import ContractError
from atomr_agents.guest import tracer_from_factory
from atomr_agents.testkit import ScriptedModel


def agent(bus: Any, text: str = "Rain.") -> Agent[None, str]:
    return Agent(ScriptedModel().text(text).repeat(), bus=bus)


async def test_a_bus_sees_every_run_of_its_agents():
    bus, other = EventBus(), EventBus()
    stream = bus.stream()
    results = [await agent([bus, other]).run("?"), await agent(bus).run("?")]
    bus.close()
    events = [event async for event in stream]
    assert {event.run_id for event in events} == {result.run_id for result in results}
    assert [event.kind for event in events].count("run_finished") == 2
    assert len(events) == sum(result.event_count for result in results)


async def test_a_stream_sees_what_comes_after_it_and_ends_with_the_bus():
    bus = EventBus()
    await agent(bus).run("?")
    stream = bus.stream()
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await agent(bus).run("?")
    assert (await waiting).kind == "run_started"
    bus.close()
    rest = [event.kind async for event in stream]
    assert rest[-1] == "run_finished"


async def test_several_streams_each_see_everything():
    bus = EventBus()
    streams = [bus.stream() for _ in range(3)]
    assert bus.subscribers == 3
    await agent(bus).run("?")
    bus.close()
    told = [[event.seq for event in [event async for event in stream]] for stream in streams]
    assert told[0] == told[1] == told[2]


async def test_a_dropped_or_closed_stream_is_unsubscribed():
    bus = EventBus()
    dropped, closed, left = bus.stream(), bus.stream(), bus.stream()
    assert bus.subscribers == 3
    del dropped
    gc.collect()
    closed.close()
    async with left:
        pass
    assert bus.subscribers == 0
    assert [event async for event in closed] == []


async def test_who_falls_behind_is_told_how_much_was_missed():
    bus = EventBus(capacity=8)
    stream = bus.stream()
    result = await agent(bus, " ".join("word" for _ in range(50))).run("?")
    bus.close()
    events = [event async for event in stream]
    assert events[0].kind == "lagged"
    missed = events[0].missed
    assert missed is not None
    assert missed + len(events) - 1 == result.event_count
    assert events[-1].kind == "run_finished"


async def test_callbacks_of_every_sort_are_told():
    bus = EventBus()
    plain: list[str] = []
    quick: list[Any] = []

    async def on_loop(event: Any) -> None:
        await asyncio.sleep(0)
        quick.append((event.kind, asyncio.get_running_loop()))

    first = bus.subscribe(lambda event: plain.append(event.kind))
    second = bus.subscribe(on_loop)
    await agent(bus).run("?")
    await first.detach()
    await second.flush()
    assert plain[0] == "run_started"
    assert plain[-1] == "run_finished"
    assert [kind for kind, _ in quick] == plain
    assert {loop for _, loop in quick} == {asyncio.get_running_loop()}
    count = len(plain)
    await agent(bus).run("?")
    await second.detach()
    assert len(plain) == count
    assert len(quick) == 2 * count
    assert bus.subscribers == 0


async def test_the_bus_keeps_its_callbacks_until_they_are_closed():
    bus = EventBus()
    seen: list[str] = []
    bus.subscribe(lambda event: seen.append(event.kind))
    gc.collect()
    await agent(bus).run("?")
    for _ in range(200):
        if "run_finished" in seen:
            break
        await asyncio.sleep(0.005)
    assert "run_finished" in seen
    handle = bus.subscribe(seen.append)
    gone = weakref.ref(handle)
    handle.close()
    del handle
    gc.collect()
    assert gone() is None


async def test_tracers_are_flushed_when_they_are_detached():
    @tracer
    class Recorder:
        def __init__(self) -> None:
            self.kinds: list[str] = []
            self.flushed = 0

        def on_event(self, event: Any) -> None:
            self.kinds.append(event.kind)

        async def flush(self) -> None:
            self.flushed += 1

    recorder = tracer_from_factory("Recorder")
    bus = EventBus()
    handle = bus.attach_tracer(recorder)
    await agent(bus).run("?")
    await handle.detach()
    assert recorder.kinds[-1] == "run_finished"
    assert recorder.flushed == 1
    await handle.detach()
    assert recorder.flushed == 1
    bus.attach_tracer(Recorder).close()
    with pytest.raises(ContractError, match="tracer"):
        bus.attach_tracer(7)


async def test_a_tracer_that_raises_is_reported_and_harms_nobody(monkeypatch: pytest.MonkeyPatch):
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    bus = EventBus()

    def broken(event: Any) -> None:
        raise LookupError(event.kind)

    handle = bus.subscribe(broken)
    result = await agent(bus).run("?")
    await handle.detach()
    assert result.output == "Rain."
    assert len(reported) == result.event_count
    assert isinstance(reported[0].exc_value, LookupError)


async def test_a_tracer_may_run_an_agent_and_subscribe():
    """What a lock held during a callback would turn into a deadlock."""
    bus = EventBus()
    inner: list[str] = []

    async def nosy(event: Any) -> None:
        if event.kind == "run_finished" and not inner:
            stream = bus.stream()
            inner.append((await agent(bus).run("?")).output)
            stream.close()

    handle = bus.subscribe(nosy)
    await agent(bus).run("?")
    await asyncio.wait_for(handle.flush(), 10)
    assert inner == ["Rain."]
    # The events of the inner run came after that.
    await asyncio.wait_for(handle.flush(), 10)
    await handle.detach()


def test_runs_of_several_threads_share_a_bus():
    bus = EventBus()
    seen: list[str] = []
    lock = threading.Lock()

    def note(event: Any) -> None:
        with lock:
            seen.append(event.run_id)

    handle = bus.subscribe(note)
    shared = agent(bus)
    threads = [threading.Thread(target=lambda: [shared.run_sync("?") for _ in range(3)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    asyncio.run(handle.detach())
    assert len(set(seen)) == 12


def test_a_capacity_of_nothing_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        EventBus(0)
