"""Several loops, loops one after the other, loops that are gone."""

import asyncio
import gc
import os
import threading
import weakref

import pytest

from atomr_agents._native import _bridge_test as bt


async def where(n):
    await asyncio.sleep(0.001)
    return id(asyncio.get_running_loop())


def test_one_run_after_the_other():
    for _ in range(20):

        async def main():
            assert set(await bt.fan_out(where, 5, spawn=True)) == {id(asyncio.get_running_loop())}

        asyncio.run(main())


def test_several_loops_in_several_threads():
    failures = []

    def thread():
        async def main():
            for _ in range(20):
                assert set(await bt.fan_out(where, 5, spawn=True)) == {id(asyncio.get_running_loop())}

        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=thread) for _ in range(6)]
    [t.start() for t in threads]
    [t.join(30) for t in threads]
    assert not failures and not any(t.is_alive() for t in threads)


def test_a_loop_that_is_run_again_goes_on():
    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(bt.fan_out(where, 3))
        loop.run_until_complete(asyncio.sleep(0))
        assert loop.run_until_complete(bt.identity(1)) == 1
        assert len(loop.run_until_complete(task)) == 3
    finally:
        loop.close()


def test_a_closed_loop_stops_the_work_and_hangs_nothing():
    mark = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(bt.sleep(30, mark))
    loop.run_until_complete(asyncio.sleep(0.05))
    assert mark == ["started"]
    loop.close()
    task._log_destroy_pending = False
    for _ in range(200):
        if mark == ["started", "dropped"]:
            break
        threading.Event().wait(0.01)
    assert mark == ["started", "dropped"]
    del task
    assert asyncio.run(bt.identity(2)) == 2


def test_a_guest_whose_loop_is_closed_fails_typed():
    """A loop in another thread is closed while it runs a guest for an awaitable here."""

    async def never():
        await asyncio.sleep(30)

    there = asyncio.new_event_loop()

    async def wrap():
        bt.wrap("callable_", "there", never)

    there.run_until_complete(wrap())
    stop = threading.Event()

    def spin():
        asyncio.set_event_loop(there)
        there.call_later(0.1, there.stop)
        there.run_forever()
        for task in asyncio.all_tasks(there):
            task._log_destroy_pending = False
        there.close()
        stop.set()

    async def main():
        thread = threading.Thread(target=spin)
        thread.start()
        with pytest.raises(RuntimeError) as caught:
            await asyncio.wait_for(bt.call_detached("callable_", "there", "invoke"), 5)
        assert type(caught.value).__name__ == "LoopClosedError"
        await asyncio.to_thread(thread.join)
        with pytest.raises(RuntimeError) as caught:
            await bt.call_detached("callable_", "there", "invoke")
        assert type(caught.value).__name__ == "NoEventLoopError"

    asyncio.run(main())
    assert stop.is_set()
    bt.clear()


def test_loops_and_descriptors_are_given_back():
    def descriptors():
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    async def main():
        await bt.fan_out(where, 2)

    asyncio.run(main())
    gc.collect()
    before, loops = descriptors(), []
    for _ in range(50):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        loops.append(weakref.ref(loop))
        del loop
    gc.collect()
    assert descriptors() == before
    assert all(ref() is None for ref in loops), "a port must not keep its loop alive"


class Deaf(asyncio.SelectorEventLoop):
    """A loop that cannot watch sockets, as the proactor loop of Windows."""

    def add_reader(self, *args):
        raise NotImplementedError


def test_a_loop_without_readers_is_woken_the_other_way():
    with asyncio.Runner(loop_factory=Deaf) as runner:

        async def main():
            assert await bt.fan_out(where, 20, spawn=True) == [id(asyncio.get_running_loop())] * 20
            assert await bt.fan_out(hex, 3) == ["0x0", "0x1", "0x2"]
            mark = []
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bt.sleep(30, mark), 0.05)
            assert mark == ["started", "dropped"]

        runner.run(main())


def test_a_task_factory_is_respected():
    async def main():
        made = []

        def factory(loop, coro, context=None):
            task = asyncio.Task(coro, loop=loop, context=context)
            made.append(task)
            return task

        asyncio.get_running_loop().set_task_factory(factory)
        await bt.fan_out(where, 3)
        assert len(made) == 3

    asyncio.run(main())


def test_uvloop_if_it_is_installed():
    uvloop = pytest.importorskip("uvloop")
    mark = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def main():
            assert set(await bt.fan_out(where, 20, spawn=True)) == {id(asyncio.get_running_loop())}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bt.sleep(30, mark), 0.05)

        runner.run(main())
    assert mark == ["started", "dropped"]
