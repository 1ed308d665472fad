"""Steps and what is made of them."""

import asyncio
import threading
import time
from typing import Any

import pytest

from atomr_agents import (
    Callable,
    Pipeline,
    RunContext,
    branch,
    callable_,
    fan_out,
    lambda_,
    passthrough,
    with_config,
    with_fallbacks,
    with_retry,
    with_timeout,
)
from atomr_agents.errors import ContractError, RunTimeoutError, RuntimeUnavailableError


async def double(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


def increment(n: int) -> int:
    return n + 1


class Adder:
    def __init__(self, more: int = 10) -> None:
        self.more = more

    async def invoke(self, n: int) -> int:
        return n + self.more


async def test_functions_classes_and_instances_are_steps():
    class Called:
        async def __call__(self, n: int) -> int:
            return -n

    for target, wanted in [
        (double, 8),
        (increment, 5),
        (Adder, 14),
        (Adder(100), 104),
        (Called(), -4),
        (abs, 4),
        (lambda n: n * n, 16),
    ]:
        assert await Callable.from_callable(target).call(4) == wanted, target
    assert Callable.from_callable(double).label == "double"
    assert lambda_(double, "twice").label == "twice"
    with pytest.raises(ContractError):
        Callable.from_callable(7)  # type: ignore[arg-type]


async def test_a_step_is_a_lazy_coroutine():
    ran: list[int] = []
    step = Callable.from_callable(ran.append)
    waiting = step.call(1)
    await asyncio.sleep(0.02)
    assert ran == []
    waiting.close()
    task = asyncio.create_task(step.call(2))
    async with asyncio.TaskGroup() as group:
        group.create_task(step.call(3))
    await task
    assert sorted(ran) == [2, 3]


def test_call_sync_runs_async_steps_too():
    assert Callable.from_callable(double).call_sync(21) == 42
    assert passthrough().call_sync({"a": [1, None]}) == {"a": [1, None]}
    assert Callable.identity().call_sync() is None


async def test_call_sync_inside_a_loop_says_what_to_do():
    with pytest.raises(RuntimeUnavailableError, match="await call"):
        passthrough().call_sync(1)


async def test_a_step_of_two_parameters_gets_the_context():
    seen: list[Any] = []

    def look(value: int, ctx: RunContext[None]) -> int:
        seen.append(ctx)
        return value

    def optional(value: int, more: int = 1) -> Any:
        return more

    assert await Callable.from_callable(optional).call(7) == 1
    assert await Callable.from_callable(look).call(1) == 1
    assert isinstance(seen[0], RunContext)
    assert seen[0].tool_name == ""


async def test_pipelines_can_be_shared_and_built_more_than_once():
    start = Pipeline.from_(increment).then(double)
    longer = start.then(Adder())
    assert await start.build().call(1) == 4
    assert await longer.build().call(1) == 14
    assert await start.build().call(2) == 6
    assert await Pipeline.from_(passthrough()).passthrough().build().call("x") == "x"


async def test_assign_and_fan_out():
    asked = Pipeline.from_(lambda text: {"text": text}).assign("length", lambda value: len(value["text"])).build()
    assert await asked.call("rain") == {"text": "rain", "length": 4}
    split = Pipeline.from_(passthrough()).fan_out_with({"double": double, "plus": increment}).build()
    answer = await split.call(5)
    assert answer == {"double": 10, "plus": 6}
    assert list(answer) == ["double", "plus"]


async def test_a_fan_out_runs_at_once_on_the_callers_loop():
    loop = asyncio.get_running_loop()
    barrier = asyncio.Barrier(3)

    async def meet(n: int) -> bool:
        await asyncio.wait_for(barrier.wait(), 5)
        return asyncio.get_running_loop() is loop

    assert await fan_out({"a": meet, "b": meet, "c": meet}).call(1) == {"a": True, "b": True, "c": True}


async def test_a_branch_asks_its_predicate():
    async def negative(n: int) -> bool:
        return n < 0

    sign = branch(negative, lambda n: "minus", lambda n: "plus")
    assert [await sign.call(n) for n in (-1, 1)] == ["minus", "plus"]
    with pytest.raises(ContractError):
        await branch(lambda n: "maybe", passthrough(), passthrough()).call(1)


async def test_an_error_of_the_predicate_is_an_error():
    def broken(n: int) -> bool:
        raise LookupError("no idea")

    with pytest.raises(LookupError, match="no idea"):
        await branch(broken, passthrough(), passthrough()).call(1)


async def test_fallbacks_and_retries():
    tries: list[int] = []

    def flaky(n: int) -> int:
        tries.append(n)
        if len(tries) < 3:
            raise OSError("busy")
        return n

    assert await with_retry(flaky, max_attempts=3, initial_backoff_ms=1).call(7) == 7
    assert len(tries) == 3
    tries.clear()
    with pytest.raises(OSError, match="busy"):
        await with_retry(flaky, max_attempts=2, initial_backoff_ms=1).call(7)
    tries.clear()
    assert await with_fallbacks(flaky, [flaky, increment]).call(7) == 8
    with pytest.raises(ValueError, match="max_attempts"):
        with_retry(flaky, max_attempts=0)


async def test_the_error_of_a_step_is_the_object_that_was_raised():
    error = KeyError("city")

    async def fails(_: Any) -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await Pipeline.from_(passthrough()).then(fails).build().call(1)
    assert caught.value is error
    assert any(frame.name == "fails" for frame in caught.traceback)


async def test_a_limit_cancels_what_is_too_slow():
    ended: list[str] = []

    async def slow(_: Any) -> None:
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    started = time.monotonic()
    with pytest.raises(RunTimeoutError):
        await with_timeout(slow, 30).call(1)
    assert time.monotonic() - started < 5
    await asyncio.sleep(0.02)
    assert ended == ["cancelled"]


async def test_cancelling_the_caller_cancels_the_step():
    ended: list[str] = []
    started = asyncio.Event()

    async def slow(_: Any) -> None:
        started.set()
        try:
            await asyncio.sleep(20)
        finally:
            ended.append("ended")

    task = asyncio.create_task(fan_out({"a": slow, "b": slow}).call(1))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended", "ended"]


async def test_with_config_changes_nothing_but_the_name():
    step = with_config(increment, run_name="plus one", tags=["math"], metadata={"who": "me"})
    assert await step.call(1) == 2


async def test_values_that_json_cannot_hold_are_refused_and_big_ones_cross():
    for value in ({1, 2}, object(), threading.Lock(), float("nan"), 2**70):
        with pytest.raises(ContractError):
            await passthrough().call(value)
    big = {"n": [2**64 - 1, -(2**63)], "text": "x" * 100_000, "deep": [[[[{}]]]]}
    assert await passthrough().call(big) == big
    with pytest.raises(ContractError):
        await Callable.from_callable(lambda _: object()).call(1)


async def test_registered_steps_are_found_by_key():
    @callable_
    def trim(text: str) -> str:
        return text.strip()

    @callable_(name="loud")
    class Loud:
        async def invoke(self, text: str) -> str:
            return text.upper()

    assert trim(" x ") == "x"
    assert isinstance(Loud, type)
    both = Pipeline.from_(Callable.from_factory("trim")).then(Callable.from_factory("loud")).build()
    assert await both.call(" rain ") == "RAIN"
    with pytest.raises(KeyError, match="loud, trim"):
        Callable.from_factory("nope")
