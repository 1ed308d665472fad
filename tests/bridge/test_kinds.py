"""Every kind of guest × every form × every way to fail, walked over the table itself."""

import asyncio
import sys
import threading

import pytest

from atomr_agents._native import _bridge_test as bt

TABLE = {kind: {m[0]: m for m in methods} for kind, _, methods in bt.kinds()}
MAIN = {kind: next(name for name, m in methods.items() if m[2]) for kind, methods in TABLE.items()}
VERB = {kind: TABLE[kind][MAIN[kind]][1] for kind in TABLE}
# What else an object of the kind must have; a function can only stand for the one method.
MORE = {kind: [name for name, m in methods.items() if m[2] and name != MAIN[kind]] for kind, methods in TABLE.items()}

FORMS = ["function", "class", "instance"]
SPEEDS = ["async", "sync"]


class Heard:
    """What a guest saw, and what it shall do next."""

    def __init__(self, act=None):
        self.calls, self.act, self.left = [], act, 0

    def hear(self, args):
        self.calls.append((args, asyncio._get_running_loop(), threading.get_ident()))
        return self.act(*args) if self.act else list(args)


def make(kind, form, speed, heard):
    """A guest of the kind in that form; what it does is up to `heard`."""
    name, verb = MAIN[kind], VERB[kind]
    if verb == "stream":

        async def body(*args):
            try:
                for item in heard.hear(args) or []:
                    await asyncio.sleep(0)
                    yield item
            finally:
                heard.left += 1
    elif speed == "async":

        async def body(*args):
            try:
                value = heard.hear(args)
                return await value if asyncio.iscoroutine(value) else value
            finally:
                heard.left += 1
    else:

        def body(*args):
            try:
                return heard.hear(args)
            finally:
                heard.left += 1

    if form == "function":
        return body
    more = {other: staticmethod(lambda *args: None) for other in MORE[kind]}
    cls = type("Guest", (), {name: staticmethod(body), **more})
    return cls if form == "class" else cls()


def cases():
    for kind in TABLE:
        alone = TABLE[kind][MAIN[kind]][3] and not MORE[kind]
        for form in FORMS if alone else FORMS[1:]:
            for speed in SPEEDS if VERB[kind] != "stream" else ["async"]:
                yield pytest.param(kind, form, speed, id=f"{kind}-{form}-{speed}")


walk = pytest.mark.parametrize(("kind", "form", "speed"), list(cases()))


@pytest.fixture(autouse=True)
def clean():
    yield
    bt.clear()


def call(kind, form, speed, heard, *args, spawn=False):
    bt.wrap(kind, "k", make(kind, form, speed, heard))
    return bt.call(kind, "k", MAIN[kind], args, spawn)


def test_the_table_names_the_kinds_of_today():
    families = ["instruction", "tool", "memory", "skill", "loop", "termination"]
    strategies = [f"strategy:{family}" for family in families]
    assert list(TABLE) == [
        "tool",
        "callable_",
        "tracer",
        "inference_client",
        *strategies,
        "parser",
        "embedder",
        "ann_index",
        "retriever",
        "repair_model",
        "loader",
        "splitter",
        "kv_cache",
        "memory_store",
        "long_store",
        "journal",
    ]
    strategies = [f'@strategy(kind="{family}")' for family in families]
    assert [d for _, d, _ in bt.kinds()] == [
        *(f"@{k}" for k in list(TABLE)[:4]),
        *strategies,
        "@parser",
        "@embedder",
        "@ann_index",
        "@retriever",
        "@repair_model",
        "@loader",
        "@splitter",
        "@kv_cache",
        "@memory_store",
        "@long_store",
        "@journal",
    ]


@walk
@pytest.mark.parametrize("spawn", [False, True])
def test_it_answers(kind, form, speed, spawn):
    heard = Heard()

    async def main():
        found = await call(kind, form, speed, heard, 1, "two", spawn=spawn)
        assert found == ([1, "two"] if VERB[kind] == "stream" else [[1, "two"]])
        ((args, loop, thread),) = heard.calls
        assert args == (1, "two") and heard.left == 1
        if speed == "async":
            assert loop is asyncio.get_running_loop() and thread == threading.get_ident()
        else:
            assert loop is None and thread != threading.get_ident()

    asyncio.run(main())


@walk
def test_what_it_raises_comes_back_as_itself(kind, form, speed):
    error = LookupError("gone")

    def act(*args):
        raise error

    heard = Heard(act)
    with pytest.raises(LookupError) as caught:
        asyncio.run(call(kind, form, speed, heard))
    assert caught.value is error and heard.left == 1


@walk
def test_a_wrong_shape_is_a_contract_error(kind, form, speed):
    heard = Heard(lambda: [1, {2, 3}])
    with pytest.raises(TypeError) as caught:
        asyncio.run(call(kind, form, speed, heard))
    error = caught.value
    assert type(error).__name__ == "ContractError"
    assert (error.guest, error.key, error.method) == (kind, "k", MAIN[kind])
    assert "sorted" in str(error) and heard.left == 1


