"""What type checkers say of graphs. Nobody runs this: mypy and pyright read it."""

from datetime import datetime
from operator import add
from typing import Annotated, Any, Literal, TypedDict, assert_type
from uuid import UUID

from atomr_agents import END, START, Command, Send, StateGraph, interrupt
from atomr_agents.state import in_memory_checkpointer
from atomr_agents.workflow import (
    CachePolicy,
    CompiledGraph,
    Dag,
    Given,
    Incompatible,
    Interrupt,
    NodeContext,
    RetryPolicy,
    StateSnapshot,
    Step,
    WorkflowRunner,
    WorkflowState,
)


class State(TypedDict):
    lines: Annotated[list[str], add]


def plain(state: State) -> dict[str, Any]:
    return {"lines": [interrupt("?")]}


async def slow(state: State, ctx: NodeContext) -> Command:
    assert_type(ctx.now(), datetime)
    assert_type(ctx.uuid(), UUID)
    assert_type(ctx.random(), float)
    assert_type(ctx.step, int)
    await ctx.interrupt({"a": 1})
    await ctx.effect("pay", lambda: 1, effect="once")
    return Command(update={"lines": []}, goto=[Send("plain", 1), END])


def route(state: State) -> Literal["slow", "__end__"]:
    return "slow"


graph = StateGraph(State)
assert_type(graph, StateGraph[State])
graph.add_node(plain, retry=RetryPolicy(max_attempts=2), cache=CachePolicy(ttl=1.0)).add_node("slow", slow)
graph.add_edge(START, "plain").add_edge(["plain", "slow"], END).add_conditional_edges("plain", route, ["slow", END])
app = graph.compile(in_memory_checkpointer(), interrupt_before=["slow"], durability="relaxed")
assert_type(app, CompiledGraph[State])
snapshot = app.get_state({"configurable": {"thread_id": "1"}})
assert_type(snapshot, StateSnapshot)
assert_type(snapshot.values, dict[str, Any])
assert_type(snapshot.interrupts, tuple[Interrupt, ...])
assert_type(app.check_compat(), list[Incompatible])
assert_type(app.get_graph().draw_svg(), str)

dag = Dag("d").step("a", Step.map(len, concurrency=2)).step("b", len, input={"x": Given.input("/y")}).edge("a", "b")
runner = WorkflowRunner(dag)


async def main() -> None:
    assert_type(await runner.begin(1), WorkflowState)
    async for part in app.astream({}, stream_mode=["updates", "values"]):
        print(part)


graph.compile(interrupt_before=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
graph.add_edge(1, "plain")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
