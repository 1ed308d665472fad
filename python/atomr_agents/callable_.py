"""Everything is a callable: something that takes a JSON value and gives one. This module is also a decorator.

Wherever a step is wanted, a plain or async function will do; `lambda_` gives it a label.

Example:
    >>> from atomr_agents import Pipeline, branch
    >>> shout = Pipeline.from_(str.strip).then(str.upper).build()
    >>> shout.call_sync(" rain ")
    'RAIN'
    >>> branch(lambda n: n < 0, lambda n: -n, lambda n: n).call_sync(-3)
    3
"""

from __future__ import annotations

from . import guest
from ._callable_module import make_callable
from ._guests import instance_of, name_of, takes_context_second
from ._native import callable_ as _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Function
    from collections.abc import Coroutine, Mapping, Sequence
    from typing import Any, Protocol, TypeAlias

    from ._native.callable_ import Callable as NativeCallable

    class HasInvoke(Protocol):
        """An object that is a step by its method `invoke`."""

        @property
        def invoke(self) -> Function[..., Any]: ...

    class HasAsCallable(Protocol):
        """An object that can be a step, such as an agent."""

        def as_callable(self) -> Callable: ...

    Step: TypeAlias = "Callable | Function[..., Any] | HasInvoke | HasAsCallable"

__all__ = [
    "Callable",
    "Pipeline",
    "branch",
    "fan_out",
    "lambda_",
    "passthrough",
    "with_config",
    "with_fallbacks",
    "with_retry",
    "with_timeout",
]


