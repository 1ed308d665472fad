"""Threads: kept, suspended, answered, looked at, changed, forked, and gone on with by another process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from atomr_agents import START, Agent, Command, Send, StateGraph, interrupt
from atomr_agents.errors import ConfigError, ConflictError, IncompatibleError, WorkflowError
from atomr_agents.state import in_memory_checkpointer, runs
from atomr_agents.testkit import ScriptedModel
from atomr_agents.tool import Reconciled
from atomr_agents.workflow import CompiledGraph, NodeContext


class Log(TypedDict):
    lines: Annotated[list[str], add]
    count: int


def thread(name: str = "1", **more: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": name, **more}}


def says(line: str) -> Any:
    return lambda state: {"lines": [line]}


def counting(**options: Any) -> CompiledGraph[Log]:
    graph = StateGraph(Log).add_sequence([("a", says("a")), ("b", says("b")), ("c", says("c"))])
    return graph.add_edge(START, "a").compile(in_memory_checkpointer(), **options)


def test_a_thread_keeps_its_state_from_turn_to_turn() -> None:
    app = counting()
    app.invoke({"lines": ["one"]}, thread())
    assert app.invoke({"lines": ["two"]}, thread())["lines"] == ["one", "a", "b", "c", "two", "a", "b", "c"]
    assert app.invoke({"lines": ["else"]}, thread("2"))["lines"] == ["else", "a", "b", "c"]


def test_a_checkpointer_wants_a_thread() -> None:
    with pytest.raises(ConfigError, match="thread_id"):
        counting().invoke({})
    with pytest.raises(ConfigError, match="thread_id"):
        StateGraph(Log).add_node("a", says("a")).add_edge(START, "a").compile().invoke(None)


def test_a_finished_thread_is_not_resumed() -> None:
    app = counting()
    app.invoke({}, thread())
    with pytest.raises(ConflictError, match="finished"):
        app.invoke(None, thread())


def test_a_plain_step_asks_and_is_run_again_with_the_answer() -> None:
    runs = []

    def ask(state: Log) -> dict[str, Any]:
        runs.append(1)
        name = interrupt({"question": "Who?"})
        again = interrupt("Sure?")
        return {"lines": [f"{name} {again}"]}

    app = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile(in_memory_checkpointer())
    first = app.invoke({"lines": ["in"]}, thread())
    assert first["lines"] == ["in"]
    assert [one.value for one in first["__interrupt__"]] == [{"question": "Who?"}]
    second = app.invoke(Command(resume="Ada"), thread())
    assert [one.value for one in second["__interrupt__"]] == ["Sure?"]
    assert app.invoke(Command(resume="yes"), thread()) == {"lines": ["in", "Ada yes"]}
    assert len(runs) == 3


async def test_a_coroutine_that_waits_goes_on_where_it_stands() -> None:
    runs = []

    async def ask(state: Log, ctx: NodeContext) -> dict[str, Any]:
        runs.append("begun")
        name = await ctx.interrupt("Who?")
        runs.append("answered")
        return {"lines": [name]}

    app = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile(in_memory_checkpointer())
    assert (await app.ainvoke({}, thread()))["__interrupt__"][0].value == "Who?"
    assert (await app.ainvoke(Command(resume="Ada"), thread()))["lines"] == ["Ada"]
    assert runs == ["begun", "answered"]


def test_a_coroutine_whose_loop_is_gone_is_run_again() -> None:
    runs = []

    async def ask(state: Log, ctx: NodeContext) -> dict[str, Any]:
        runs.append(1)
        number = await ctx.effect("draw", lambda: len(runs), effect="once")
        return {"lines": [f"{await ctx.interrupt('Who?')} {number}"]}

    app = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile(in_memory_checkpointer())
    assert app.invoke({}, thread())["__interrupt__"][0].value == "Who?"
    assert app.invoke(Command(resume="Ada"), thread())["lines"] == ["Ada 1"]
    assert len(runs) == 2


async def test_an_async_step_may_ask_as_a_plain_one() -> None:
    async def ask(state: Log) -> dict[str, Any]:
        return {"lines": [interrupt("Who?")]}

    app = StateGraph(Log).add_node(ask).add_edge(START, "ask").compile(in_memory_checkpointer())
    assert (await app.ainvoke({}, thread()))["__interrupt__"][0].value == "Who?"
    assert (await app.ainvoke(Command(resume="Ada"), thread()))["lines"] == ["Ada"]


def test_interrupt_outside_of_a_step_is_an_error() -> None:
    with pytest.raises(WorkflowError, match="outside"):
        interrupt("?")


def asking_both() -> CompiledGraph[Log]:
    graph = StateGraph(Log)
    for name in ("a", "b"):
        graph.add_node(name, lambda state, name=name: {"lines": [f"{name}: {interrupt(name)}"]}).add_edge(START, name)
    return graph.compile(in_memory_checkpointer())


def test_several_wait_and_each_is_answered_by_its_id() -> None:
    app = asking_both()
    asked = {one.value: one.id for one in app.invoke({}, thread())["__interrupt__"]}
    assert set(asked) == {"a", "b"}
    with pytest.raises(ConflictError, match="2 answers"):
        app.invoke(Command(resume="which?"), thread())
    left = app.invoke(Command(resume={asked["b"]: "beta"}), thread())
    assert [one.value for one in left["__interrupt__"]] == ["a"]
    assert app.invoke(Command(resume={asked["a"]: "alpha"}), thread())["lines"] == ["a: alpha", "b: beta"]


def test_an_answer_that_nobody_waits_for_is_an_error_that_says_who_does() -> None:
    app = asking_both()
    asked = app.invoke({}, thread())["__interrupt__"]
    with pytest.raises(ConflictError, match=asked[0].id.replace("(", "")):
        app.invoke(Command(resume={"9:nobody/interrupt#0": "?"}), thread())


def test_breakpoints_before_and_after_steps_are_passed_one_by_one() -> None:
    app = counting(interrupt_before=["b"], interrupt_after=["b"])
    assert app.invoke({"lines": []}, thread())["lines"] == ["a"]
    assert app.get_state(thread()).next == ("b",)
    assert app.invoke(None, thread())["lines"] == ["a", "b"]
    assert app.get_state(thread()).next == ("c",)
    assert app.invoke(None, thread())["lines"] == ["a", "b", "c"]
    assert app.get_state(thread()).next == ()


def test_two_breakpoints_in_one_super_step_are_passed_together() -> None:
    graph = StateGraph(Log)
    for name in ("a", "b"):
        graph.add_node(name, says(name)).add_edge(START, name)
    app = graph.compile(in_memory_checkpointer(), interrupt_before=["a", "b"])
    assert app.invoke({"lines": []}, thread())["lines"] == []
    assert app.invoke(None, thread())["lines"] == ["a", "b"]


def test_a_state_is_looked_at_and_its_history_too() -> None:
    app = counting()
    assert app.get_state(thread("nobody")).values == {}
    app.invoke({"lines": ["in"]}, thread())
    now = app.get_state(thread())
    assert (now.values, now.next, now.metadata["status"]) == ({"lines": ["in", "a", "b", "c"]}, (), "finished")
    history = list(app.get_state_history(thread()))
    assert [len(one.values["lines"]) for one in history] == [4, 3, 2, 1]
    assert [one.next for one in history] == [(), ("c",), ("b",), ("a",)]
    assert app.get_state(history[1].config).values == {"lines": ["in", "a", "b"]}
    assert history[1].parent_config == history[2].config
    assert len(list(app.get_state_history(thread(), limit=2))) == 2


def test_a_state_is_changed_through_its_reducers() -> None:
    app = counting(interrupt_before=["c"])
    app.invoke({"lines": []}, thread())
    config = app.update_state(thread(), {"lines": ["edited"]})
    assert app.get_state(config).values["lines"] == ["a", "b", "edited"]
    assert app.get_state(thread()).next == ("c",)
    assert app.invoke(None, thread())["lines"] == ["a", "b", "edited", "c"]


def test_an_edit_as_a_step_goes_on_after_it() -> None:
    app = counting(interrupt_before=["b"])
    app.invoke({"lines": []}, thread())
    app.update_state(thread(), {"lines": ["instead of b"]}, as_node="b")
    assert app.get_state(thread()).next == ("c",)
    assert app.invoke(None, thread())["lines"] == ["a", "instead of b", "c"]


def test_a_command_edits_and_redirects_a_run_that_stands_still() -> None:
    app = counting(interrupt_before=["b"])
    app.invoke({"lines": []}, thread())
    assert app.invoke(Command(update={"lines": ["x"]}, goto="c"), thread())["lines"] == ["a", "x", "c"]


def test_a_failing_step_loses_nothing_of_its_siblings() -> None:
    ran, broken = [], [True]

    def good(state: Log) -> dict[str, Any]:
        ran.append("good")
        return {"lines": ["good"]}

    def bad(state: Log) -> dict[str, Any]:
        while "good" not in ran:
            pass
        if broken:
            raise OSError("broken")
        return {"lines": ["bad"]}

    graph = StateGraph(Log).add_node(good).add_node(bad).add_edge(START, "good").add_edge(START, "bad")
    app = graph.compile(in_memory_checkpointer())
    with pytest.raises(OSError, match="broken"):
        app.invoke({"lines": []}, thread())
    broken.clear()
    assert app.invoke(None, thread())["lines"] == ["bad", "good"]


def test_an_effect_happens_once_however_often_its_step_runs() -> None:
    paid = []

    def pay(state: Log, ctx: NodeContext) -> dict[str, Any]:
        receipt = ctx.effect("pay", lambda key: paid.append(key) or f"receipt {len(paid)}")
        drawn = [ctx.random(), str(ctx.uuid()), ctx.now().isoformat()]
        interrupt({"drawn": drawn})
        return {"lines": [receipt, *map(str, drawn)]}

    app = StateGraph(Log).add_node(pay).add_edge(START, "pay").compile(in_memory_checkpointer())
    drawn = app.invoke({}, thread())["__interrupt__"][0].value["drawn"]
    assert app.invoke(Command(resume=None), thread())["lines"] == ["receipt 1", *map(str, drawn)]
    assert len(paid) == 1


def test_a_run_of_another_graph_is_not_gone_on_with() -> None:
    saver = in_memory_checkpointer()
    graph = StateGraph(Log).add_sequence([("a", says("a")), ("b", says("b"))]).add_edge(START, "a")
    graph.compile(saver, interrupt_before=["b"]).invoke({}, thread())
    graph.add_node("c", says("c")).add_edge("b", "c")
    app = graph.compile(saver)
    with pytest.raises(IncompatibleError, match="step c"):
        app.invoke(None, thread())
    (found,) = app.check_compat()
    assert (found.thread_id, found.added, found.removed) == ("1", ["edge b -> c", "step c"], [])


async def test_a_stream_tells_states_answers_and_what_steps_write() -> None:
    async def step(state: Log, ctx: NodeContext) -> dict[str, Any]:
        ctx.write({"half": "way"})
        return {"lines": ["a"]}

    app = StateGraph(Log).add_node("a", step).add_node("b", says("b")).add_edge(START, "a").add_edge("a", "b").compile()
    given = {"lines": ["in"]}
    assert [part async for part in app.astream(given)] == [{"a": {"lines": ["a"]}}, {"b": {"lines": ["b"]}}]
    values = [part async for part in app.astream(given, stream_mode="values")]
    assert [len(part["lines"]) for part in values] == [1, 2, 3]
    assert [part async for part in app.astream(given, stream_mode="custom")] == [{"half": "way"}]
    both = [mode async for mode, _ in app.astream(given, stream_mode=["updates", "custom"])]
    assert both == ["custom", "updates", "updates"]
    events = [event.kind async for event in app.astream(given, stream_mode="events")]
    assert events[0] == "run_started" and events[-1] == "run_finished"
    assert events.count("node_finished") == 2


async def test_a_stream_tells_what_models_write_in_agents_that_steps_run() -> None:
    model = ScriptedModel().text("Hello there").text("and again").text("once more").text("the end")
    agent = Agent(model, name="helper")

    async def ask(state: Log) -> dict[str, Any]:
        return {"lines": [(await agent.run("hi")).output]}

    app = (
        StateGraph(Log)
        .add_node("ask", ask)
        .add_node("more", ask)
        .add_edge(START, "ask")
        .add_edge("ask", "more")
        .compile()
    )
    said: dict[str, str] = {}
    async for piece, about in app.astream({"lines": []}, stream_mode="messages"):
        assert piece["role"] == "assistant" and about["path"] == f"{about['node']}/helper"
        said[about["node"]] = said.get(about["node"], "") + piece["content"]
    assert said == {"ask": "Hello there", "more": "and again"}
    both = [mode async for mode, _ in app.astream({"lines": []}, stream_mode=["messages", "updates"])]
    assert both.count("updates") == 2 and set(both) == {"messages", "updates"}


def test_a_plain_program_streams_too() -> None:
    app = counting()
    assert [list(part) for part in app.stream({}, thread())] == [["a"], ["b"], ["c"]]


def test_a_stream_tells_what_a_run_waits_for() -> None:
    app = asking_both()
    parts = list(app.stream({}, thread()))
    assert {one.value for one in parts[-1]["__interrupt__"]} == {"a", "b"}


async def test_a_stream_that_is_left_ends_the_run() -> None:
    ended = asyncio.Event()

    async def long(state: Log) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    graph = StateGraph(Log).add_node("a", says("a")).add_node(long).add_edge(START, "a").add_edge("a", "long")
    app = graph.compile(in_memory_checkpointer())
    stream = app.astream({}, thread(), stream_mode=["values", "custom"])
    async for _, part in stream:
        if part["lines"]:
            break
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await stream.aclose()
    await asyncio.wait_for(ended.wait(), 10)


PROGRAM = """
    import os, signal, sys
    from operator import add
    from typing import Annotated, TypedDict
    from atomr_agents import START, StateGraph, Command, interrupt

    class Log(TypedDict):
        lines: Annotated[list[str], add]

    def note(line):
        with open(sys.argv[2], "a") as file:
            file.write(line + "\\n")

    def a(state):
        note("a")
        return {"lines": ["a"]}

    def b(state, ctx):
        ctx.effect("pay", lambda: note("paid"))
        if sys.argv[3] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"lines": ["b " + interrupt("sure?")]}

    graph = StateGraph(Log).add_node(a).add_node(b).add_edge(START, "a").add_edge("a", "b")
    app = graph.compile(sys.argv[1])
    thread = {"configurable": {"thread_id": "1"}}
    if sys.argv[3] == "answer":
        print(app.invoke(Command(resume="yes"), thread)["lines"])
    else:
        given = {"lines": ["in"]} if sys.argv[3] == "die" else None
        print(app.invoke(given, thread)["__interrupt__"][0].value)
