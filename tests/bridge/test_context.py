"""The way in: a guest runs on its caller's loop and sees its caller's context variables."""

import asyncio
import contextvars
import functools
import threading

import pytest

from atomr_agents._native import _bridge_test as bt

USER = contextvars.ContextVar("user", default="nobody")


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.mark.parametrize("spawn", [False, True])
def test_async_guests_run_on_the_callers_loop_and_thread(spawn):
    async def main():
        async def guest(n):
            await asyncio.sleep(0)
            return asyncio.get_running_loop(), threading.get_ident(), asyncio.current_task()

        found = await bt.fan_out(guest, 5, spawn=spawn)
        assert {f[0] for f in found} == {asyncio.get_running_loop()}
        assert {f[1] for f in found} == {threading.get_ident()}
        assert len({f[2] for f in found}) == 5, "each call is a task of its own"
        assert asyncio.current_task() not in {f[2] for f in found}

    run(main())


@pytest.mark.parametrize("spawn", [False, True])
@pytest.mark.parametrize("form", ["async", "sync", "inline"])
def test_context_variables_reach_the_guest_and_do_not_leak_back(spawn, form):
    async def later(n):
        seen = USER.get()
        USER.set(f"guest {n}")
        await asyncio.sleep(0)
        return seen, USER.get()

    def now(n):
        seen = USER.get()
        USER.set(f"guest {n}")
        return seen, USER.get()

    async def main():
        USER.set("ada")
        guest = later if form == "async" else now
        found = await bt.fan_out(guest, 4, spawn=spawn, inline=form == "inline")
        assert found == [("ada", f"guest {n}") for n in range(4)]
        assert USER.get() == "ada"

    run(main())


def test_two_callers_keep_their_own_context():
    async def guest(n):
        await asyncio.sleep(0.01)
        return USER.get()

    async def caller(name):
        USER.set(name)
        return set(await bt.fan_out(guest, 3, spawn=True))

    async def main():
        names = [f"user{n}" for n in range(20)]
        assert await asyncio.gather(*map(caller, names)) == [{name} for name in names]

    run(main())


def test_sync_guests_run_in_other_threads_at_once():
    barrier = threading.Barrier(4, timeout=5)

    def guest(n):
        barrier.wait()
        return threading.get_ident()

    found = run(bt.fan_out(guest, 4, spawn=True))
    assert len(set(found)) == 4 and threading.get_ident() not in found


def test_worker_threads_are_known_to_python():
    def guest(n):
        return type(threading.current_thread()).__name__, threading.current_thread().daemon

    assert run(bt.fan_out(guest, 1)) == [("Thread", True)]


def test_inline_guests_run_on_the_loops_thread():
    assert run(bt.fan_out(lambda n: threading.get_ident(), 2, inline=True)) == [threading.get_ident()] * 2

    def declared(n):
        return threading.get_ident()

    declared.__atomr_inline__ = True
    assert run(bt.fan_out(declared, 1)) == [threading.get_ident()]


class Custom:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return self.value


async def coroutine_function(value):
    await asyncio.sleep(0)
    return value


def future(value):
    found = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, found.set_result, value)
    return found


def task(value):
    return asyncio.get_running_loop().create_task(coroutine_function(value))


@pytest.mark.parametrize("make", [coroutine_function, Custom, future, task], ids=lambda m: m.__name__)
@pytest.mark.parametrize("form", ["inline", "async"])
def test_any_awaitable_is_awaited(make, form):
    def inline(n):
        return make(n)

    async def through(n):
        return await make(n)

    found = run(bt.fan_out(inline if form == "inline" else through, 3, inline=form == "inline"))
    assert found == [0, 1, 2]


@pytest.mark.parametrize("make", [coroutine_function, Custom], ids=lambda m: m.__name__)
def test_what_a_worker_thread_returns_is_awaited_on_the_loop(make):
    async def main():
        here = asyncio.get_running_loop()
        threads = []

        def guest(n):
            threads.append(threading.get_ident())
            return check(n)

        async def check(n):
            assert asyncio.get_running_loop() is here
            return await make(n)

        assert await bt.fan_out(guest, 3) == [0, 1, 2]
        assert threading.get_ident() not in threads

    run(main())


def test_a_future_made_elsewhere_is_awaited():
    async def main():
        made = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.02, made.set_result, "late")
        assert await bt.call_carried(lambda: made) == "late"

    run(main())


class AsyncCallable:
    async def __call__(self, n):
        return n


class AsyncInvoke:
    async def invoke(self, n):
        return n


class SyncInvoke:
    def invoke(self, n):
        return n


class Static:
    @staticmethod
    async def invoke(n):
        return n


class ByClass:
    @classmethod
    async def invoke(cls, n):
        return n


@pytest.mark.parametrize("cls", [AsyncCallable, AsyncInvoke, SyncInvoke, Static, ByClass])
def test_a_class_and_its_instance_are_guests(cls):
    assert run(bt.fan_out(cls, 2)) == [0, 1]
    assert run(bt.fan_out(cls(), 2)) == [0, 1]


def test_partials_and_builtins_are_guests():
    assert run(bt.fan_out(functools.partial(coroutine_function), 2)) == [0, 1]
    assert run(bt.fan_out(functools.partial(max, 1), 3)) == [1, 1, 2]
    assert run(bt.fan_out(hex, 2)) == ["0x0", "0x1"]


def test_a_guest_without_scope_finds_the_loop_of_its_origin():
    async def main():
        async def guest():
            return asyncio.get_running_loop()

        bt.wrap("callable_", "here", guest)
        assert await bt.call_detached("callable_", "here", "invoke") is asyncio.get_running_loop()

    run(main())


def test_a_guest_without_any_loop_says_so():
    async def guest():
        return 1

    bt.wrap("callable_", "nowhere", guest)
    with pytest.raises(RuntimeError, match="callable_.nowhere") as caught:
        run(bt.call_detached("callable_", "nowhere", "invoke"))
    assert type(caught.value).__name__ == "NoEventLoopError"
    bt.wrap("callable_", "thread", lambda: 5)
    assert run(bt.call_detached("callable_", "thread", "invoke")) == 5, "a thread needs no loop"
    bt.clear()


def test_a_guest_may_call_back_into_the_runtime():
    async def inner(n):
        return n * 2

    async def outer(n):
        return sum(await bt.fan_out(inner, n + 1, spawn=True))

    assert run(bt.fan_out(outer, 4, spawn=True)) == [0, 2, 6, 12]
