"""What type checkers say of harnesses. Nobody runs this: mypy and pyright read it."""

from typing import Any, assert_type

from atomr_agents import Agent, Budget, Harness, HarnessOutcome, HarnessState, LoopContext, lambda_, strategy
from atomr_agents.harness import (
    HarnessSpec,
    LoopStrategy,
    Spent,
    StepEvent,
    TerminationStrategy,
    any_of,
    done,
    iteration_cap,
    loop_strategy_from_factory,
    no_progress,
    proceed,
    termination_strategy_from_factory,
)
from atomr_agents.state import in_memory_store


@strategy(kind="loop")
async def search(state: HarnessState) -> dict[str, Any]:
    assert_type(state.iteration, int)
    assert_type(state.history, list[StepEvent])
    assert_type(state.spent, Spent)
    assert_type(state.remaining, Budget)
    assert_type(state.remaining_tokens, int | None)
    return done(1) if state.iteration else proceed(2, "on")


@strategy(kind="loop")
class Steps:
    def step(self, state: HarnessState, ctx: LoopContext[str]) -> dict[str, Any]:
        assert_type(ctx.deps, str)
        assert_type(ctx.idempotency_key, str)
        return proceed(state.working_memory)


@strategy(kind="termination")
def enough(state: HarnessState) -> bool | str:
    return state.iteration > 3


class Ends:
    async def should_terminate(self, state: HarnessState) -> bool:
        return False


def double(n: int) -> int:
    return 2 * n


async def use() -> None:
    ends = iteration_cap(3) | no_progress(2, key=lambda memory: memory)
    assert_type(ends, TerminationStrategy)
    assert_type(ends & enough_strategy(), TerminationStrategy)
    Harness(Steps)
    Harness(Steps(), termination=Ends(), budget=Budget(seconds=3))
    Harness(Agent("openai:gpt-4o-mini"), termination=any_of(enough, Ends, "iteration_cap:5"))
    Harness(lambda_(double), spec=HarnessSpec("a", "1", budget=Budget(tokens=5)))
    harness = Harness(search, termination=ends, store=in_memory_store(), effect="once", id="search")
    outcome = await harness.run({"q": 1}, run_id="r", deps="x")
    assert_type(outcome, HarnessOutcome)
    assert_type(outcome.done, bool)
    assert_type(outcome.reason, str | None)
    assert_type(await harness.resume("r", settle=proceed(1)), HarnessOutcome)
    assert_type(harness.resume_sync("r", settle="again"), HarnessOutcome)
    assert_type(loop_strategy_from_factory("search"), LoopStrategy)


def enough_strategy() -> TerminationStrategy:
    return termination_strategy_from_factory("enough")