"""


def test_a_killed_process_is_gone_on_with_by_another(tmp_path: Path) -> None:
    script, notes, store = tmp_path / "program.py", tmp_path / "notes", f"sqlite:{tmp_path / 'runs.db'}"
    script.write_text(textwrap.dedent(PROGRAM))

    def run(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), store, str(notes), what]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})

    assert run("die").returncode == -signal.SIGKILL
    asked = run("go on")
    assert (asked.returncode, asked.stdout) == (0, "sure?\n"), asked.stderr
    answered = run("answer")
    assert answered.stdout == "['in', 'a', 'b yes']\n", answered.stderr
    assert notes.read_text().split() == ["a", "paid"]


CHARGING = """
    import os, signal, sys
    from typing import TypedDict
    from atomr_agents import START, StateGraph

    class Order(TypedDict):
        receipt: str

    def charge(key):
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return "charged again"

    def pay(state, ctx):
        return {"receipt": ctx.effect("charge", charge, effect="once")}

    app = StateGraph(Order).add_node(pay).add_edge(START, "pay").compile(sys.argv[1])
    given = {} if sys.argv[2] == "die" else None
    print(app.invoke(given, {"configurable": {"thread_id": "1"}})["receipt"])
"""


@pytest.mark.parametrize("found", ["receipt 7", Reconciled.DID_NOT_HAPPEN, None])
def test_what_nobody_knows_is_found_out_by_a_person(tmp_path: Path, found: object) -> None:
    script, store = tmp_path / "program.py", tmp_path / "runs.db"
    script.write_text(textwrap.dedent(CHARGING))

    def run(what: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), f"sqlite:{store}", what]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})

    assert run("die").returncode == -signal.SIGKILL
    stopped = run("go on")
    assert "OutcomeUnknownError" in stopped.stderr, stopped
    kept = runs(store)
    (info,) = kept.list_sync(status="outcome_unknown")
    ((key, subject),) = kept.verify_sync(info.name).open_effects
    assert subject == "charge"
    with pytest.raises(ConflictError, match="charge"):
        kept.resolve_sync(info.name, key.replace("charge", "mail"), 1)
    if found is None:
        kept.resolve_sync(info.name, key, error="no money")
        assert "no money" in run("go on").stderr
    else:
        kept.resolve_sync(info.name, key, found)
        expected = found if isinstance(found, str) else "charged again"
        assert run("go on").stdout == f"{expected}\n"
    with pytest.raises(ConflictError):
        kept.resolve_sync(info.name, key, found)


def test_sends_are_gone_on_with_one_by_one() -> None:
    graph = StateGraph(Log).add_node("plan", lambda state: None)
    graph.add_node("work", lambda number: {"lines": [f"{number}: {interrupt(number)}"]}).add_edge(START, "plan")
    graph.add_conditional_edges("plan", lambda state: [Send("work", n) for n in range(3)], ["work"])
    app = graph.compile(in_memory_checkpointer())
    asked = app.invoke({}, thread())["__interrupt__"]
    assert [one.path for one in asked] == ["work[0]", "work[1]", "work[2]"]
    result = app.invoke(Command(resume={one.id: f"answer {one.value}" for one in asked}), thread())
    assert result["lines"] == ["0: answer 0", "1: answer 1", "2: answer 2"]


def test_an_interrupt_in_a_graph_inside_a_step_suspends_the_whole() -> None:
    inner = StateGraph(Log, "inner").add_node("ask", lambda state: {"count": interrupt("How many?")})
    graph = StateGraph(Log).add_node("inner", inner.add_edge(START, "ask").compile()).add_edge(START, "inner")
    app = graph.compile(in_memory_checkpointer())
    assert app.invoke({}, thread())["__interrupt__"][0].value == "How many?"
    assert app.invoke(Command(resume=3), thread())["count"] == 3


def test_a_thread_goes_back_to_a_place_in_its_history() -> None:
    app = counting()
    app.invoke({"lines": ["in"]}, thread())
    before_b = next(one for one in app.get_state_history(thread()) if one.next == ("b",))
    assert app.invoke(None, before_b.config)["lines"] == ["in", "a", "b", "c"]
    history = list(app.get_state_history(thread()))
    assert [one.metadata["source"] for one in history] == ["step", "step", "fork", "step", "step", "step", "input"]
    edited = app.update_state(before_b.config, {"lines": ["edited"]})
    assert app.get_state(edited).values["lines"] == ["in", "a", "edited"]
    assert app.invoke(None, thread())["lines"] == ["in", "a", "edited", "b", "c"]
    with pytest.raises(ConflictError, match="no step 99"):
        app.invoke(None, thread(checkpoint_id="99"))
    with pytest.raises(ConfigError, match="checkpoint_id"):
        app.get_state(thread(checkpoint_id="x"))
