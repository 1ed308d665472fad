"""Buses: what they show, and that nobody waits for those who look."""

import asyncio
import copy
import gc
import io
import json
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, EventBus, tracer
from atomr_agents.core import Event
from atomr_agents.errors import AgentError, ConfigError, ContractError
from atomr_agents.guest import tracer_from_factory
from atomr_agents.observability import JsonlTracer, LineFormatter, RunNode, RunTree, StdoutTracer
from atomr_agents.testkit import ScriptedModel, flood, sample_events


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


# --- many events at once ---


async def test_every_listener_of_a_flood_gets_everything_in_order():
    bus = EventBus(capacity=20_000)
    stream, batches = bus.stream(), bus.stream()
    seen: list[Event] = []
    on_loop: list[int] = []

    async def later(event: Event) -> None:
        on_loop.append(event.index)

    plain, asynchronous = bus.subscribe(seen.append), bus.subscribe(later)
    await flood(bus, 5_000)
    await plain.detach()
    await asynchronous.detach()
    bus.close()
    order = list(range(1, 5_001))
    assert [event.index async for event in stream] == order
    listed = [batch async for batch in batches.batches()]
    assert [event.index for batch in listed for event in batch] == order
    assert max(len(batch) for batch in listed) <= 256
    assert [event.index for event in seen] == order
    assert on_loop == order


async def test_a_slow_callback_is_told_what_it_missed_and_holds_up_nobody():
    bus = EventBus(capacity=64)
    gate = threading.Event()
    received, missed = 0, 0

    def slow(event: Event) -> None:
        nonlocal received, missed
        gate.wait(20)
        if event.kind == "lagged":
            missed += event.missed or 0
        else:
            received += 1

    handle = bus.subscribe(slow)
    await asyncio.wait_for(flood(bus, 10_000, producers=3), 10)
    gate.set()
    await handle.detach()
    assert received + missed == 10_000
    assert missed > 1_000


async def test_what_one_event_raises_does_not_cost_the_next(monkeypatch: pytest.MonkeyPatch):
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    bus = EventBus()
    seen: list[int] = []

    def picky(event: Event) -> None:
        if event.index % 100 == 0:
            raise LookupError(event.index)
        seen.append(event.index)

    handle = bus.subscribe(picky)
    await flood(bus, 1_000)
    await handle.detach()
    assert len(seen) == 990
    assert [error.exc_value.args for error in reported] == [(index,) for index in range(100, 1_001, 100)]


