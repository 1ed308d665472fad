"""Cancelled at random moments, a turn leaves nothing: over real connections, with tools of both kinds and a budget."""

import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections.abc import Callable

import pytest

from atomr_agents import Agent, Budget
from atomr_agents.testkit import ReplayServer, ScriptedModel

POINTS = 250
MODELS = ["openai:gpt-4o", "openai-responses:gpt-4o", "anthropic:claude-sonnet-4-5", "gemini:gemini-2.5-flash"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


class Work:
    """Counts what runs; a plain function on its thread cannot be stopped, so it ends by itself."""

    def __init__(self) -> None:
        self.waiting = 0
        self.blocking = 0
        self.lock = threading.Lock()

    async def look(self, n: int) -> str:
        self.waiting += 1
        try:
            await asyncio.sleep(0.004)
        finally:
            self.waiting -= 1
        return str(n)

    def count(self, n: int) -> str:
        with self.lock:
            self.blocking += 1
        try:
            time.sleep(0.002)
        finally:
            with self.lock:
                self.blocking -= 1
        return str(n)


async def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("model", MODELS)
async def test_cancelled_at_any_of_a_thousand_points_a_turn_leaves_nothing(model: str, monkeypatch: pytest.MonkeyPatch):
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    script = (
        ScriptedModel()
        .tool_calls(("look", {"n": 1}), ("count", {"n": 2}), ("look", {"n": 3}), text="Let me look.")
        .text("It is done.")
    )
    random_ = random.Random(model)
    work = Work()
    early = 0
    with ReplayServer(script, cut="event", delay_ms=1) as server:
        agent = Agent(
            model,
            base_url=server.base_url,
            api_key="sk-canary",
            tools=[work.look, work.count],
            max_tokens=1_000,
            budget=Budget(tokens=100_000_000),
        )
        began = time.perf_counter()
        assert (await agent.run("?")).output == "It is done."
        whole = time.perf_counter() - began
        before = descriptors()
        for _ in range(POINTS):
            task = asyncio.create_task(agent.run("?"))
            await asyncio.sleep(random_.uniform(0, whole))
            task.cancel()
            await asyncio.wait([task])
            assert work.waiting == 0, "an async tool runs on after the cancellation"
            if task.cancelled():
                early += 1
            else:
                assert task.result().output == "It is done."
        await until(lambda: work.blocking == 0, "a thread is still busy")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # What was cancelled has given back its share of the connections and of the budget.
        assert (await agent.run("?")).output == "It is done."
        await until(lambda: descriptors() <= before + 8, f"{descriptors()} files are open, {before} before")
    gc.collect()
    assert early > POINTS // 4, early
    assert (unraisable, complaints) == ([], [])
