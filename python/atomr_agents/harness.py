"""Loops: an iteration after the other, until the loop is done, a termination ends it, or the budget is used up.

A loop strategy is a function of a `HarnessState` (plain or async), or a class or an instance with `step(state)`. It
answers with `{"kind": "continue", "working_memory": ...}` or `{"kind": "done", "output": ...}`, both perhaps with a
`label`; `proceed` and `done` write these. An agent or any other step can be the loop, too: it is called again and again
with what it gave.

A termination is a function of the state, or has `should_terminate(state)`, and answers with True or False, or with the
reason to end the loop.

Example:
    >>> from atomr_agents import Harness
    >>> from atomr_agents.harness import done, iteration_cap, no_progress, proceed
    >>> def halve(state):
    ...     half = state.working_memory // 2
    ...     return done("a power of two, or so") if half == 1 else proceed(half)
    >>> harness = Harness(halve, termination=iteration_cap(5) | no_progress(2))
    >>> outcome = harness.run_sync(16)
    >>> outcome.done, outcome.output, outcome.iterations
    (True, 'a power of two, or so', 4)
    >>> outcome = harness.run_sync(1_000_000)
    >>> outcome.done, outcome.reason, outcome.output
    (False, 'iteration_cap', 31250)
"""

from __future__ import annotations

from ._context import LoopContext
from ._native.harness import (
    HarnessCore,
    HarnessOutcome,
    HarnessState,
    LoopStrategy,
    Spent,
    StepEvent,
    TerminationStrategy,
)
from ._terminations import (
    Termination,
    all_of,
    any_of,
    cost_limit,
    iteration_cap,
    no_progress,
    not_,
    time_limit,
    token_limit,
)
from .strategy import loop_strategy_from_factory, termination_strategy_from_factory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any, Literal, Protocol, TypeAlias

    from .callable_ import Callable as Step
    from .core import Budget
    from .observability import EventBus

    class HasStep(Protocol):
        """An object that is a loop strategy by its method `step`."""

        @property
        def step(self) -> Callable[..., Any]: ...

    class HasShouldTerminate(Protocol):
        """An object that is a termination by its method `should_terminate`."""

        @property
        def should_terminate(self) -> Callable[..., Any]: ...

    class HasAsCallable(Protocol):
        """An object that can be a step, such as an agent."""

        def as_callable(self) -> Step: ...

    Answer: TypeAlias = "dict[str, Any] | Awaitable[dict[str, Any]]"
    Loop: TypeAlias = "LoopStrategy | Callable[..., Answer] | HasStep | type[HasStep] | Step | HasAsCallable | str"
    Ends: TypeAlias = "TerminationStrategy | Callable[..., Any] | HasShouldTerminate | type[HasShouldTerminate] | str"

__all__ = [
    "Harness",
    "HarnessOutcome",
    "HarnessSpec",
    "HarnessState",
    "IterationCapTermination",
    "LoopContext",
    "LoopStrategy",
    "Spent",
    "StepEvent",
    "Termination",
    "TerminationStrategy",
    "all_of",
    "any_of",
    "cost_limit",
    "done",
    "iteration_cap",
    "loop_strategy_from_callable",
    "loop_strategy_from_factory",
    "no_progress",
    "not_",
    "proceed",
    "termination_from_factory",
    "termination_strategy_from_factory",
    "time_limit",
    "token_limit",
]


class HarnessSpec:
    """What a harness is called and what it may use.

    Args:
        id: Its name.
        version: Its version. A run that was begun by another version is not gone on with.
        initial_token_budget: How many tokens a run may use; None without a limit. Not beside `budget`.
        budget: What a run may use, together with everything below it.
    """

    __slots__ = ("budget", "id", "version")

    id: str
    version: str
    budget: Budget | None

    def __init__(
        self,
        id: str,
        version: str = "1",
        initial_token_budget: int | None = None,
        *,
        budget: Budget | None = None,
    ) -> None:
        from . import _checks, _settings

        _checks.filled("id", id)
        _checks.filled("version", version)
        _checks.optional(_checks.whole(1))("initial_token_budget", initial_token_budget)
        if initial_token_budget is not None:
            from .core import Budget
            from .errors import ConfigError

            if budget is not None:
                raise ConfigError("say what a run may use with budget= alone")
            budget = Budget(tokens=initial_token_budget)
        self.id = id
        self.version = version
        self.budget = _settings.budget(budget)

    @property
    def initial_token_budget(self) -> int | None:
        """How many tokens a run may use; None without a limit."""
        return None if self.budget is None else self.budget.tokens

    def __repr__(self) -> str:
        return f"HarnessSpec({self.id!r}, {self.version!r})"