async def test_a_plain_function_that_returns_an_awaitable_is_awaited():
    bus = EventBus()
    seen: list[Any] = []

    async def on_loop(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append((event.index, asyncio.get_running_loop()))

    handle = bus.subscribe(lambda event: on_loop(event))
    await flood(bus, 50)
    await handle.detach()
    assert seen == [(index, asyncio.get_running_loop()) for index in range(1, 51)]


async def test_a_stream_can_be_left_and_taken_up_again():
    bus = EventBus()
    stream = bus.stream()
    await flood(bus, 10)
    async for event in stream:
        if event.index == 3:
            break
    assert (await anext(stream)).index == 4
    async for batch in stream.batches():
        assert [event.index for event in batch] == [5, 6, 7, 8, 9, 10]
        break
    await flood(bus, 1)
    async for event in stream:
        assert event.index == 1
        stream.close()
    assert bus.subscribers == 0


# --- the tracers of the house ---


def add(a: int, b: int) -> int:
    return a + b


async def traced(*tracers: Any, model: ScriptedModel | None = None) -> Any:
    """One run with two tool calls, one of which fails, seen by these tracers."""
    bus = EventBus()
    handles = [bus.attach_tracer(tracer) for tracer in tracers]
    model = model or ScriptedModel().tool_calls(("add", {"a": 1, "b": 2}), ("add", {"a": 1}), text="Hm.").text("3")
    result = await Agent(model, tools=[add], bus=bus, name="adder").run("?")
    for handle in handles:
        await handle.detach()
    return result


async def test_a_run_tree_is_filled_by_a_real_run():
    tree = RunTree()
    result = await traced(tree)
    run = tree.get(result.run_id)
    assert run is not None
    assert [root.run_id for root in tree.roots()] == [result.run_id]
    assert (run.kind, run.name, run.status, run.usage, run.cost) == ("agent", "adder", "ok", result.usage, result.cost)
    told = [(node.kind, node.name, node.status) for node in run.children]
    model = run.children[0].name
    assert told[0] == told[3] == ("model", model, "ok")
    assert sorted(told[1:3]) == [("tool", "add", "failed"), ("tool", "add", "ok")]
    good, bad = sorted(run.children[1:3], key=lambda node: node.status, reverse=True)
    assert (good.result, bad.error) == ("3", "invalid_arguments")
    assert good.arguments is not None
    assert json.loads(good.arguments) == {"a": 1, "b": 2}
    assert run.elapsed_ms is not None
    assert all(node.elapsed_ms is not None and node.elapsed_ms <= run.elapsed_ms for node in run.walk())
    assert sum(node.events for node in run.walk()) == result.event_count
    assert run.total_usage() == result.usage
    assert str(tree) == str(run)
    assert str(run).splitlines()[0].startswith("agent adder ok in ")
    assert len(str(run).splitlines()) == len(tree) == len(run.walk()) == 5
    assert RunNode.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    assert pickle.loads(pickle.dumps(run)) == copy.deepcopy(run) == run
    tree.clear()
    assert len(tree) == 0
    assert tree.get(result.run_id) is tree.get("nonsense") is None


async def test_a_tool_takes_the_time_that_it_takes():
    async def nap() -> str:
        await asyncio.sleep(0.03)
        return "rested"

    tree = RunTree()
    bus = EventBus()
    handle = bus.attach_tracer(tree)
    await Agent(ScriptedModel().tool_calls(("nap", {})).text("ok"), tools=[nap], bus=bus).run("?")
    await handle.detach()
    (run,) = tree.roots()
    (tool,) = [node for node in run.walk() if node.kind == "tool"]
    assert tool.elapsed_ms is not None
    assert tool.elapsed_ms >= 30


async def test_a_tree_keeps_no_more_than_it_was_told():
    tree = RunTree(runs=2)
    for _ in range(5):
        last = await traced(tree)
    assert (len(tree.roots()), tree.forgotten, tree.missed) == (2, 3, 0)
    assert tree.roots()[1].run_id == last.run_id
    with pytest.raises(ConfigError, match="at least 1"):
        RunTree(runs=0)


async def test_lines_of_json_are_the_run_again(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    tree = RunTree()
    with JsonlTracer(path) as tracer:
        result = await traced(tracer, tree)
        assert (tracer.written, tracer.lost) == (result.event_count, 0)
        assert "lost=0" in repr(tracer)
    lines = path.read_text().splitlines()
    events = [Event.from_dict(json.loads(line)) for line in lines]
    assert len(events) == result.event_count
    assert [(event.seq, event.index) for event in events] == sorted((event.seq, event.index) for event in events)
    replayed = RunTree()
    for event in events:
        replayed.ingest(event)
    assert replayed.roots() == tree.roots()


async def test_a_secret_reaches_no_line(tmp_path: Path):
    secret = "sk-proj-0123456789abcdefghijkl"
    path, page, tree = tmp_path / "events.jsonl", io.StringIO(), RunTree()

    def login(password: str) -> str:
        return f"the key is {secret}"

    bus = EventBus()
    handles = [bus.attach_tracer(tracer) for tracer in (JsonlTracer(path), StdoutTracer(page), tree)]
    model = ScriptedModel().tool_calls(("login", {"password": "hunter2"})).text("ok")
    await Agent(model, tools=[login], bus=bus).run("?")
    for handle in handles:
        await handle.detach()
    written = path.read_text() + page.getvalue() + str(tree) + json.dumps([root.to_dict() for root in tree.roots()])
    assert "login" in written
    # The model writes the password piece by piece: single pieces are not known to be one.
    pieces = [json.loads(line) for line in path.read_text().splitlines() if '"tool_call_streamed"' in line]
    for piece in pieces:
        written = written.replace(json.dumps(piece["arguments"]), "")
    assert secret not in written
    assert "hunter2" not in written


async def test_what_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="nowhere"):
        JsonlTracer(tmp_path / "nowhere" / "events.jsonl")
    with pytest.raises(ConfigError, match="flush"):
        JsonlTracer(tmp_path / "events.jsonl", flush="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    if not sys.platform.startswith("linux"):
        return
    bus = EventBus()
    tracer = JsonlTracer("/dev/full")
    handle = bus.attach_tracer(tracer)
    await flood(bus, 10)
    with pytest.raises(AgentError, match="space"):
        await handle.flush()
    assert (tracer.lost, handle.errors > 0) == (10, True)


def test_what_was_taken_is_written_when_the_interpreter_exits(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    script = f"""
import asyncio
from atomr_agents import EventBus
from atomr_agents.observability import JsonlTracer
from atomr_agents.testkit import flood

async def main():
    global tracer
    bus = EventBus()
    tracer = JsonlTracer({str(path)!r}, flush=60.0)
    handle = bus.attach_tracer(tracer)
    await flood(bus, 100)
    await asyncio.sleep(0.2)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert len(path.read_text().splitlines()) == 100


async def test_lines_for_people_say_what_happened():
    page = io.StringIO()
    await traced(StdoutTracer(page))
    said = [line.split(" ", 2)[2] for line in page.getvalue().splitlines()]
    assert said[0].startswith("run_started adder on ")
    assert 'text_delta "Hm."' in said
    assert any(line.startswith("tool_invoked add ok in ") and line.endswith(": 3") for line in said)
    assert any(line.startswith("tool_invoked add invalid_arguments in ") for line in said)
    assert "\x1b" not in page.getvalue()


async def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def said(**options: Any) -> str:
        page = Terminal()
        tracer = StdoutTracer(page, **options)
        tracer.on_event(sample_events()[0])
        return page.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in said()
    assert "\x1b[" not in said(colors=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in said()


def test_lines_go_to_where_stdout_is_at_the_time(capsys: pytest.CaptureFixture[str]):
    tracer = StdoutTracer()
    tracer.on_event(sample_events()[0])
    assert sample_events()[0].kind in capsys.readouterr().out
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    formatter = LineFormatter()
    told = Event.from_dict({**sample_events()[0].to_dict(), "agent": "Zoë\x1b"})
    StdoutTracer(ascii_only).on_event(told)
    ascii_only.seek(0)
    assert "Zo\\xeb\\u{1b}" in ascii_only.read()
    assert "Zoë\\u{1b}" in formatter.event(told)
    assert formatter.rest() == ""
