"""Dags: steps that hand their results on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atomr_agents import Command
from atomr_agents.errors import ConfigError, ConflictError, WorkflowError
from atomr_agents.workflow import (
    Dag,
    Given,
    Step,
    WorkflowRunner,
    clear_workflow_registries,
    register_workflow_callable,
    register_workflow_predicate,
)


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    clear_workflow_registries()


def wrap(name: str) -> Any:
    return lambda value: f"{name}({value})"


def test_a_branch_runs_one_arm_only() -> None:
    ran = []

    def note(name: str) -> Any:
        return lambda value: ran.append(name) or name

    dag = Dag().step("ask", Step.branch(lambda n: n > 0, "yes", "no")).step("yes", note("yes")).step("no", note("no"))
    runner = WorkflowRunner(dag)
    assert (runner.run_sync(1), runner.run_sync(0)) == ("yes", "no")
    assert ran == ["yes", "no"]


def test_edges_carry_what_steps_gave() -> None:
    dag = Dag()
    for name in "abcd":
        dag.step(name, wrap(name))
    dag.edge("a", "b").edge("a", "c").edge("b", "d").edge("c", "d")
    assert WorkflowRunner(dag).run_sync("x") == "d({'b': 'b(a(x))', 'c': 'c(a(x))'})"


def test_a_step_is_given_what_its_mapping_says() -> None:
    dag = Dag().step("a", lambda value: {"n": 2}).edge("a", "b")
    dag.step("b", lambda value: value, input={"who": Given.input("/name"), "n": Given.output("a", "/n"), "fixed": 1})
    assert WorkflowRunner(dag).run_sync({"name": "Ada"}) == {"who": "Ada", "n": 2, "fixed": 1}


def test_a_runner_is_used_many_times() -> None:
    runner = WorkflowRunner(Dag().step("a", lambda n: n * 2))
    assert [runner.run_sync(n) for n in (1, 2, 3)] == [2, 4, 6]


async def test_parallel_loop_and_map_do_what_they_say() -> None:
    async def slow(value: Any) -> Any:
        await asyncio.Event().wait()

    both = WorkflowRunner(Dag().step("p", Step.parallel({"a": wrap("a"), "b": wrap("b")})))
    assert await both.run("x") == {"a": "a(x)", "b": "b(x)"}
    first = WorkflowRunner(Dag().step("p", Step.parallel({"slow": slow, "quick": wrap("quick")}, join="any")))
    assert await first.run("x") == "quick(x)"
    loop = WorkflowRunner(Dag().step("l", Step.loop(lambda n: n * 2, lambda n: n < 50)))
    assert await loop.run(3) == 96
    each = WorkflowRunner(Dag().step("m", Step.map(lambda n: n * n, concurrency=2)))
    assert await each.run([1, 2, 3]) == [1, 4, 9]


async def test_a_person_is_asked_and_the_run_goes_on_with_the_answer() -> None:
    dag = Dag().step("draft", wrap("draft")).step("ok", Step.human("Send it?")).step("send", wrap("send"))
    runner = WorkflowRunner(dag.edge("draft", "ok").edge("ok", "send"))
    with pytest.raises(WorkflowError, match="waits for"):
        await runner.run("x")
    state = await runner.begin("x", run_id="r1")
    assert (state.status, state.output, state.ran) == ("suspended", None, ["draft"])
    assert state.interrupts[0].value["prompt"] == "Send it?"
    state = await runner.resume("r1", Command(resume="yes"))
    assert (state.output, state.outputs["ok"]) == ("send(yes)", "yes")


async def test_a_failed_run_goes_on_with_what_was_given_on() -> None:
    fails = [True]

    def second(value: str) -> str:
        if fails:
            fails.clear()
            raise OSError("no")
        return f"second({value})"

    runner = WorkflowRunner(Dag().step("first", wrap("first")).step("second", second).edge("first", "second"))
    with pytest.raises(OSError, match="no"):
        await runner.run("x", run_id="r1")
    assert (await runner.resume("r1")).output == "second(first(x))"
    with pytest.raises(ConflictError):
        await runner.run("x", run_id="r1")
    with pytest.raises(ConflictError):
        await runner.resume("r1")


def test_what_is_wrong_with_a_dag_is_named() -> None:
    a = Dag().step("a", wrap("a"))
    with pytest.raises(WorkflowError, match="nowhere"):
        WorkflowRunner(a.edge("a", "nowhere"))
    circle = Dag().step("a", wrap("a")).step("b", wrap("b")).edge("a", "b").edge("b", "a")
    with pytest.raises(WorkflowError, match="a -> b -> a"):
        WorkflowRunner(circle)


def test_a_dag_is_made_of_data() -> None:
    register_workflow_callable("double", lambda n: n * 2)
    register_workflow_callable("minus", lambda n: -n)
    register_workflow_predicate("big", lambda n: n > 10)
    spec: dict[str, Any] = {
        "id": "numbers",
        "entry": "first",
        "steps": {
            "first": {"kind": "invoke", "callable_key": "double"},
            "size": {"kind": "branch", "predicate_key": "big", "if_true": "less", "if_false": "more"},
            "less": {"kind": "invoke", "callable_key": "minus"},
            "more": {"kind": "invoke", "callable_key": "double"},
        },
        "edges": [["first", "size"]],
    }
    runner = WorkflowRunner.from_dict(spec)
    assert (runner.run_sync(1), runner.run_sync(20)) == (4, -40)
    assert WorkflowRunner.from_dict({**spec, "edges": [("first", "size")]}).run_sync(1) == 4
    with pytest.raises(KeyError):
        WorkflowRunner.from_dict({**spec, "steps": {"first": {"kind": "invoke", "callable_key": "nobody"}}})
    with pytest.raises(ConfigError, match="invoke or branch"):
        WorkflowRunner.from_dict({**spec, "steps": {"first": {"kind": "dance"}}})
