"""Loops and terminations of every form, what a harness makes of them, and each way to fail."""

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from atomr_agents import (
    Agent,
    Budget,
    EventBus,
    Harness,
    HarnessState,
    LoopContext,
    Pipeline,
    guest,
    lambda_,
    strategy,
    tool,
)
from atomr_agents.errors import (
    BudgetExceededError,
    ConfigError,
    ContractError,
    RunTimeoutError,
)
from atomr_agents.harness import (
    HarnessSpec,
    IterationCapTermination,
    Termination,
    all_of,
    any_of,
    cost_limit,
    done,
    iteration_cap,
    loop_strategy_from_callable,
    loop_strategy_from_factory,
    no_progress,
    not_,
    proceed,
    termination_from_factory,
    time_limit,
    token_limit,
)
from atomr_agents.testkit import ScriptedModel

METHODS = {"loop": "step", "termination": "should_terminate"}
forms = pytest.mark.parametrize(
    ("form", "speed"), [(f, s) for f in ("function", "class", "instance") for s in ("sync", "async")]
)


def make(kind: str, form: str, speed: str, act: Any) -> Any:
    """A strategy of the kind in that form; `act` gets what it is given."""
    if speed == "async":

        async def body(state: Any) -> Any:
            value = act(state)
            return await value if asyncio.iscoroutine(value) else value
    else:

        def body(state: Any) -> Any:  # type: ignore[misc]
            return act(state)

    if form == "function":
        return body
    cls = type("Mine", (), {METHODS[kind]: staticmethod(body)})
    return cls if form == "class" else cls()


def count(state: HarnessState) -> dict[str, Any]:
    return proceed(state.working_memory + 1)


# --- loops ---


@forms
async def test_a_loop_of_every_form_runs_until_it_is_done(form: str, speed: str):
    def act(state: HarnessState) -> Any:
        if state.iteration == 3:
            return done({"input": state.input, "labels": [event.label for event in state.history]}, "end")
        return proceed(state.working_memory + 1, f"step {state.iteration}")

    outcome = await Harness(make("loop", form, speed, act)).run(10)
    assert outcome.output == {"input": 10, "labels": ["step 0", "step 1", "step 2"]}
    assert (outcome.done, outcome.label, outcome.reason, outcome.iterations) == (True, "end", None, 4)


@forms
async def test_what_a_loop_raises_comes_out_as_itself_with_where_it_stood(form: str, speed: str):
    error = LookupError("gone")

    def act(state: HarnessState) -> Any:
        if state.iteration == 2:
            raise error
        return count(state)

    with pytest.raises(LookupError) as caught:
        await Harness(make("loop", form, speed, act)).run(5)
    assert caught.value is error
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert (partial.iteration, partial.working_memory, partial.input) == (2, 7, 5)


@pytest.mark.parametrize(
    "answer",
    [None, 7, "on", [], {}, {"kind": "continue"}, {"kind": "done"}, {"kind": "stop"}, {"working_memory": {1, 2}}],
)
async def test_a_wrong_answer_of_a_loop_is_a_contract_error(answer: Any):
    with pytest.raises(ContractError) as caught:
        await Harness(lambda state: answer).run()
    assert caught.value.guest == "strategy:loop" and caught.value.method == "step"
    assert '@strategy(kind="loop")' in str(caught.value) or "strategy:loop" in str(caught.value)


def test_the_short_forms_of_an_answer_are_understood():
    assert Harness(lambda state: {"done": 7}).run_sync().output == 7
    assert Harness(lambda state: {"working_memory": 8}, termination="iteration_cap:1").run_sync().output == 8


def test_the_context_has_the_dependencies_and_a_key_for_each_iteration():
    keys: list[str] = []

    @strategy(kind="loop")
    class Keeps:
        def step(self, state: HarnessState, ctx: LoopContext[dict[str, int]]) -> dict[str, Any]:
            keys.append(ctx.idempotency_key)
            return proceed(ctx.deps["n"])

    outcome = Harness("Keeps", termination="iteration_cap:3").run_sync(deps={"n": 4})
    assert outcome.output == 4 and len(set(keys)) == 3


