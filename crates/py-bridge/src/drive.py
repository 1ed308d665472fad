"""The Python half of the bridge: the few frames that must be real coroutines.

Compiled once, when the first awaitable or guest needs it; imports nothing, so that importing the package stays light.
"""


async def drive(op):
    """What every awaitable of the package is: lazy, and settled before it lets a cancellation through."""
    future = op.start()
    try:
        await future
    except GeneratorExit:
        op.abort()
        raise
    except BaseException:
        while (settled := op.settle()) is not None:
            try:
                await settled
            except GeneratorExit:
                raise
            except BaseException:
                pass  # cancelled once more while it settles: the first one is raised, the grace bounds the wait
        raise
    return op.take()


async def watch(watched):
    """Waits for something that needs no work of the runtime, only to be looked at again when it may have changed."""
    while (future := watched.look()) is not None:
        await future
    return watched.take()


async def guest(fn, args, kwargs, done):
    """Runs one guest call as a task of its caller's loop; nothing that it raises reaches the loop."""
    try:
        value = await fn(*args, **kwargs)
    except BaseException as error:
        done.fail(error)
    else:
        done.ok(value)


async def finish(value, done):
    """Awaits what a synchronous guest returned."""
    try:
        value = await value
    except BaseException as error:
        done.fail(error)
    else:
        done.ok(value)


async def pump(fn, args, kwargs, sink):
    """Feeds an async generator into a bounded native queue; closes it when the reader has gone."""
    source = None
    try:
        source = fn(*args, **kwargs)
        if hasattr(source, "__await__"):
            source = await source
        if not hasattr(source, "__aiter__"):
            sink.refuse(source)
            return
        async for item in source:
            room = sink.put(item)
            if room is not None:
                await room
    except BaseException as error:
        await close(source)
        sink.fail(error)
    else:
        sink.end()


async def close(source):
    """Runs a generator's `finally`; what it raises there is reported, not lost and not raised."""
    aclose = getattr(source, "aclose", None)
    if aclose is not None:
        try:
            await aclose()
        except BaseException as error:
            report(error, source)  # noqa: F821  (native, put in when this is compiled)


def each(fn, items):
    """Calls a plain function for each item, all on one visit to its thread; what a call raises concerns only itself."""
    later = None
    for item in items:
        try:
            value = fn(item)
        except BaseException as error:
            report(error, fn)  # noqa: F821
        else:
            if value is not None and hasattr(value, "__await__"):
                later = later or []
                later.append(value)
    return later and all_of(later, fn)


async def all_of(values, fn):
    """Awaits what such calls returned, one after the other."""
    for value in values:
        try:
            await value
        except Exception as error:
            report(error, fn)  # noqa: F821


def work(pool):
    """One worker thread of the pool for synchronous guests."""
    while (job := pool.next()) is not None:
        context, fn, args, kwargs, done = job
        try:
            value = context.run(fn, *args, **kwargs)
        except BaseException as error:
            done.fail(error)
            del error
        else:
            done.returned(value)
            del value
        del job, context, fn, args, kwargs, done


def hire(pool):
    """Starts one worker; daemon, because a blocked guest must not keep the process alive."""
    import threading

    threading.Thread(target=work, args=(pool,), name="atomr-guest", daemon=True).start()


class ContractError(TypeError):
    """A guest does not do what its decorator promises, or a value cannot cross between the languages."""


class NoEventLoopError(RuntimeError):
    """An asynchronous guest was called where no event loop can run it."""


class LoopClosedError(RuntimeError):
    """The event loop was closed while the work was under way."""


class RuntimeForkedError(RuntimeError):
    """The runtime was started before this process was forked; start the work in a fresh process."""


class RuntimeShutDownError(RuntimeError):
    """The interpreter is exiting and the runtime has stopped."""


class GuestExitedError(RuntimeError):
    """A guest raised SystemExit or KeyboardInterrupt; the original is the cause."""


class RustPanicError(RuntimeError):
    """The native side failed in a way it did not foresee; the work is lost, the runtime is not."""


class OverloadedError(RuntimeError):
    """A bounded queue is full."""
