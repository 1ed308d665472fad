"""What the bindings must not lose: found in review."""

import asyncio
import threading

import pytest

from atomr_agents import Agent, EventBus, ModelRetry, tool, tracer
from atomr_agents.callable_ import fan_out
from atomr_agents.errors import AgentError
from atomr_agents.testkit import ScriptedModel
from atomr_agents.tool import Provider, ToolCallParser


def test_a_model_retry_goes_to_the_model_at_once_whatever_retries_there_are() -> None:
    calls = 0

    @tool(retries=3)
    def seats(row: int) -> int:
        """Seats."""
        nonlocal calls
        calls += 1
        raise ModelRetry("a smaller one")

    model = ScriptedModel().tool_calls(("seats", {"row": 40})).text("no")
    result = Agent(model, tools=[seats]).run_sync("go")
    assert calls == 1
    assert result.messages[2].parts[0]["parts"][0]["text"] == "a smaller one"


def test_an_error_beneath_a_composition_keeps_its_fields_and_the_transcript() -> None:
    agent = Agent(ScriptedModel().error("rate_limited", "slow down"))
    with pytest.raises(AgentError) as caught:
        agent.as_callable().call_sync("go")
    assert caught.value.kind == "rate_limited"
    assert caught.value.status == 429
    assert [message.text for message in caught.value.partial.messages] == ["go"]


def test_steps_of_a_composition_are_runs_of_their_own() -> None:
    bus = EventBus()

    async def main() -> list[tuple[str, int, int]]:
        stream = bus.stream()
        agents = {name: Agent(ScriptedModel().text(name), bus=bus).as_callable() for name in "ab"}
        await fan_out(agents).call("go")
        bus.close()
        return [(event.run_id, event.seq, event.index) async for event in stream]

    places = asyncio.run(main())
    assert len(set(places)) == len(places) > 6
    assert len({run for run, _, _ in places}) == 2


def test_a_cancelled_run_tells_its_end_to_the_bus() -> None:
    bus = EventBus()

    @tool
    async def never() -> None:
        """Never."""
        await asyncio.sleep(60)

    async def main() -> list[str]:
        stream = bus.stream()
        agent = Agent(ScriptedModel().tool_calls(("never", {})), tools=[never], bus=bus)
        task = asyncio.create_task(agent.run("go"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        bus.close()
        return [event.kind for event in [event async for event in stream]]

    assert asyncio.run(main())[-1] == "run_failed"


def test_what_a_slow_tracer_misses_is_told_to_it() -> None:
    seen: list[tuple[str, int]] = []

    @tracer
    class Slow:
        def __init__(self) -> None:
            self.gate = threading.Event()

        async def on_event(self, event) -> None:
            if not self.gate.is_set():
                await asyncio.to_thread(self.gate.wait)
            seen.append((event.kind, event.missed or 0))

    slow = Slow()
    words = 40_000

    async def main() -> int:
        bus = EventBus()
        handle = bus.attach_tracer(slow)
        model = ScriptedModel().text("w " * words)
        result = await Agent(model, bus=bus).run("go")
        slow.gate.set()
        await handle.detach()
        return result.event_count

    emitted = asyncio.run(main())
    missed = sum(count for _, count in seen)
    told = sum(1 for kind, _ in seen if kind != "lagged")
    assert told + missed == emitted and missed > 0


def test_a_parser_shared_by_threads_does_not_freeze() -> None:
    parser = ToolCallParser(Provider.openai())

    def hammer() -> None:
        for _ in range(2_000):
            with pytest.raises(AgentError):
                parser.feed("nonsense")

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
