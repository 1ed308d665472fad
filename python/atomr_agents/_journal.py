"""Steps of one's own that survive the process."""

from __future__ import annotations

from ._light import Generic, TypeVar
from ._native.state import NativeJournal
from .errors import ConfigError, GuestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from types import TracebackType
    from typing import Any, Literal, TypeAlias

    from ._native.state import RunInfo, Store

    Effect_: TypeAlias = Literal["none", "idempotent", "once"]

T = TypeVar("T")

_KINDS = ("none", "idempotent", "once")


class Journal:
    """The one writer of a run: what it was about to do, and what came of it.

    Open it with `Journal.open`, and perform each effect through it. An effect that was recorded is not performed again:
    not after an error, not in another process after this one was killed.

    Example:
        >>> import asyncio
        >>> from atomr_agents.state import Journal, in_memory_store
        >>> store, sent = in_memory_store(), []
        >>> async def order(fail):
        ...     async with Journal.open(store, "order-7", target="shop") as journal:
        ...         receipt = await journal.effect("charge", lambda: sent.append("charge") or 7, effect="once")
        ...         if fail:
        ...             raise ConnectionError("the mail server is down")
        ...         await journal.effect("mail", lambda: sent.append("mail"))
        ...         journal.output = receipt
        >>> try:
        ...     asyncio.run(order(fail=True))
        ... except ConnectionError:
        ...     asyncio.run(order(fail=False))
        >>> sent
        ['charge', 'mail']
    """

    __slots__ = ("_counts", "_ended", "_native", "output")

    def __init__(self, native: NativeJournal) -> None:
        self._native = native
        self._counts: dict[str, int] = {}
        self._ended = False
        self.output: Any = None
        """What the run gives; written when it ends well."""

    @staticmethod
    def open(
        store: object,
        run: str = "",
        *,
        mode: Literal["begin or resume", "begin", "resume"] = "begin or resume",
        input: Any = None,
        kind: str = "script",
        target: str = "",
        version: str = "",
        labels: Mapping[str, str] | None = None,
        durability: Literal["full", "relaxed"] = "full",
        when: Literal["sync", "async", "exit"] = "sync",
        lease: float = 30.0,
    ) -> Opening:
        """Begins a run, or goes on with one that did not end well.

        Use it as `async with Journal.open(...) as journal`: then the run ends as `finished` at the end of the block, as
        `failed` or `cancelled` when an exception leaves it, and is let go. Or await it, and call `end` and `release`.

        Args:
            store: A `Store`, a checkpointer, an object made with `@journal`, a path, or text such as
                `"sqlite:runs.db"`.
            run: Its name; a fresh id if empty.
            mode: Whether it may exist, must not, or must.
            input: What it was begun with; for those who look at it.
            kind: What it is: `script` unless told.
            target: What it is a run of.
            version: The version of that.
            labels: Your own words about it.
            durability: What a commit survives: `full` the machine losing its power, `relaxed` the process being killed.
            when: When what was recorded is written: before the call returns, while the run goes on, or at its end. An
                effect of the kind `once` is always written before it is performed.
            lease: For how many seconds a writer that is not heard of keeps others out.

        Raises:
            ConflictError: It has ended well; or it exists (`begin`), or does not (`resume`).
            LockedError: Somebody else writes it.
        """
        opening = _opening(run, kind, target, version, labels, durability, when, lease)
        modes = {"begin or resume": (True, True), "begin": (True, False), "resume": (False, True)}
        if mode not in modes:
            raise ConfigError(f'mode is "begin or resume", "begin" or "resume", not {mode!r}')
        begin, resume = modes[mode]
        return Opening(lambda: NativeJournal.open(store, opening, input, begin, resume and bool(run)))

    @property
    def run(self) -> str:
        """The run's name."""
        return self._native.info.name

    @property
    def info(self) -> RunInfo:
        """What is known of the run."""
        return self._native.info

    @property
    def store(self) -> Store:
        """Where it is written."""
        return self._native.store

    @property
    def lost(self) -> bool:
        """Whether somebody else took the run over; then every write is a `FencedError`."""
        return self._native.lost

    def effect(
        self,
        name: str,
        function: Callable[..., Awaitable[T]] | Callable[..., T] | None = None,
        /,
        *args: Any,
        effect: Effect_ = "idempotent",
    ) -> Effect[T]:
        """Something that is to happen at most once, or as few times as can be.

        Awaited, it calls the function (plain or async) with the arguments and records what it gives, or gives what was
        recorded. Without a function, `async with journal.effect("charge") as e` leaves the call to the block: see
        `Effect`.

        Names tell effects apart; where one is used several times, they are counted in the order in which they are
        begun. What is begun at the same time gets names of its own, such as `f"charge/{order}"`.

        Args:
            name: Its name.
            function: What performs it.
            args: What the function gets.
            effect: What happens when it is performed twice: nothing, as it only looks (`none`); nothing more, as it
                hands on the idempotency key (`idempotent`); or something (`once`): then it is not performed again when
                nobody knows whether it happened.
        """
        if not name or "#" in name:
            raise ConfigError(f"the name of an effect is text without #, not {name!r}")
        if effect not in _KINDS:
            raise ConfigError(f"effect is one of {', '.join(_KINDS)}, not {effect!r}")
        index = self._counts.get(name, 0)
        self._counts[name] = index + 1
        return Effect(self._native, f"0:{name}#{index}", name, function, args, effect)

    async def resolve(self, name: str, value: Any, *, index: int = 0) -> None:
        """Records what an effect gave of which nobody knew whether it happened: you found out."""
        await self._native.record(f"0:{name}#{index}", value)

    async def end(self, output: Any = None, *, status: str = "finished", error: BaseException | None = None) -> None:
        """Ends the run."""
        self._ended = True
        told = None
        if error is not None:
            told = (str(getattr(error, "kind", "guest")), f"{type(error).__name__}: {error}")
        await self._native.end(status, output, told)

    async def release(self) -> None:
        """Lets the run go, so that somebody else can go on with it at once."""
        await self._native.release()

    async def __aenter__(self) -> Journal:
        return self

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._ended and not self.lost:
                await self.end(self.output, status=_status(error), error=error)
        finally:
            await self.release()

    def __repr__(self) -> str:
        return f"<Journal of {self.run!r}>"


