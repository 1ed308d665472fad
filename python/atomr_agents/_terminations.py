"""What ends a loop before it is done."""

from __future__ import annotations

from ._native.harness import TerminationStrategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .harness import Ends


def iteration_cap(cap: int = 100) -> TerminationStrategy:
    """Ends a loop after so many iterations. The reason is `iteration_cap`."""
    from . import _checks

    _checks.whole(0)("cap", cap)
    return TerminationStrategy.iteration_cap(cap)


def token_limit(tokens: int) -> TerminationStrategy:
    """Ends a loop once so many tokens were used. What an iteration uses beyond it is used; a budget prevents that."""
    from . import _checks

    _checks.whole(0)("tokens", tokens)
    return TerminationStrategy.token_limit(tokens)


def cost_limit(usd: float) -> TerminationStrategy:
    """Ends a loop once so much was spent. The reason is `cost_limit`."""
    from . import _checks

    _checks.number(0)("usd", usd)
    return TerminationStrategy.cost_limit(usd)


def time_limit(seconds: float) -> TerminationStrategy:
    """Ends a loop after that time. An iteration that is under way is not cut short: a budget does that."""
    from . import _checks

    _checks.seconds("seconds", seconds)
    return TerminationStrategy.time_limit(seconds)


def no_progress(iterations: int, key: Callable[[Any], Any] | None = None) -> TerminationStrategy:
    """Ends a loop after so many iterations in a row that did not change the working memory.

    Args:
        iterations: How many.
        key: What of the working memory counts: a function of it, plain or async, that gives a JSON value. The whole
            working memory by default; the order of the keys of a dict makes no difference.

    Example:
        >>> from atomr_agents import Harness
        >>> from atomr_agents.harness import iteration_cap, no_progress, proceed
        >>> def idle(state):
        ...     return proceed({"open": 3, "round": state.iteration})
        >>> stuck = no_progress(2, key=lambda memory: memory["open"])
        >>> harness = Harness(idle, termination=stuck | iteration_cap(10))
        >>> outcome = harness.run_sync({"open": 3})
        >>> outcome.reason, outcome.iterations
        ('no_progress', 2)
    """
    from . import _checks

    _checks.whole(1)("iterations", iterations)
    return TerminationStrategy.no_progress(iterations, key)


def any_of(*parts: Ends) -> TerminationStrategy:
    """Ends a loop as soon as one of these does. `first | second` is the same."""
    from . import _loops

    return TerminationStrategy.any_of([_loops.termination(part) for part in parts])


def all_of(*parts: Ends) -> TerminationStrategy:
    """Ends a loop when all of these do. `first & second` is the same."""
    from . import _loops

    return TerminationStrategy.all_of([_loops.termination(part) for part in parts])


def not_(part: Ends, reason: str = "not") -> TerminationStrategy:
    """Ends a loop while the other one would not, for this reason."""
    from . import _checks, _loops

    _checks.filled("reason", reason)
    return TerminationStrategy.not_(_loops.termination(part), reason)


class Termination:
    """What a termination may answer with instead of True, False or a reason.

    Example:
        >>> Termination.done("enough"), Termination.continue_().is_done()
        (Termination('enough'), False)
    """

    __slots__ = ("reason",)

    reason: str | None
    """Why the loop is ended; None if it goes on."""

    def __init__(self, reason: str | None) -> None:
        self.reason = reason

    @staticmethod
    def continue_() -> Termination:
        """The loop goes on."""
        return Termination(None)

    @staticmethod
    def done(reason: str) -> Termination:
        """The loop is ended."""
        return Termination(reason)

    @property
    def kind(self) -> str:
        """`done` or `continue`."""
        return "continue" if self.reason is None else "done"

    def is_done(self) -> bool:
        """Whether the loop is ended."""
        return self.reason is not None

    def __repr__(self) -> str:
        return f"Termination({self.reason!r})"