class Harness:
    """Runs a loop under a budget and a termination.

    Args:
        loop: What an iteration does: a function of the `HarnessState`, an object with `step`, what was registered with
            `@strategy(kind="loop")` or its key; or an agent or another step, which gets the working memory and gives
            the next one.
        termination: When it is ended before it is done: what this module makes, a function of the state, an object
            with `should_terminate`, what was registered with `@strategy(kind="termination")` or its key. After 100
            iterations by default.
        budget: What a run may use, together with everything below it. Its `iterations` count those of the harness and
            the model calls below; an iteration is counted before it runs.
        id: Its name, in events and paths.
        version: Its version. A run that was begun by another version is not gone on with.
        effect: What may be done with an iteration of which is not known whether it happened: `none` (it changes
            nothing) and `idempotent` (the default) are run again, `once` is not. A strategy may say it itself, with an
            attribute.
        spec: `id`, `version` and `budget` in one, instead of the three.
        bus: Who is told the events of every run.
        store: Where runs are kept, so that another process goes on with them: what `atomr_agents.state` makes, or a
            path. Without one a run ends with its process.
        durability: What an iteration that has ended survives: `full` (the machine losing its power) or `relaxed` (the
            process being killed).

    Raises:
        ConfigError: a setting makes no sense; or nothing ends every loop: neither the termination nor a budget of
            iterations or seconds.
        ContractError: the loop or the termination has not the method of its kind, and is no function.

    Example:
        >>> from atomr_agents import Agent, Budget, Harness
        >>> from atomr_agents.testkit import ScriptedModel
        >>> model = ScriptedModel().text("A draft.").text("A better one.")
        >>> harness = Harness(Agent(model), termination="iteration_cap:2")
        >>> harness.run_sync("Write, and then improve what you wrote.").output
        'A better one.'
    """

    __slots__ = ("_core",)

    def __init__(
        self,
        loop: Loop,
        *,
        termination: Ends | None = None,
        budget: Budget | None = None,
        id: str | None = None,
        version: str | None = None,
        effect: str | None = None,
        spec: HarnessSpec | None = None,
        bus: EventBus | Sequence[EventBus] | None = None,
        store: Any = None,
        durability: str = "full",
    ) -> None:
        from . import _checks, _loops, _settings

        _checks.one_of("full", "relaxed")("durability", durability)
        named = _loops.spec(spec, id, version, budget)
        self._core = HarnessCore(
            (named.id, named.version),
            named.budget,
            _loops.loop(loop, effect),
            _loops.termination("iteration_cap" if termination is None else termination),
            () if bus is None else _settings.buses(bus),
            store,
            durability,
        )

    @staticmethod
    def from_spec(spec: HarnessSpec, loop_key: str, termination_key: str = "iteration_cap") -> Harness:
        """A harness of what was registered under these keys, or `iteration_cap` or `iteration_cap:N`.

        A registered termination that does not end every loop is joined with a cap of 100 iterations.
        """
        from . import _loops

        ends = _loops.termination(termination_key)
        if not ends.ends_every_loop:
            ends |= TerminationStrategy.iteration_cap(_loops.CAP)
        return Harness(loop_strategy_from_factory(loop_key), termination=ends, spec=spec)

    @property
    def id(self) -> str:
        """Its name, in events and paths."""
        return self._core.id

    @property
    def version(self) -> str:
        """Its version."""
        return self._core.version

    def run(
        self, input: Any = None, *, run_id: str | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, HarnessOutcome]:
        """Runs it on a JSON value; await what comes back. `run_id` is a name of yours by which it can be resumed.

        Begun in a tool or a step of another run, it is a part of that: on its budget, cancelled with it, its events in
        the same stream. What fails carries where the run stood, a `HarnessState`, as `partial`. To be ended by a
        termination or by the budget is no error.
        """
        from . import _checks

        _checks.optional(_checks.filled)("run_id", run_id)
        return self._core.run(input, run_id, deps)

    def run_sync(self, input: Any = None, *, run_id: str | None = None, deps: Any = None) -> HarnessOutcome:
        """Runs it and waits, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.run(input, run_id=run_id, deps=deps), "run_sync()", "await run(...)")

    def resume(
        self, run_id: str, *, settle: dict[str, Any] | Literal["again"] | None = None, deps: Any = None
    ) -> Coroutine[Any, Any, HarnessOutcome]:
        """Goes on with a run, in whatever process, after the last iteration that was kept; await what comes back.

        Args:
            run_id: Its name.
            settle: What is known of an iteration of effect `once` that was begun and has no outcome: what came of it,
                as `proceed` or `done` write it, or `"again"` if it has not happened. Without a word about it the run
                stops with an `OutcomeUnknownError`.
            deps: As in `run`.

        Raises:
            ConflictError: there is no such run, or it is over.
            LockedError: somebody works on it.
            IncompatibleError: it was begun by another version of the harness.
            OutcomeUnknownError: see `settle`.

        Example:
            >>> from atomr_agents import Harness
            >>> from atomr_agents.harness import proceed
            >>> from atomr_agents.state import in_memory_store
            >>> fails = [True]
            >>> def count(state):
            ...     if state.iteration == 2 and fails.pop():
            ...         raise OSError("busy")
            ...     return proceed(state.iteration + 1)
            >>> harness = Harness(count, termination="iteration_cap:4", store=in_memory_store())
            >>> try:
            ...     harness.run_sync(run_id="r1")
            ... except OSError:
            ...     fails.append(False)
            >>> harness.resume_sync("r1").output
            4
        """
        from . import _checks

        _checks.filled("run_id", run_id)
        return self._core.resume(run_id, settle, deps)

    def resume_sync(
        self, run_id: str, *, settle: dict[str, Any] | Literal["again"] | None = None, deps: Any = None
    ) -> HarnessOutcome:
        """Goes on with a run and waits, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.resume(run_id, settle=settle, deps=deps), "resume_sync()", "await resume(...)")

    def as_callable(self) -> Step:
        """The harness as a step: it gives its outcome as a dict, with the `output` and how it `ended`.

        Example:
            >>> from atomr_agents import Harness, Pipeline
            >>> from atomr_agents.harness import proceed
            >>> def double(state):
            ...     return proceed(2 * state.working_memory)
            >>> harness = Harness(double, termination="iteration_cap:3")
            >>> answer = Pipeline.from_(lambda n: n + 1).then(harness).build().call_sync(4)
            >>> answer["output"], answer["ended"]
            (40, {'kind': 'terminated', 'reason': 'iteration_cap'})
        """
        from .callable_ import Callable

        return Callable(self._core.as_callable())

    def __repr__(self) -> str:
        return f"<Harness {self.id} {self.version}>"


def proceed(working_memory: Any, label: str = "") -> dict[str, Any]:
    """What a loop strategy answers to go on with this.

    Example:
        >>> proceed([1, 2], "searched")
        {'kind': 'continue', 'working_memory': [1, 2], 'label': 'searched'}
    """
    return {"kind": "continue", "working_memory": working_memory, "label": label}


def done(output: Any, label: str = "") -> dict[str, Any]:
    """What a loop strategy answers when it has reached what it is for.

    Example:
        >>> done(42)
        {'kind': 'done', 'output': 42, 'label': ''}
    """
    return {"kind": "done", "output": output, "label": label}


def loop_strategy_from_callable(callable: Any, effect: str | None = None) -> LoopStrategy:
    """A step that is called again and again: it gets the working memory, and what it gives is the next one.

    Example:
        >>> harness = Harness(loop_strategy_from_callable(lambda n: n * n), termination="iteration_cap:3")
        >>> harness.run_sync(2).output
        256
    """
    from . import _loops
    from .callable_ import Callable

    return _loops.loop(Callable.from_callable(callable), effect)


# Names that they had before.
IterationCapTermination = iteration_cap
termination_from_factory = termination_strategy_from_factory