class Callable:
    """A step: something that takes a JSON value and gives one. It runs on the Rust core.

    Example:
        >>> double = Callable.from_callable(lambda n: 2 * n, label="double")
        >>> double, double.call_sync(21)
        (Callable('double'), 42)
    """

    __slots__ = ("native",)

    def __init__(self, native: NativeCallable) -> None:
        self.native = native

    @staticmethod
    def from_callable(target: Callable | Function[..., Any] | HasInvoke, label: str | None = None) -> Callable:
        """A step made of a function, a class or an instance with `invoke`; a second parameter gets the context.

        What is a step already, or an agent, stays one.
        """
        from . import _checks

        _checks.optional(_checks.filled)("label", label)
        convert: Any = None if isinstance(target, type) else getattr(target, "as_callable", None)
        if convert is not None:
            target = convert()
        if isinstance(target, Callable):
            return target if label is None else with_config(target, label)
        instance = instance_of("callable_", target)
        call = getattr(instance, "invoke", instance)
        takes_context = takes_context_second(call)
        return Callable(_native.Callable.wrap(instance, label or name_of(target), takes_context))

    @staticmethod
    def from_factory(key: str) -> Callable:
        """The step that was registered with `@callable_` under this key; a KeyError lists what there is."""
        target: Any = guest.target("callable_", key)
        return Callable.from_callable(target, key)

    @staticmethod
    def identity() -> Callable:
        """The step that gives what it gets."""
        return Callable(_native.Callable.identity())

    @property
    def label(self) -> str:
        """Its name, in errors."""
        return self.native.label

    def call(self, input: Any = None) -> Coroutine[Any, Any, Any]:
        """Calls it with a JSON value; await what comes back."""
        return self.native.call(input)

    def call_sync(self, input: Any = None) -> Any:
        """Calls it and waits, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.call(input), "call_sync()", "await call(...)")

    def __repr__(self) -> str:
        return f"Callable({self.label!r})"


class Pipeline:
    """Steps one after the other. Every method gives a new pipeline, so a beginning can be shared.

    Example:
        >>> numbers = Pipeline.from_(sum).assign("half", lambda n: n / 2)
        >>> numbers.build().call_sync([1, 2, 3])
        {'input': 6, 'half': 3.0}
    """

    __slots__ = ("native",)

    def __init__(self, native: _native.Pipeline) -> None:
        self.native = native

    @staticmethod
    def from_(first: Step) -> Pipeline:
        """A pipeline of one step."""
        return Pipeline(_native.Pipeline.from_(_step(first)))

    def then(self, step: Step) -> Pipeline:
        """The same pipeline and then this step."""
        return Pipeline(self.native.then(_step(step)))

    def assign(self, key: str, step: Step) -> Pipeline:
        """Puts what the step gives into the value under a key, beside what is there."""
        from . import _checks

        _checks.text("key", key)
        return Pipeline(self.native.assign(key, _step(step)))

    def passthrough(self) -> Pipeline:
        """The same pipeline and then a step that gives what it gets."""
        return Pipeline(self.native.passthrough())

    def fan_out_with(self, branches: Mapping[str, Step]) -> Pipeline:
        """The same pipeline and then several steps at once; see `fan_out`."""
        return Pipeline(self.native.fan_out_with(_steps(branches)))

    def build(self) -> Callable:
        """The pipeline as one step. It may be built more than once."""
        return Callable(self.native.build())

    def __repr__(self) -> str:
        return f"<Pipeline {self.native.build().label}>"


def lambda_(target: Function[..., Any] | HasInvoke, label: str | None = None) -> Callable:
    """A function as a step, with a label.

    Example:
        >>> lambda_(lambda text: text.title(), "title").call_sync("oslo")
        'Oslo'
    """
    return Callable.from_callable(target, label)


def passthrough() -> Callable:
    """The step that gives what it gets."""
    return Callable.identity()


def branch(predicate: Step, if_true: Step, if_false: Step) -> Callable:
    """One of two steps, chosen by what the predicate answers: True or False. An error of the predicate is an error.

    Example:
        >>> sign = branch(lambda n: n < 0, lambda n: "minus", lambda n: "plus")
        >>> sign.call_sync(3)
        'plus'
    """
    return Callable(_native.branch(_step(predicate), _step(if_true), _step(if_false)))


def fan_out(branches: Mapping[str, Step]) -> Callable:
    """Steps that run at once on the same input; gives what each of them gave, under its name.

    Example:
        >>> fan_out({"low": min, "high": max}).call_sync([3, 1, 2])
        {'low': 1, 'high': 3}
    """
    return Callable(_native.fan_out(_steps(branches)))


def with_config(
    inner: Step,
    run_name: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Callable:
    """The same step under a name, with tags and data that everything below it finds in its `RunContext`.

    Example:
        >>> def who(value, ctx):
        ...     return [value, ctx.path, list(ctx.tags), ctx.metadata]
        >>> with_config(who, "billing", ["nightly"], {"tenant": "acme"}).call_sync(1)
        [1, 'billing', ['nightly'], {'tenant': 'acme'}]
    """
    from . import _checks

    _checks.optional(_checks.filled)("run_name", run_name)
    _checks.optional(_checks.dictionary)("metadata", metadata)
    if tags is not None:
        for tag in _checks.items("tags", "a list of texts", tags):
            _checks.text("each of the tags", tag)
    return Callable(_native.with_config(_step(inner), run_name, tags, metadata))


def with_fallbacks(primary: Step, alternates: Sequence[Step]) -> Callable:
    """The first of these steps that succeeds; if none does, the error of the last one.

    Example:
        >>> with_fallbacks(lambda text: int(text), [lambda text: 0]).call_sync("none")
        0
    """
    from . import _checks

    several = _checks.items("alternates", "a list of steps", alternates)
    return Callable(_native.with_fallbacks(_step(primary), [_step(each) for each in several]))


def with_retry(
    inner: Step,
    max_attempts: int = 3,
    initial_backoff_ms: int = 50,
    backoff_multiplier: float = 2.0,
    max_backoff_ms: int = 5000,
) -> Callable:
    """The same step, called again after an error that may pass, with growing pauses.

    An `AgentError` says itself whether it may pass (`retryable`). Of other exceptions, those that are mistakes in the
    program (`TypeError`, `AttributeError`, `NameError`, `AssertionError`, `ImportError`, `NotImplementedError`,
    `SyntaxError`) are not tried again, all others are.

    Example:
        >>> tries = []
        >>> def flaky(value):
        ...     tries.append(value)
        ...     if len(tries) < 3:
        ...         raise OSError("busy")
        ...     return value
        >>> with_retry(flaky, initial_backoff_ms=1).call_sync(7), len(tries)
        (7, 3)
    """
    from . import _checks

    _checks.whole(1)("max_attempts", max_attempts)
    _checks.whole(0)("initial_backoff_ms", initial_backoff_ms)
    _checks.number(1)("backoff_multiplier", backoff_multiplier)
    _checks.whole(0)("max_backoff_ms", max_backoff_ms)
    return Callable(
        _native.with_retry(_step(inner), max_attempts, initial_backoff_ms, backoff_multiplier, max_backoff_ms)
    )


def with_timeout(inner: Step, milliseconds: int) -> Callable:
    """The same step with a limit; what is too slow is cancelled, and the caller gets a `RunTimeoutError`."""
    from . import _checks

    _checks.whole(1)("milliseconds", milliseconds)
    return Callable(_native.with_timeout(_step(inner), milliseconds))


def _step(step: Any) -> NativeCallable:
    return Callable.from_callable(step).native


def _steps(branches: Mapping[str, Step]) -> dict[str, NativeCallable]:
    from . import _checks

    if not hasattr(branches, "items"):
        _checks.fail("branches", "a dict from names to steps", branches)
    for name in branches:
        _checks.text("the name of a branch", name)
    return {name: _step(step) for name, step in branches.items()}


make_callable(__name__, guest.callable_)
