"""What is given to a harness as its loop and its termination."""

from __future__ import annotations

from . import _checks as checks
from ._guests import instance_of, name_of, registered, takes_context_second
from ._native.harness import LoopStrategy, TerminationStrategy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native.core import Budget
    from .harness import HarnessSpec

EFFECTS = ("none", "idempotent", "once")
CAP = 100
"""After so many iterations a loop is ended where nothing else is said."""


def spec(given: Any, id: str | None, version: str | None, budget: Budget | None) -> HarnessSpec:
    """What a harness is called and what it may use, said in one or in three."""
    from .harness import HarnessSpec

    if given is None:
        return HarnessSpec("harness" if id is None else id, "1" if version is None else version, budget=budget)
    if not isinstance(given, HarnessSpec):
        checks.fail("spec", "a HarnessSpec", given)
    if (id, version, budget) != (None, None, None):
        from .errors import ConfigError

        raise ConfigError("spec stands for id, version and budget: say them there")
    return given


def loop(given: Any, effect: str | None = None) -> LoopStrategy:
    """The loop strategy that this is, or that stands for it: one of Python, or a step called again and again."""
    checks.optional(checks.one_of(*EFFECTS))("effect", effect)
    if isinstance(given, LoopStrategy):
        if effect is not None:
            from .errors import ConfigError

            raise ConfigError("effect is said where the loop strategy is made; this one has its own")
        return given
    if isinstance(given, str):
        from .strategy import loop_strategy_from_factory

        return loop_strategy_from_factory(given)
    found = registered("strategy:loop", given)
    if found is None and not hasattr(given, "step") and _is_step(given):
        from .agent import Agent
        from .callable_ import Callable

        return LoopStrategy.callable(Callable.from_callable(given).native, isinstance(given, Agent), effect)
    if found is None and not hasattr(given, "step") and not callable(given):
        checks.fail("loop", "a function of the state, an object with `step`, an agent or a step", given)
    key, target = found or (name_of(given), given)
    instance = instance_of("strategy", target)
    return LoopStrategy.guest(instance, key, takes_context_second(getattr(instance, "step", instance)), effect)


def _is_step(given: Any) -> bool:
    """Whether it is called with a value, not with a state: a plain function is a loop strategy."""
    from .callable_ import Callable

    if isinstance(given, type):
        return hasattr(given, "invoke")
    return isinstance(given, Callable) or hasattr(given, "as_callable") or hasattr(given, "invoke")


def termination(given: Any) -> TerminationStrategy:
    """The termination that this is, or that stands for it: `iteration_cap`, `iteration_cap:N`, a key, one of Python."""
    if isinstance(given, TerminationStrategy):
        return given
    if isinstance(given, str):
        return _named(given)
    found = registered("strategy:termination", given)
    if found is None and not hasattr(given, "should_terminate") and not callable(given):
        checks.fail(
            "termination", "a TerminationStrategy, a function of the state, or one with `should_terminate`", given
        )
    key, target = found or (name_of(given), given)
    instance = instance_of("strategy", target)
    call = getattr(instance, "should_terminate", instance)
    return TerminationStrategy.guest(instance, key, takes_context_second(call))


def _named(text: str) -> TerminationStrategy:
    name, colon, cap = text.partition(":")
    if name != "iteration_cap":
        from .strategy import termination_strategy_from_factory

        return termination_strategy_from_factory(text)
    if colon and not cap.isdecimal():
        from .errors import ConfigError

        raise ConfigError(f"a cap on iterations is written iteration_cap:N, as iteration_cap:{CAP}, not {text!r}")
    return TerminationStrategy.iteration_cap(int(cap) if colon else CAP)
