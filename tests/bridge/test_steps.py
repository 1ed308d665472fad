"""Work that goes from guest to guest goes on where they end: on the loop's thread."""

import asyncio
import gc
import time
import weakref

import pytest

from atomr_agents import errors
from atomr_agents._native import _bridge_test as bt


def mostly_here(places):
    """On the loop's thread, but for guests that end before the runtime has put the work away that called them."""
    return places.count(False) > len(places) / 2


async def coroutine():
    await asyncio.sleep(0)


async def quick():
    pass


def plain():
    pass


@pytest.mark.parametrize(("object", "inline"), [(coroutine, False), (quick, False), (plain, True)])
def test_after_a_guest_of_the_loop_it_stays_there(object, inline):
    assert mostly_here(asyncio.run(bt.steps(object, 50, inline=inline)))


def test_after_a_guest_on_a_worker_thread_the_runtime_goes_on():
    assert asyncio.run(bt.steps(plain, 5)) == [True] * 10


@pytest.mark.parametrize("between", ["sleep", "yield"])
def test_whatever_else_wakes_it_has_the_runtime_go_on(between):
    places = asyncio.run(bt.steps(coroutine, 50, between))
    assert mostly_here(places[::2])
    # A sleep that is over when it is first looked at wakes nobody.
    assert places[1::2].count(True) > 25


def test_a_guest_that_raises_ends_it():
    async def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(bt.steps(fails, 3))


@pytest.mark.parametrize("object", [coroutine, plain])
def test_a_panic_after_a_guest_is_an_error_and_the_loop_goes_on(object):
    async def main():
        with pytest.raises(errors.RustPanicError, match="on purpose"):
            await bt.steps(object, 1, "panic")
        return await bt.steps(coroutine, 10)

    assert len(asyncio.run(main())) == 20


@pytest.mark.parametrize("between", ["nothing", "sleep"])
def test_cancelled_anywhere_it_settles(between):
    async def main():
        ended = 0

        async def counted():
            nonlocal ended
            try:
                await asyncio.sleep(0.001)
            finally:
                ended += 1

        for after in range(20):
            task = asyncio.create_task(bt.steps(counted, 1_000, between))
            await asyncio.sleep(after / 1_000)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            before = ended
            await asyncio.sleep(0.005)
            assert ended == before, "a guest ended after the awaitable had settled"

    asyncio.run(main())


def test_many_at_once_from_many_loops():
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(bt.steps(coroutine, 20)) for _ in range(200)]
        return [len(task.result()) for task in tasks]

    async def loops():
        return await asyncio.gather(*(asyncio.to_thread(asyncio.run, main()) for _ in range(3)))

    assert asyncio.run(loops()) == [[40] * 200] * 3


def test_the_rest_of_the_loop_gets_its_turns():
    async def main():
        turns = 0

        async def tick():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await bt.steps(plain, 10_000, inline=True)
        ticking.cancel()
        return turns

    assert asyncio.run(main()) >= 500


def test_a_loop_that_is_closed_before_it_looks_leaves_nothing_behind():
    class Stops:
        """Its end is the last thing that the loop sees."""

        async def __call__(self):
            asyncio.get_running_loop().stop()

    loop = asyncio.new_event_loop()
    guest = Stops()
    freed = weakref.ref(guest)
    task = loop.create_task(bt.steps(guest, 3))
    loop.run_forever()
    assert not task.done()
    loop.close()
    del guest, task
    until = time.monotonic() + 10
    while freed() is not None and time.monotonic() < until:
        # What a thread without the interpreter lets go is freed by the next one that comes with it.
        bt.kinds()
        gc.collect()
        time.sleep(0.01)
    assert freed() is None, "the work still holds its guest"