class Opening:
    """A journal that is about to be opened: await it, or use it in `async with`."""

    __slots__ = ("_journal", "_open")

    def __init__(self, open: Callable[[], Awaitable[NativeJournal]]) -> None:
        self._open = open

    async def _opened(self) -> Journal:
        return Journal(await self._open())

    def __await__(self) -> Generator[Any, Any, Journal]:
        return self._opened().__await__()

    async def __aenter__(self) -> Journal:
        self._journal = await self
        return self._journal

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._journal.__aexit__(cls, error, trace)


class Effect(Generic[T]):
    """One effect of a run.

    ```python
    async with journal.effect("charge", effect="once") as charge:
        if charge.pending:
            charge.value = await pay(order, key=charge.idempotency_key)
    receipt = charge.value
    ```

    The value is recorded when the block ends. An exception that leaves it is recorded as the outcome of a `once`
    effect, and comes back as a `GuestError` the next time; one that is `none` or `idempotent` is performed again.
    """

    __slots__ = ("_args", "_effect", "_function", "_key", "_name", "_native", "_value", "pending")

    def __init__(
        self,
        native: NativeJournal,
        key: str,
        name: str,
        function: Callable[..., Any] | None,
        args: tuple[Any, ...],
        effect: Effect_,
    ) -> None:
        self._native, self._key, self._name = native, key, name
        self._function, self._args, self._effect = function, args, effect
        self._value: Any = None
        self.pending = True
        """Whether it is still to be performed."""

    @property
    def idempotency_key(self) -> str:
        """What a service is told so that a second attempt does nothing: the same each time, another in a fork."""
        return self._native.idempotency(self._key, "")

    @property
    def value(self) -> T:
        """What it gave."""
        return self._value  # type: ignore[no-any-return]

    @value.setter
    def value(self, value: T) -> None:
        self._value = value

    async def __aenter__(self) -> Effect[T]:
        state, value, _, message = await self._native.find(self._key)
        if state == "failed":
            raise GuestError(f"{self._name} failed, and is not tried again: {message}")
        self.pending = state != "done"
        if self.pending:
            await self._native.intend(self._key, "step", self._name, self._effect)
        else:
            self._value = value
        return self

    async def __aexit__(
        self, cls: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.pending:
            return
        if error is None:
            await self._native.record(self._key, self._value)
            self.pending = False
        elif self._effect == "once" and isinstance(error, Exception):
            await self._native.record_error(self._key, f"{type(error).__name__}: {error}")

    async def _performed(self) -> T:
        function = self._function
        if function is None:
            raise ConfigError(f"{self._name}: give a function, or use it in `async with`")
        async with self:
            if self.pending:
                value = function(*self._args)
                self._value = await value if hasattr(value, "__await__") else value
        return self.value

    def __await__(self) -> Generator[Any, Any, T]:
        return self._performed().__await__()


def in_memory_journal(run: str = "", *, kind: str = "script", target: str = "", input: Any = None) -> Journal:
    """A journal of a new run that ends with the process.

    Example:
        >>> import asyncio
        >>> journal = in_memory_journal("r1")
        >>> async def main():
        ...     return [await journal.effect("roll", lambda: 4), await journal.effect("roll", lambda: 6)]
        >>> asyncio.run(main())
        [4, 6]
    """
    opening = _opening(run, kind, target, "", None, "full", "sync", 30.0)
    return Journal(NativeJournal.in_memory(opening, input))


def _opening(
    run: str,
    kind: str,
    target: str,
    version: str,
    labels: Mapping[str, str] | None,
    durability: str,
    when: str,
    lease: float,
) -> dict[str, Any]:
    return {
        "run": run,
        "kind": kind,
        "target": target,
        "version": version,
        "labels": dict(labels or {}),
        "durability": durability,
        "when": when,
        "lease": lease,
    }


def _status(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    if isinstance(error, Exception):
        return "outcome_unknown" if getattr(error, "kind", "") == "outcome_unknown" else "failed"
    return "cancelled"
