"""Graphs as their users write them: steps, edges, joins, branches, fan-out, reducers, graphs in graphs."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from operator import add
from typing import Annotated, Any, Literal, TypedDict

import pytest

from atomr_agents import END, START, Agent, Command, Send, StateGraph
from atomr_agents.errors import ContractError, IterationCapError, RunTimeoutError, StateError, WorkflowError
from atomr_agents.state import add_messages, in_memory_checkpointer
from atomr_agents.testkit import ScriptedModel
from atomr_agents.workflow import CachePolicy, NodeContext, RetryPolicy


class Log(TypedDict):
    lines: Annotated[list[str], add]
    count: int


def says(line: str) -> Any:
    def step(state: Log) -> dict[str, Any]:
        return {"lines": [line]}

    return step


def test_steps_run_in_the_order_of_their_edges() -> None:
    graph = StateGraph(Log).add_sequence([("a", says("a")), ("b", says("b")), ("c", says("c"))])
    graph.add_edge(START, "a").add_edge("c", END)
    assert graph.compile().invoke({"lines": ["in"]}) == {"lines": ["in", "a", "b", "c"]}


async def test_plain_and_async_steps_stand_in_one_graph() -> None:
    async def slow(state: Log) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"lines": [f"{len(state['lines'])} so far"]}

    graph = StateGraph(Log).add_sequence([("plain", says("plain")), ("slow", slow)]).add_edge(START, "plain")
    assert (await graph.compile().ainvoke({"lines": []}))["lines"] == ["plain", "1 so far"]


def test_a_compiled_graph_is_used_many_times() -> None:
    graph = StateGraph(Log).add_node("a", says("a")).add_edge(START, "a").compile()
    assert [graph.invoke({"lines": [str(n)]})["lines"] for n in range(3)] == [["0", "a"], ["1", "a"], ["2", "a"]]


def test_a_branch_takes_one_way_only() -> None:
    ran = []

    def note(name: str) -> Any:
        return lambda state: ran.append(name)

    graph = StateGraph(Log).add_node("ask", note("ask")).add_node("yes", note("yes")).add_node("no", note("no"))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", lambda state: state["count"] > 0, {True: "yes", False: "no"})
    app = graph.compile()
    app.invoke({"count": 1})
    app.invoke({"count": 0})
    assert ran == ["ask", "yes", "ask", "no"]


def test_the_ways_of_a_router_are_read_from_its_hint() -> None:
    def route(state: Log) -> Literal["b", "__end__"]:
        return "b" if state["count"] else "__end__"

    graph = StateGraph(Log).add_node("a", says("a")).add_node("b", says("b")).add_edge(START, "a")
    app = graph.add_conditional_edges("a", route).compile()
    assert app.invoke({"count": 1})["lines"] == ["a", "b"]
    assert app.invoke({"count": 0})["lines"] == ["a"]


async def test_a_router_may_be_async_and_decide_the_first_step() -> None:
    async def route(state: Log) -> str:
        return "b"

    graph = StateGraph(Log).add_node("a", says("a")).add_node("b", says("b"))
    app = graph.set_conditional_entry_point(route, ["a", "b"]).compile()
    assert (await app.ainvoke({"lines": []}))["lines"] == ["b"]


def test_a_loop_runs_until_its_condition_says_so() -> None:
    graph = StateGraph(Log).add_node("tick", lambda state: {"count": state["count"] + 1, "lines": ["x"]})
    graph.add_edge(START, "tick").add_conditional_edges("tick", lambda state: "tick" if state["count"] < 5 else END)
    assert graph.compile().invoke({"count": 0}) == {"count": 5, "lines": ["x"] * 5}


def test_the_recursion_limit_is_a_typed_error_that_names_it() -> None:
    graph = StateGraph(Log).add_node("tick", says("x")).add_edge(START, "tick")
    graph.add_conditional_edges("tick", lambda state: "tick", ["tick", END])
    with pytest.raises(IterationCapError, match="7 super-steps"):
        graph.compile().invoke({}, {"recursion_limit": 7})


def test_what_a_diamond_writes_is_joined_once() -> None:
    graph = StateGraph(Log)
    for name in "abcd":
        graph.add_node(name, says(name))
    graph.add_edge(START, "a").add_edge("a", "b").add_edge("a", "c").add_edge(["b", "c"], "d").add_edge("d", END)
    assert graph.compile().invoke({})["lines"] == ["a", "b", "c", "d"]


def test_a_join_waits_for_the_longer_way() -> None:
    graph = StateGraph(Log)
    for name in ("a", "b", "b2", "c", "d"):
        graph.add_node(name, says(name))
    graph.add_edge(START, "a").add_edge("a", "b").add_edge("b", "b2").add_edge("a", "c").add_edge(["b2", "c"], "d")
    assert graph.compile().invoke({})["lines"] == ["a", "b", "c", "b2", "d"]


class Pages(TypedDict):
    pages: list[int]
    texts: Annotated[list[str], add]


def test_steps_are_sent_values_of_their_own() -> None:
    graph = StateGraph(Pages).add_node("plan", lambda state: None)
    graph.add_node("read", lambda page: {"texts": [f"page {page['number']}"]})
    graph.add_node("bind", lambda state: {"texts": [f"{len(state['texts'])} pages"]})
    graph.add_edge(START, "plan").add_edge("read", "bind")
    graph.add_conditional_edges("plan", lambda state: [Send("read", {"number": n}) for n in state["pages"]], ["read"])
    assert graph.compile().invoke({"pages": [3, 1, 2]})["texts"] == ["page 3", "page 1", "page 2", "3 pages"]


def test_steps_of_one_super_step_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=20)

    def meet(state: Log) -> None:
        together.wait()

    graph = StateGraph(Log)
    for name in "abc":
        graph.add_node(name, meet).add_edge(START, name)
    graph.compile().invoke({})


def test_a_step_sends_the_run_where_it_likes() -> None:
    def a(state: Log) -> Command[Literal["c"]]:
        return Command(update={"lines": ["a"]}, goto="c")

    graph = StateGraph(Log).add_node(a).add_node("b", says("b")).add_node("c", says("c")).add_edge(START, "a")
    graph.add_conditional_edges(START, lambda state: "a", ["a", "b"])
    assert graph.compile().invoke({})["lines"] == ["a", "c"]


def test_a_command_without_a_hint_may_go_anywhere() -> None:
    def a(state: Log):  # type: ignore[no-untyped-def]
        return Command(goto=[Send("b", "one"), Send("b", "two")])

    graph = StateGraph(Log).add_node(a).add_node("b", lambda sent: {"lines": [sent]}).add_edge(START, "a")
    assert graph.compile().invoke({})["lines"] == ["one", "two"]


@dataclass
class Fields:
    name: str
    tags: Annotated[list[str], add] = field(default_factory=list)


def test_a_dataclass_is_a_state() -> None:
    def greet(state: Fields) -> dict[str, Any]:
        return {"tags": [f"hello {state.name}"]}

    graph = StateGraph(Fields).add_node(greet).add_edge(START, "greet")
    assert graph.compile().invoke({"name": "Ada"}) == {"name": "Ada", "tags": ["hello Ada"]}


def test_a_pydantic_model_is_a_state() -> None:
    pydantic = pytest.importorskip("pydantic")
    Model = pydantic.create_model("Model", name=(str, ...), size=(int, 1))

    def grow(state: Any) -> Any:
        return {"size": state.size + len(state.name)}

    app = StateGraph(Model).add_node(grow).add_edge(START, "grow").compile()
    assert app.invoke(Model(name="Ada")) == {"name": "Ada", "size": 4}


def test_a_channel_that_nothing_was_written_to_is_not_in_the_state() -> None:
    seen = []
    graph = StateGraph(Log).add_node(
        "look", lambda state: seen.append((dict(state), state.get("count", 7), state["count"]))
    )
    graph.add_edge(START, "look").compile().invoke({})
    assert seen == [({"lines": []}, 7, None)]


def longest(current: str | None, incoming: str) -> str:
    return max(current or "", incoming, key=len)


class Word(TypedDict):
    word: Annotated[str, longest]


def test_a_reducer_of_the_user_joins_what_is_written() -> None:
    graph = StateGraph(Word)
    for name in ("aa", "bbbb", "c"):
        graph.add_node(name, lambda state, name=name: {"word": name}).add_edge(START, name)
    assert graph.compile().invoke({"word": "x"}) == {"word": "bbbb"}


def test_a_graph_is_a_step_of_another() -> None:
    inner = StateGraph(Log, "inner").add_node("deep", says("deep")).add_edge(START, "deep").compile()
    graph = StateGraph(Log).add_node("outer", says("outer")).add_node("inner", inner)
    graph.add_edge(START, "outer").add_edge("outer", "inner")
    assert graph.compile().invoke({"lines": ["in"]})["lines"][-1] == "deep"


class Chat(TypedDict):
    messages: Annotated[list[dict[str, Any]], add_messages]


def test_an_agent_is_a_step() -> None:
    agent = Agent(ScriptedModel().text("Rain."), name="weather")
    graph = StateGraph(Chat).add_node(agent).add_edge(START, "weather")
    result = graph.compile().invoke({"messages": [{"role": "user", "content": "Oslo?"}]})
    assert len(result["messages"]) == 2
    assert result["messages"][-1]["role"] == "assistant"


def test_what_a_step_raises_comes_back_as_itself() -> None:
    def bad(state: Log) -> None:
        raise LookupError("gone")

    graph = StateGraph(Log).add_node(bad).add_edge(START, "bad")
    with pytest.raises(LookupError, match="gone") as caught:
        graph.compile().invoke({})
    frames = [frame.name for frame in caught.traceback]
    assert frames[-1] == "bad"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ("text", ContractError, "a step answers a dict of channels, a Command or None, not str"),
        ({"colour": "red"}, StateError, "colour"),
        ({"lines": object()}, ContractError, "channel `lines`"),
        ({"count": "three"}, StateError, "count"),
    ],
)
def test_a_wrong_answer_is_a_typed_error(answer: Any, error: type[Exception], says: str) -> None:
    graph = StateGraph(Log).add_node("bad", lambda state: answer).add_edge(START, "bad")
    with pytest.raises(error, match=says):
        graph.compile().invoke({})


def test_everything_that_is_wrong_with_a_graph_is_said_at_once() -> None:
    graph = StateGraph(Log).add_node("a", says("a")).add_node("lost", says("lost")).add_edge(START, "a")
    graph.add_edge("a", "nowhere")
    with pytest.raises(WorkflowError, match="nowhere"):
        graph.compile()
    graph = StateGraph(Log).add_node("a", says("a")).add_node("lost", says("lost")).add_edge(START, "a")
    with pytest.raises(WorkflowError, match="lost"):
        graph.compile()
    with pytest.raises(WorkflowError, match="already"):
        graph.add_node("a", says("a"))


def test_a_router_that_answers_what_it_may_not_is_an_error_that_names_it() -> None:
    graph = StateGraph(Log).add_node("a", says("a")).add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: "elsewhere", {"here": END})
    with pytest.raises(ContractError, match=r"elsewhere.*here"):
        graph.compile().invoke({})


async def test_a_step_is_tried_again_as_its_policy_says() -> None:
    tries = []

    async def flaky(state: Log, ctx: NodeContext) -> dict[str, Any]:
        tries.append(ctx.attempt)
        if len(tries) < 3:
            raise ConnectionError("again")
        return {"count": len(tries)}

    policy = RetryPolicy(max_attempts=3, initial_interval=0.0, retry_on=ConnectionError)
    app = StateGraph(Log).add_node(flaky, retry=policy).add_edge(START, "flaky").compile()
    assert (await app.ainvoke({}))["count"] == 3
    assert tries == [1, 2, 3]


async def test_a_step_that_takes_too_long_is_ended() -> None:
    ended = []

    async def long(state: Log) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    app = StateGraph(Log).add_node(long, timeout=0.05).add_edge(START, "long").compile()
    with pytest.raises(RunTimeoutError, match="long"):
        await app.ainvoke({})
    await asyncio.sleep(0)
    assert ended == [True]


async def test_answers_are_kept_for_equal_inputs() -> None:
    ran = []
    graph = StateGraph(Log).add_node("a", lambda state: ran.append(1), cache=CachePolicy()).add_edge(START, "a")
    app = graph.compile()
    for count in (1, 1, 2):
        await app.ainvoke({"count": count})
    assert len(ran) == 2


async def test_cancelling_the_task_ends_the_steps() -> None:
    begun, ended = asyncio.Event(), []

    async def long(state: Log) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    app = StateGraph(Log).add_node(long).add_edge(START, "long").compile(in_memory_checkpointer())
    thread = {"configurable": {"thread_id": "1"}}
    task = asyncio.create_task(app.ainvoke({"count": 1}, thread))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    begun.clear()
    again = asyncio.create_task(app.ainvoke(None, thread))
    await begun.wait()
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again


def test_many_threads_run_one_graph() -> None:
    async def step(state: Log) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"count": state["count"] * 2}

    app = StateGraph(Log).add_node(step).add_edge(START, "step").compile()
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        results[number] = app.invoke({"count": number})["count"]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: 2 * number for number in range(8)}


def test_a_graph_is_drawn() -> None:
    graph = StateGraph(Log).add_node("a", says("a")).add_node("b", says("b")).add_edge(START, "a")
    graph.add_conditional_edges("a", lambda state: "b", {"go on": "b", "stop": END})
    drawing = graph.compile().get_graph()
    assert "go on" in drawing.draw_mermaid()
    assert drawing.draw_svg().startswith("<svg")