async def test_it_runs_on_the_loop_and_with_the_context_variables_of_its_caller():
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")

    async def looks(state: HarnessState) -> dict[str, Any]:
        return done([asyncio.get_running_loop() is loop, threading.get_ident() == thread, variable.get()])

    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    assert (await Harness(looks).run()).output == [True, True, "seen"]


def test_an_agent_is_called_again_with_what_it_said():
    model = ScriptedModel().text("one").text("two").text("three")
    outcome = Harness(Agent(model), termination=iteration_cap(3)).run_sync("Begin.")
    assert outcome.output == "three"
    asked = [request["messages"][-1]["parts"][0]["text"] for request in model.requests]
    assert asked == ["Begin.", "one", "two"]
    assert outcome.spent.tokens > 0 and outcome.spent.iterations == 6


def test_steps_and_objects_with_invoke_are_loops_too():
    class Doubles:
        def invoke(self, value: int) -> int:
            return 2 * value

    for loop in (lambda_(lambda n: 2 * n), Pipeline.from_(lambda n: 2 * n).build(), Doubles(), Doubles):
        assert Harness(loop, termination="iteration_cap:3").run_sync(1).output == 8
    ends = lambda_(lambda n: {"kind": "done", "output": n} if n > 3 else n + 1)
    assert Harness(ends).run_sync(0).output == 4
    square = loop_strategy_from_callable(lambda n: n * n, effect="none")
    assert square.effect == "none"


# --- terminations ---


@forms
@pytest.mark.parametrize("answer", [True, "enough", {"done": True}, {"done": "enough"}, Termination.done("enough")])
async def test_a_termination_of_every_form_ends_the_loop(form: str, speed: str, answer: Any):
    ends = make("termination", form, speed, lambda state: answer if state.iteration == 2 else False)
    outcome = await Harness(count, termination=any_of(ends, iteration_cap(9))).run(0)
    assert (outcome.done, outcome.iterations, outcome.output) == (False, 2, 2)
    assert outcome.reason in {"enough", "body", "Mine"}


@forms
async def test_what_a_termination_raises_comes_out_as_itself(form: str, speed: str):
    error = LookupError("gone")

    def act(state: HarnessState) -> Any:
        raise error

    ends = make("termination", form, speed, act)
    with pytest.raises(LookupError) as caught:
        await Harness(count, termination=any_of(ends, iteration_cap(9))).run(0)
    assert caught.value is error


@pytest.mark.parametrize("answer", [None, 1, "", " ", [], {}, {"done": None}, {"done": {}}])
async def test_a_wrong_answer_of_a_termination_is_a_contract_error(answer: Any):
    with pytest.raises(ContractError) as caught:
        await Harness(count, termination=any_of(lambda state: answer, iteration_cap(9))).run(0)
    assert (caught.value.guest, caught.value.method) == ("strategy:termination", "should_terminate")


@pytest.mark.parametrize("answer", [False, {"done": False}, Termination.continue_()])
def test_a_termination_that_does_not_end_it_lets_it_go_on(answer: Any):
    ends = any_of(lambda state: answer, iteration_cap(3))
    assert Harness(count, termination=ends).run_sync(0).reason == "iteration_cap"


def test_registered_strategies_are_found_by_their_object_and_by_their_key():
    @strategy(kind="loop", name="mine")
    async def steps(state: HarnessState) -> dict[str, Any]:
        return count(state)

    @strategy(kind="termination", name="late")
    def late(state: HarnessState) -> bool:
        return state.iteration >= 4

    for loop in ("mine", steps, loop_strategy_from_factory("mine"), guest.loop_strategy_from_factory("mine")):
        for ends in ("late", late, termination_from_factory("late")):
            outcome = Harness(loop, termination=any_of(ends, "iteration_cap")).run_sync(0)
            assert (outcome.iterations, outcome.reason) == (4, "late")
    spec = HarnessSpec("old", "2", 8_000)
    assert spec.initial_token_budget == 8_000
    outcome = Harness.from_spec(spec, "mine", "late").run_sync(0)
    assert outcome.reason == "late"
    assert Harness.from_spec(spec, "mine", "iteration_cap:2").run_sync(0).iterations == 2
    with pytest.raises(KeyError, match="mine"):
        Harness("nobody")


