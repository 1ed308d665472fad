"""Loops under a budget and a termination."""

from collections.abc import Coroutine, Sequence
from typing import Any, final

from .callable_ import Callable
from .core import Budget
from .observability import EventBus

__all__ = [
    "HarnessCore",
    "HarnessOutcome",
    "HarnessState",
    "LoopStrategy",
    "Spent",
    "StepEvent",
    "TerminationStrategy",
]

@final
class Spent:
    """What was used, by everything below too."""

    @property
    def tokens(self) -> int: ...
    @property
    def usd(self) -> float: ...
    @property
    def iterations(self) -> int:
        """Model calls, and iterations of harnesses."""
    @property
    def tool_calls(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class StepEvent:
    """An iteration that has ended."""

    @property
    def iteration(self) -> int:
        """Which, from 1."""
    @property
    def label(self) -> str:
        """What the strategy called it."""
    @property
    def outcome(self) -> str:
        """The same as `label`."""
    @property
    def timestamp_ms(self) -> int:
        """When it ended, in milliseconds since 1970."""
    @property
    def elapsed_ms(self) -> int: ...
    @property
    def spent(self) -> Spent:
        """What it used."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class HarnessState:
    """Where a loop stands between two iterations."""

    @property
    def input(self) -> Any:
        """What the run was given."""
    @property
    def working_memory(self) -> Any:
        """What the iterations hand on; the input before the first one."""
    @property
    def iteration(self) -> int:
        """How many iterations have ended."""
    @property
    def history(self) -> list[StepEvent]:
        """The latest of them, the oldest first."""
    @property
    def spent(self) -> Spent:
        """What was used so far."""
    @property
    def remaining(self) -> Budget:
        """What is left of the budget."""
    @property
    def remaining_tokens(self) -> int | None:
        """What is left of the budget of tokens; None without one."""
    @property
    def elapsed(self) -> float:
        """Seconds that it has run, over all processes."""

@final
class HarnessOutcome:
    """What came of a run of a harness."""

    @property
    def run_id(self) -> str: ...
    @property
    def output(self) -> Any:
        """What the loop gave when it was done; otherwise the working memory."""
    @property
    def done(self) -> bool:
        """Whether the loop was done; False if it was ended before."""
    @property
    def label(self) -> str | None:
        """What the loop called its last iteration, if it was done."""
    @property
    def reason(self) -> str | None:
        """Why it was ended, as `iteration_cap`; None if it was done."""
    @property
    def iterations(self) -> int:
        """How many iterations have ended."""
    @property
    def spent(self) -> Spent:
        """What was used."""
    @property
    def elapsed(self) -> float:
        """Seconds that it ran, over all processes."""
    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, as steps of a pipeline get it."""

@final
class LoopStrategy:
    """What does one iteration after the other. Give it to `Harness`."""

    @staticmethod
    def guest(target: object, key: str, takes_context: bool, effect: str | None) -> LoopStrategy:
        """One written in Python."""
    @staticmethod
    def callable(body: Callable, of_agent: bool, effect: str | None) -> LoopStrategy:
        """A step that is called again and again with what it gave."""
    @property
    def effect(self) -> str:
        """`none`, `idempotent` or `once`."""

@final
class TerminationStrategy:
    """What says before each iteration whether the loop shall be ended. `|` is `any_of`, `&` is `all_of`."""

    @staticmethod
    def guest(target: object, key: str, takes_context: bool) -> TerminationStrategy:
        """One written in Python."""
    @staticmethod
    def iteration_cap(cap: int) -> TerminationStrategy: ...
    @staticmethod
    def token_limit(tokens: int) -> TerminationStrategy: ...
    @staticmethod
    def cost_limit(usd: float) -> TerminationStrategy: ...
    @staticmethod
    def time_limit(seconds: float) -> TerminationStrategy: ...
    @staticmethod
    def no_progress(iterations: int, key: object | None) -> TerminationStrategy: ...
    @staticmethod
    def any_of(parts: Sequence[TerminationStrategy]) -> TerminationStrategy: ...
    @staticmethod
    def all_of(parts: Sequence[TerminationStrategy]) -> TerminationStrategy: ...
    @staticmethod
    def not_(part: TerminationStrategy, reason: str) -> TerminationStrategy: ...
    @property
    def ends_every_loop(self) -> bool:
        """Whether it ends every loop at some time, whatever the loop does."""
    def __or__(self, other: TerminationStrategy, /) -> TerminationStrategy: ...
    def __ror__(self, other: TerminationStrategy, /) -> TerminationStrategy: ...
    def __and__(self, other: TerminationStrategy, /) -> TerminationStrategy: ...
    def __rand__(self, other: TerminationStrategy, /) -> TerminationStrategy: ...

@final
class HarnessCore:
    """The engine behind a harness."""

    def __new__(
        cls,
        spec: tuple[str, str],
        budget: Budget | None,
        body: LoopStrategy,
        termination: TerminationStrategy,
        buses: Sequence[EventBus],
        store: object | None,
        durability: str,
    ) -> HarnessCore: ...
    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    def run(self, input: Any, run_id: str | None, deps: Any) -> Coroutine[Any, Any, HarnessOutcome]: ...
    def resume(self, run_id: str, settle: object | None, deps: Any) -> Coroutine[Any, Any, HarnessOutcome]: ...
    def as_callable(self) -> Callable: ...