@walk
@pytest.mark.parametrize("spawn", [False, True])
def test_it_is_cancelled(kind, form, speed, spawn):
    release = threading.Event()
    waiting = threading.Event()

    async def forever(*args):
        waiting.set()
        await asyncio.sleep(30)

    def block(*args):
        waiting.set()
        release.wait(20)

    async def main():
        if VERB[kind] == "stream":
            heard = Heard(lambda: iter(int, 1))
        else:
            heard = Heard(forever if speed == "async" else block)
        task = asyncio.create_task(call(kind, form, speed, heard, spawn=spawn))
        if VERB[kind] == "stream":
            await asyncio.sleep(0.05)
        else:
            assert await asyncio.to_thread(waiting.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if speed == "async":
            assert heard.left == 1, "its finally has run"
        release.set()
        for _ in range(500):
            if heard.left == 1:
                break
            await asyncio.sleep(0.005)
        assert heard.left == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("kind", list(TABLE))
def test_a_wrong_object_is_refused_when_it_is_wrapped(kind):
    class Empty:
        pass

    for wrong in (7, "text", Empty, Empty(), None):
        with pytest.raises(TypeError) as caught:
            bt.wrap(kind, "bad", wrong)
        assert type(caught.value).__name__ == "ContractError"
        assert f'{kind} "bad": {MAIN[kind]} broke its contract' in str(caught.value)
        assert caught.value.method == MAIN[kind]
    assert bt.registered(kind) == []


@pytest.mark.parametrize("kind", list(TABLE))
def test_a_class_that_cannot_be_made_is_refused(kind):
    class Needs:
        def __init__(self, city):
            pass

    class Fails:
        def __init__(self):
            raise OSError("disk")

    with pytest.raises(TypeError, match="decorate an instance instead"):
        bt.wrap(kind, "bad", Needs)
    with pytest.raises(OSError, match="disk"):
        bt.wrap(kind, "bad", Fails)


def test_the_flavour_is_known_when_wrapped():
    async def later():
        pass

    async def items():
        yield 1

    bt.wrap("tool", "a", later)
    bt.wrap("tool", "b", len)
    bt.wrap("tool", "c", len, inline=True)
    bt.wrap("inference_client", "d", items)
    assert [bt.flavor("tool", key, "invoke") for key in "abc"] == ["Async", "Thread", "Inline"]
    assert bt.flavor("inference_client", "d", "stream") == "AsyncGen"
    assert bt.registered("tool") == ["a", "b", "c"]


def test_streams_of_the_wrong_sort_are_refused():
    def plain():
        yield 1

    with pytest.raises(TypeError, match="async generator"):
        bt.wrap("inference_client", "bad", plain)
    with pytest.raises(TypeError, match="must return an asynchronous iterator, it returned list") as caught:
        asyncio.run(bt.stream(lambda: [1]))
    assert (caught.value.guest, caught.value.method) == ("inference_client", "stream")


def test_a_stream_may_be_any_async_iterator():
    class Items:
        def __init__(self):
            self.n = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.n += 1
            if self.n > 3:
                raise StopAsyncIteration
            return self.n

    async def through():
        return Items()

    assert asyncio.run(bt.stream(lambda: Items())) == [1, 2, 3]
    assert asyncio.run(bt.stream(through)) == [1, 2, 3]


def test_a_stream_waits_for_its_reader_and_loses_nothing():
    ahead = []

    async def items():
        for n in range(500):
            ahead.append(n)
            yield n

    async def main():
        task = asyncio.create_task(bt.stream(items, pause=0.0005))
        await asyncio.sleep(0.02)
        assert len(ahead) < 300, "a slow reader holds the generator back"
        assert await task == list(range(500))

    asyncio.run(main())


def test_a_dropped_stream_closes_its_generator():
    left = []

    async def items():
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            await asyncio.sleep(0.01)
            left.append("finally")

    async def main():
        assert await bt.stream(items, limit=3) == [0, 1, 2]
        for _ in range(200):
            if left:
                break
            await asyncio.sleep(0.005)
        assert left == ["finally"]
        for _ in range(200):
            if asyncio.all_tasks() == {asyncio.current_task()}:
                break
            await asyncio.sleep(0.005)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_stream_that_fails_gives_what_it_had_first():
    async def items():
        yield 1
        raise LookupError("broken off")

    with pytest.raises(LookupError, match="broken off"):
        asyncio.run(bt.stream(items))
    assert asyncio.run(bt.stream(items, limit=1)) == [1]


@pytest.mark.parametrize("form", ["async", "sync", "inline"])
def test_notices_arrive_in_order_and_errors_are_reported(form):
    seen, reports = [], []

    def sync(n):
        seen.append(n)
        if n % 100 == 7:
            raise ValueError(n)

    async def later(n):
        await asyncio.sleep(0)
        sync(n)

    async def main():
        hook, sys.unraisablehook = sys.unraisablehook, reports.append
        try:
            await bt.notify(later if form == "async" else sync, 300, inline=form == "inline")
            for _ in range(1000):
                if len(seen) == 300 and len(reports) == 3:
                    break
                await asyncio.sleep(0.005)
        finally:
            sys.unraisablehook = hook
        assert seen == list(range(300))
        assert [str(r.exc_value) for r in reports] == ["7", "107", "207"]

    asyncio.run(main())


def test_a_tracer_may_flush():
    class Tracer:
        def on_event(self, event):
            pass

        async def flush(self):
            return "flushed"

    assert asyncio.run(bt.flush(Tracer)) == "flushed"
    assert asyncio.run(bt.flush(lambda event: None)) is None
