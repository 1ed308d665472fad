"""Cancelling crosses the border both ways, and leaves nothing behind."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from atomr_agents._native import _bridge_test as bt


async def until(condition, seconds=2.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.002)


def test_cancelling_the_task_drops_the_rust_work():
    async def main():
        mark = []
        task = asyncio.create_task(bt.sleep(30, mark))
        await until(lambda: mark == ["started"])
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.args == ("enough",)
        assert mark == ["started", "dropped"], "settled before the cancellation came through"
        assert bt.stats()["in_flight"] == 0

    asyncio.run(main())


@pytest.mark.parametrize("spawn", [False, True])
def test_cancelling_the_task_runs_the_guests_finally_first(spawn):
    async def main():
        log, ready = [], asyncio.Event()

        async def guest(n):
            try:
                ready.set()
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0.02)
                log.append(n)

        task = asyncio.create_task(bt.fan_out(guest, 3, spawn=spawn))
        await ready.wait()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(log) == [0, 1, 2]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("way", ["wait_for", "timeout"])
def test_time_outs_reach_the_innermost_guest(way):
    async def main():
        log = []

        async def guest():
            try:
                await asyncio.sleep(30)
            finally:
                log.append("finally")

        with pytest.raises(TimeoutError):
            if way == "wait_for":
                await asyncio.wait_for(bt.call_carried(guest), 0.05)
            else:
                async with asyncio.timeout(0.05):
                    await bt.call_carried(guest)
        assert log == ["finally"]

    asyncio.run(main())


def test_dropping_the_rust_future_cancels_the_task():
    async def main():
        log = []

        async def guest():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0.01)
                log.append("finally")

        assert await bt.race(guest, 0.05) is None
        await until(lambda: log == ["cancelled", "finally"])
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    asyncio.run(main())


def test_a_failing_call_cancels_its_siblings():
    async def main():
        log = []

        async def guest(n):
            if n == 1:
                await asyncio.sleep(0.02)
                raise ValueError("one")
            try:
                await asyncio.sleep(30)
            finally:
                log.append(n)

        with pytest.raises(ValueError):
            await bt.fan_out(guest, 3)
        await until(lambda: sorted(log) == [0, 2])

    asyncio.run(main())


def test_a_task_group_cancels_its_awaitables():
    async def main():
        mark = []
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(bt.sleep(30, mark))
                await until(lambda: mark == ["started"])
                raise ValueError("stop")
        assert mark == ["started", "dropped"]

    asyncio.run(main())


def test_cancelled_before_its_first_step_it_never_starts():
    async def main():
        mark = []
        task = asyncio.create_task(bt.sleep(30, mark))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
        assert mark == []

    asyncio.run(main())


def test_a_guest_that_is_slow_to_stop_is_waited_for_once():
    async def main():
        log = []

        async def stubborn():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                await asyncio.sleep(0.2)
                log.append("cleaned up")
                raise

        task = asyncio.create_task(bt.call_carried(stubborn))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()  # impatient: must not tear the guest's cleaning up
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["cleaned up"]

    asyncio.run(main())


def test_a_guest_that_will_not_stop_is_given_up_and_reported():
    async def main():
        reports, stop = [], asyncio.Event()

        async def deaf():
            while not stop.is_set():
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    pass

        hook, sys.unraisablehook = sys.unraisablehook, reports.append
        try:
            task = asyncio.create_task(bt.call_carried(deaf))
            await asyncio.sleep(0.05)
            started = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert 0.9 < time.monotonic() - started < 2.0
        finally:
            sys.unraisablehook = hook
            stop.set()
        assert any("did not settle" in str(r.exc_value) for r in reports)

    asyncio.run(main())


def test_a_synchronous_call_is_abandoned_and_counted():
    async def main():
        release = threading.Event()
        before = bt.stats()["abandoned"]
        started = time.monotonic()
        assert await bt.race(lambda: release.wait(20), 0.05) is None
        assert time.monotonic() - started < 2, "a thread must not be joined"
        assert bt.stats()["abandoned"] == before + 1
        release.set()
        await until(lambda: bt.stats()["abandoned"] == before)

    asyncio.run(main())


def test_an_abandoned_call_that_returns_an_awaitable_does_not_run_it():
    async def main():
        release, ran = threading.Event(), []

        async def late():
            ran.append(1)

        def guest():
            release.wait(20)
            return late()

        assert await bt.race(guest, 0.05) is None
        release.set()
        await until(lambda: bt.stats()["abandoned"] == 0)
        await asyncio.sleep(0.02)
        assert ran == []

    asyncio.run(main())


def test_a_guest_that_cancels_itself_is_cancelled_not_broken():
    async def main():
        async def guest():
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await asyncio.gather(bt.call_carried(guest))
        assert await bt.identity(1) == 1

    asyncio.run(main())


def test_a_suspended_coroutine_that_is_closed_stops_its_work():
    async def main():
        mark = []
        coroutine = bt.sleep(30, mark)
        coroutine.send(None)
        await until(lambda: mark == ["started"])
        coroutine.close()
        await until(lambda: mark == ["started", "dropped"])
        coroutine = bt.sleep(30, mark)
        coroutine.send(None)
        await until(lambda: mark.count("started") == 2)
        del coroutine
        gc.collect()
        await until(lambda: mark.count("dropped") == 2)

    asyncio.run(main())


def test_cancelling_at_random_points_leaves_nothing():
    async def main():
        entered = left = 0

        async def guest(n):
            nonlocal entered, left
            entered += 1
            try:
                for _ in range(3):
                    await asyncio.sleep(0.0005 * n)
                return n
            finally:
                left += 1

        for n in range(150):
            task = asyncio.create_task(bt.fan_out(guest, 4, spawn=n % 2 == 0))
            await asyncio.sleep((n % 25) * 0.0002)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            assert entered == left, n
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert bt.stats()["in_flight"] == 0

    asyncio.run(main())


def test_a_guest_cancelled_before_its_first_step_is_not_waited_for():
    """The waiter leaves while the loop's thread makes the task: the guest never runs, and nothing of it stays."""
    entered = []

    async def guest():
        entered.append(1)

    def slowly(loop, coroutine, **options):
        if coroutine.__name__ == "guest":
            time.sleep(0.1)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main():
        asyncio.get_running_loop().set_task_factory(slowly)
        assert await bt.race(guest, 0.02) is None
        await until(lambda: bt.stats()["in_flight"] == 0)

    asyncio.run(main())
    assert entered == []


CTRL_C = """
import asyncio, os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
from atomr_agents._native import _bridge_test as bt
log = []
async def guest():
    try:
        print("ready", flush=True)
        await asyncio.sleep(30)
    finally:
        log.append("finally")
try:
    WORK
except KeyboardInterrupt:
    print("interrupted", *log, flush=True)
"""


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("asyncio.run(bt.call_carried(guest))", "interrupted finally"),
        ("print('ready', flush=True); bt.block_on_sleep(30)", "interrupted"),
    ],
)
def test_ctrl_c_stops_it(work, said):
    child = subprocess.Popen(
        [sys.executable, "-c", CTRL_C.replace("WORK", work)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    started = time.monotonic()
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=10)
    assert out.strip() == said, err
    assert child.returncode == 0 and err == ""
    assert time.monotonic() - started < 3
