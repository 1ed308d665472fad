"""What goes wrong in a guest comes back as itself; what goes wrong in Rust never tears the loop."""

import asyncio
import sys
import traceback

import pytest

from atomr_agents._native import _bridge_test as bt
from atomr_agents.errors import GuestExitedError, RustPanicError


class Mine(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


async def call_async(error):
    async def guest():
        raise error

    await bt.call_carried(guest)


async def call_sync(error):
    def guest():
        raise error

    await bt.call_carried(guest)


async def call_awaited(error):
    async def inner():
        raise error

    await bt.call_carried(lambda: inner())


ways = pytest.mark.parametrize("way", [call_async, call_sync, call_awaited])


@ways
def test_an_exception_comes_back_as_itself_with_its_traceback(way):
    error = Mine(7)
    with pytest.raises(Mine) as caught:
        asyncio.run(way(error))
    assert caught.value is error and caught.value.code == 7
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "guest" in names or "inner" in names, names


@ways
@pytest.mark.parametrize(
    "error", [StopIteration(3), StopAsyncIteration(), RecursionError("deep"), MemoryError()], ids=repr
)
def test_awkward_exceptions_come_back(way, error):
    # A coroutine cannot raise StopIteration: Python makes it a RuntimeError there.
    with pytest.raises((type(error), RuntimeError)):
        asyncio.run(way(error))
    assert asyncio.run(bt.identity(1)) == 1


@ways
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_an_exit_is_typed_and_does_not_stop_the_loop(way, error):
    async def main():
        with pytest.raises(GuestExitedError) as caught:
            await way(error)
        assert caught.value.__cause__ is error
        return await bt.identity("the loop goes on")

    assert asyncio.run(main()) == "the loop goes on"


def test_real_recursion_is_survived():
    def deep(n=0):
        return deep(n + 1)

    async def guest():
        return deep()

    with pytest.raises(RecursionError):
        asyncio.run(bt.call_carried(guest))
    with pytest.raises(RecursionError):
        asyncio.run(bt.call_carried(deep))


def test_an_exception_that_cannot_be_printed_comes_back():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no text")

        __repr__ = __str__

    error = Mute()
    with pytest.raises(Mute) as caught:
        asyncio.run(call_async(error))
    assert caught.value is error


def test_a_panic_is_typed_and_the_next_call_works():
    async def main():
        for _ in range(20):
            with pytest.raises(RustPanicError, match="panicked: boom"):
                await bt.panic("boom")
            with pytest.raises(RustPanicError, match="panicked: late"):
                await bt.panic_in_reply("late")
        assert await bt.identity(1) == 1
        assert bt.stats()["in_flight"] == 0

    asyncio.run(main())


def test_a_wrong_shape_names_kind_method_and_place():
    async def main():
        async def guest():
            return {"cities": [{"name": "Oslo"}, {"name": b"Bergen"}]}

        with pytest.raises(TypeError) as caught:
            await bt.call_json(guest, [])
        error = caught.value
        assert type(error).__name__ == "ContractError"
        assert str(error) == (
            'callable_ "guest": invoke broke its contract: at /cities/1/name: bytes is no JSON value; '
            "decode it, or encode it with base64"
        )
        assert (error.guest, error.key, error.method) == ("callable_", "guest", "invoke")

    asyncio.run(main())


def test_wrong_arguments_are_the_guests_type_error():
    async def guest(a, b):
        return a

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'"):
        asyncio.run(bt.call_json(guest, [1]))


def test_a_thousand_failures_leave_the_loop_working():
    async def main():
        async def guest(n):
            raise [ValueError, SystemExit, RecursionError, MemoryError, Mine][n % 5](n)

        for _ in range(200):
            results = await asyncio.gather(*(bt.fan_out(guest, 5) for _ in range(5)), return_exceptions=True)
            assert all(isinstance(r, Exception) for r in results)
        assert await bt.identity(1) == 1

    asyncio.run(main())


def test_raising_in_the_cleaning_up_of_a_cancelled_call_is_reported():
    async def main():
        reports = []

        async def guest():
            try:
                await asyncio.sleep(30)
            finally:
                raise Mine(9)

        hook, sys.unraisablehook = sys.unraisablehook, reports.append
        try:
            assert await bt.race(guest, 0.02) is None
            await asyncio.sleep(0.05)
        finally:
            sys.unraisablehook = hook
        assert [type(r.exc_value) for r in reports] == [Mine]

    asyncio.run(main())