def test_the_terminations_of_the_module_and_their_combinations():
    def run(ends: Any, loop: Any = count) -> tuple[str | None, int]:
        outcome = Harness(loop, termination=ends).run_sync(0)
        return outcome.reason, outcome.iterations

    def stays(state: HarnessState) -> dict[str, Any]:
        return proceed({"b": 1, "a": state.iteration // 3})

    assert run(None) == ("iteration_cap", 100)
    assert run("iteration_cap:3") == ("iteration_cap", 3)
    assert run(IterationCapTermination(2)) == ("iteration_cap", 2)
    assert run(no_progress(2) | iteration_cap(9), stays) == ("no_progress", 3)
    assert run(no_progress(4, key=lambda memory: 1) | iteration_cap(9)) == ("no_progress", 4)

    async def slow_key(memory: Any) -> Any:
        await asyncio.sleep(0)
        return memory // 3 if isinstance(memory, int) else memory

    assert run(no_progress(2, key=slow_key) | iteration_cap(9)) == ("no_progress", 2)
    assert run(iteration_cap(2) & iteration_cap(5)) == ("iteration_cap and iteration_cap", 5)
    assert run(all_of(iteration_cap(2), "iteration_cap:3")) == ("iteration_cap and iteration_cap", 3)
    assert run(any_of(not_(no_progress(1), "moved"), iteration_cap(9))) == ("moved", 0)
    assert run(time_limit(1e-9)) == ("time_limit", 0)
    assert run(token_limit(0) | iteration_cap(5)) == ("token_limit", 0)
    assert run(cost_limit(0) | iteration_cap(5)) == ("cost_limit", 0)
    assert "any_of(no_progress(2), iteration_cap(9))" in repr(no_progress(2) | iteration_cap(9))


@pytest.mark.parametrize(
    "ends", [no_progress(3), lambda state: False, token_limit(5), all_of(iteration_cap(3), no_progress(1))]
)
def test_a_loop_that_nothing_ends_is_refused(ends: Any):
    with pytest.raises(ConfigError, match="might run for ever"):
        Harness(count, termination=ends)
    Harness(count, termination=ends, budget=Budget(seconds=5))
    Harness(count, termination=ends, budget=Budget(iterations=5))


@pytest.mark.parametrize(
    "settings",
    [
        {"loop": 7},
        {"termination": 7},
        {"termination": "iteration_cap:x"},
        {"id": ""},
        {"id": "a/b"},
        {"version": ""},
        {"effect": "twice"},
        {"budget": 5},
        {"bus": 5},
        {"durability": "half"},
        {"spec": HarnessSpec("a"), "id": "b"},
        {"spec": {"id": "a"}},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]):
    with pytest.raises(ConfigError):
        Harness(**{"loop": count, **settings})


def test_what_has_not_the_method_of_its_kind_is_refused():
    class Wants:
        def __init__(self, city: str) -> None: ...

        def step(self, state: Any) -> Any: ...

    with pytest.raises(ContractError, match="decorate an instance"):
        Harness(Wants)
    with pytest.raises(ContractError, match="step"):
        strategy(kind="loop")(7)
    for number in (0, -1, 1.5, True):
        with pytest.raises(ConfigError):
            no_progress(number)  # type: ignore[arg-type]


# --- budgets ---


def test_a_budget_is_charged_by_what_runs_below_and_ends_the_loop():
    agent = Agent(ScriptedModel().text("a").text("b").text("c").text("d"), max_tokens=50)
    outcome = Harness(agent, budget=Budget(iterations=4)).run_sync("Go.")
    # Two iterations and two model calls; the third is not begun.
    assert (outcome.iterations, outcome.output) == (2, "b")
    assert outcome.reason is not None and outcome.reason.startswith("budget: ") and "4 iterations" in outcome.reason
    agent = Agent(ScriptedModel().text("a"), max_tokens=50)
    outcome = Harness(agent, budget=Budget(tokens=10)).run_sync("Go.")
    assert (outcome.iterations, outcome.output) == (0, "Go.") and "tokens" in str(outcome.reason)


async def test_a_harness_in_a_tool_draws_on_the_budget_of_the_run():
    inner = Harness(count, id="inner", termination=iteration_cap(50))
    seen: list[Any] = []

    @tool
    async def loop() -> str:
        """Loops."""
        outcome = await inner.run(0)
        seen.append((outcome.iterations, outcome.reason))
        return str(outcome.output)

    model = ScriptedModel().tool_calls(("loop", {})).text("Done.")
    with pytest.raises(BudgetExceededError):
        await Agent(model, tools=[loop], budget=Budget(iterations=11)).run("Go.")
    # One model call, ten iterations, and nothing is left for the second call.
    ((iterations, reason),) = seen
    assert iterations == 10 and "11 iterations" in reason


async def test_a_budget_of_seconds_cuts_an_iteration_short():
    cancelled = asyncio.Event()

    async def hangs(state: HarnessState) -> dict[str, Any]:
        if state.iteration == 1:
            try:
                await asyncio.sleep(30)
            finally:
                cancelled.set()
        return proceed("first")

    outcome = await Harness(hangs, budget=Budget(seconds=0.2)).run("in")
    assert (outcome.iterations, outcome.output) == (1, "first")
    assert "time" in str(outcome.reason)
    await asyncio.wait_for(cancelled.wait(), 5)


# --- cancelling, pipelines, events ---


async def test_cancelling_the_task_ends_the_iteration():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs(state: HarnessState) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return done(1)

    task = asyncio.create_task(Harness(hangs).run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_step_with_a_time_limit_ends_a_harness_in_it():
    from atomr_agents import with_timeout

    async def hangs(state: HarnessState) -> dict[str, Any]:
        await asyncio.sleep(30)
        return done(1)

    with pytest.raises(RunTimeoutError):
        await with_timeout(Harness(hangs), 50).call(1)


def test_a_harness_is_a_step_that_uses_its_input_and_says_how_it_ended():
    def to_ten(state: HarnessState) -> dict[str, Any]:
        return done(state.working_memory) if state.working_memory >= 10 else count(state)

    pipeline = Pipeline.from_(lambda n: 2 * n).then(Harness(to_ten, termination="iteration_cap:5")).build()
    answer = pipeline.call_sync(4)
    assert (answer["output"], answer["ended"]["kind"], answer["iterations"]) == (10, "done", 3)
    answer = pipeline.call_sync(0)
    assert (answer["output"], answer["ended"]) == (5, {"kind": "terminated", "reason": "iteration_cap"})


async def test_its_events_go_to_the_bus():
    bus = EventBus()
    stream = bus.stream()
    outcome = await Harness(count, id="counts", termination="iteration_cap:2", bus=bus).run(0)
    kinds = []
    async for event in stream:
        kinds.append((event.kind, event.harness, event.iteration))
        if event.kind == "harness_finished":
            assert event.reason == outcome.reason == "iteration_cap"
            break
    assert kinds == [
        ("harness_started", "counts", 0),
        ("harness_iteration", "counts", 1),
        ("harness_iteration", "counts", 2),
        ("harness_finished", "counts", 2),
    ]


async def test_one_harness_has_many_runs_at_once():
    harness = Harness(count, termination="iteration_cap:10")
    outcomes = await asyncio.gather(*(harness.run(n) for n in range(20)))
    assert [outcome.output for outcome in outcomes] == [n + 10 for n in range(20)]
    assert len({outcome.run_id for outcome in outcomes}) == 20
