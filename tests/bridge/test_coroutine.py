"""The way out: what the package returns is a real, lazy coroutine."""

import asyncio
import gc
import inspect
import time
import warnings

import pytest

from atomr_agents._native import _bridge_test as bt


def test_it_is_a_coroutine():
    coroutine = bt.identity(1)
    assert inspect.iscoroutine(coroutine) and asyncio.iscoroutine(coroutine)
    coroutine.close()


def test_nothing_starts_before_it_is_awaited():
    async def main():
        mark = []
        coroutine = bt.sleep(0, mark)
        await asyncio.sleep(0.02)
        assert mark == []
        await coroutine
        assert mark == ["started", "ended", "dropped"] or mark == ["started", "ended"]

    asyncio.run(main())


def test_closed_or_collected_unawaited_it_starts_nothing():
    async def main():
        mark = []
        bt.sleep(0, mark).close()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bt.sleep(0, mark)
            gc.collect()
        assert any("never awaited" in str(w.message) for w in caught)
        await asyncio.sleep(0.02)
        assert mark == []

    asyncio.run(main())


async def _await(c):
    return await c


async def _create_task(c):
    return await asyncio.create_task(c)


async def _task_group(c):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(c)
    return task.result()


async def _gather(c):
    return (await asyncio.gather(c, bt.unit()))[0]


async def _wait_for(c):
    return await asyncio.wait_for(c, 5)


async def _timeout(c):
    async with asyncio.timeout(5):
        return await c


async def _ensure_future(c):
    return await asyncio.ensure_future(c)


async def _shield(c):
    return await asyncio.shield(c)


async def _threadsafe(c):
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(c, loop).result(5))


@pytest.mark.parametrize(
    "way",
    [_await, _create_task, _task_group, _gather, _wait_for, _timeout, _ensure_future, _shield, _threadsafe],
)
def test_everything_takes_it(way):
    assert asyncio.run(way(bt.identity("x"))) == "x"
    with pytest.raises(KeyError):
        asyncio.run(_raises(way))


async def _raises(way):
    async def guest():
        raise KeyError("k")

    try:
        await way(bt.call_carried(guest))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def test_run_takes_it_directly():
    assert asyncio.run(bt.identity(7)) == 7


def test_unit_is_none():
    assert asyncio.run(bt.unit()) is None


def test_the_object_itself_crosses():
    thing = object()
    assert asyncio.run(bt.identity(thing)) is thing


def test_awaited_twice_is_an_error():
    async def main():
        coroutine = bt.unit()
        await coroutine
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await coroutine

    asyncio.run(main())


def test_without_a_loop_it_says_so():
    with pytest.raises(RuntimeError) as caught:
        bt.unit().send(None)
    assert type(caught.value).__name__ == "NoEventLoopError"
    assert "asyncio.run" in str(caught.value)


def test_blocking_work_releases_the_lock_and_waits():
    async def main():
        started = asyncio.get_running_loop().time()
        ticks = 0
        task = asyncio.create_task(asyncio.to_thread(bt.blocking, 0.2))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert asyncio.get_running_loop().time() - started >= 0.2
        assert ticks >= 5, "the loop stood still"

    asyncio.run(main())


def test_a_synchronous_wait_refuses_a_running_loop():
    assert bt.block_on_sleep(0.01) == 0.01

    async def main():
        with pytest.raises(RuntimeError, match="block the running event loop"):
            bt.block_on_sleep(0.01)

    asyncio.run(main())


def test_long_rust_work_holds_no_lock():
    async def main():
        task = asyncio.create_task(bt.spin(0.3))
        loop = asyncio.get_running_loop()
        worst, last = 0.0, loop.time()
        while not task.done():
            await asyncio.sleep(0.005)
            worst, last = max(worst, loop.time() - last), loop.time()
        assert worst < 0.25, f"the loop stood still for {worst} s"

    asyncio.run(main())


def test_a_guest_that_keeps_the_lock_does_not_stop_the_runtime():
    async def main():
        beats = asyncio.create_task(bt.heartbeat(40, 0.01))
        await asyncio.sleep(0.02)
        started = time.monotonic()
        while time.monotonic() - started < 0.5:
            sum(range(3_000_000))  # one C call: the lock is not given up within it
        assert await beats < 0.2

    asyncio.run(main())
