"""Channels, reducers, schemas and states, as a user writes them."""

import asyncio
import operator
import threading
import typing
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from atomr_agents import Message
from atomr_agents.errors import (
    AgentError,
    ConfigError,
    ContractError,
    CorruptError,
    GuestError,
    GuestExitedError,
    StateError,
)
from atomr_agents.state import (
    AppendList,
    AppendMessages,
    LastWriteWins,
    MaxByTimestamp,
    MergeMap,
    Reducer,
    RunState,
    StateSchema,
    add_messages,
    append_list,
    last_write_wins,
    max_by_timestamp,
    merge_map,
)


def union(current: list[Any] | None, incoming: list[Any]) -> list[Any]:
    return [*(current or []), *(item for item in incoming if item not in (current or []))]


def of(reducer: Any, **channel: Any) -> RunState:
    return RunState(StateSchema().add("it", reducer, **channel))


@pytest.mark.parametrize(
    ("reducer", "current", "incoming", "after"),
    [
        (LastWriteWins, 1, None, None),
        (AppendList, None, "a", ["a"]),
        (AppendList, ["a"], ["b", ["c"]], ["a", "b", ["c"]]),
        (AppendList, ["a"], None, ["a"]),
        (AppendMessages, [{"id": "1"}], [{"id": "2"}, {"id": "1", "x": 1}], [{"id": "1", "x": 1}, {"id": "2"}]),
        (MergeMap, {"z": {"x": 1}}, {"a": 1, "z": {}}, {"z": {}, "a": 1}),
        (MaxByTimestamp, {"ts_ms": 2}, {"ts_ms": 2, "x": 1}, {"ts_ms": 2, "x": 1}),
        (MaxByTimestamp, {"ts_ms": 2}, {"ts_ms": 1}, {"ts_ms": 2}),
    ],
)
def test_a_built_in_reducer_can_be_called(reducer: type[Reducer], current: Any, incoming: Any, after: Any):
    assert reducer()(current, incoming) == after
    assert reducer() == reducer() and hash(reducer()) == hash(reducer())
    assert of(reducer, default=current).write("it", incoming) is not None


def test_the_names_for_type_hints_are_the_reducers():
    names = (last_write_wins, append_list, add_messages, merge_map, max_by_timestamp)
    assert names == (LastWriteWins(), AppendList(), AppendMessages(), MergeMap(), MaxByTimestamp())
    assert append_list.name == "append_list" and repr(append_list) == "<reducer append_list>"
    assert append_list != merge_map


@pytest.mark.parametrize(
    ("reducer", "incoming", "part"),
    [
        (AppendMessages, "hello", 'given the string "hello", and it takes messages'),
        (MergeMap, [1], "an array of 1 that begins with a number, and it takes an object"),
        (MaxByTimestamp, {"x": 1}, "an integer `ts_ms`"),
    ],
)
def test_a_wrong_type_is_told_with_channel_reducer_and_what_to_do(reducer: type[Reducer], incoming: Any, part: str):
    state = of(reducer)
    before = state.base()
    with pytest.raises(StateError) as raised:
        state.apply([("node", "it", incoming)])
    text = str(raised.value)
    assert (
        "channel `it`, reducer " + reducer().name + ", written by node" in text and part in text and "write {" in text
    )
    assert (raised.value.kind, raised.value.retryable) == ("state", False)
    assert state.base() == before
    with pytest.raises(StateError):
        reducer()(None, incoming)


class Conversation(TypedDict):
    messages: Annotated[list[Any], add_messages]
    log: Annotated[list[str], AppendList]
    facts: NotRequired[Annotated[dict[str, int], merge_map]]
    total: Annotated[int, operator.add]
    words: Annotated[str, operator.add]
    joined: Annotated[list[int], operator.add]
    seen: Annotated[list[str], "a note", union]
    answer: str | None
    anything: Any


@dataclass
class Told:
    count: int = 3
    log: Annotated[list[str], append_list] = field(default_factory=lambda: ["begun"])
    total: Annotated[float, operator.add] = 1.5
    kind: typing.ClassVar[str] = "no channel"


class Model(BaseModel):
    log: Annotated[list[str], append_list, Field(max_length=5)] = Field(default_factory=list)
    answer: str
    facts: Annotated[dict[str, Any], merge_map] = {"sky": "blue"}


def test_a_typed_dict_describes_a_state():
    state = RunState(Conversation)
    assert state.snapshot().to_dict() == {
        "messages": [],
        "log": [],
        "facts": {},
        "total": 0,
        "words": "",
        "joined": [],
        "seen": [],
        "answer": None,
        "anything": None,
    }
    for _ in range(2):
        state.apply(
            [
                ("a", "log", ["x"]),
                ("a", "total", 2),
                ("a", "words", "ab"),
                ("a", "joined", [1]),
                ("a", "seen", ["s"]),
                ("a", "answer", "yes"),
            ]
        )
    told = dict(state.snapshot())
    assert told["log"] == ["x", "x"] and told["total"] == 4 and told["words"] == "abab" and told["joined"] == [1, 1]
    assert told["seen"] == ["s"] and told["answer"] == "yes"
    reducers = {name: row["reducer"] for name, row in StateSchema(Conversation).to_dict().items()}
    assert reducers == {
        "messages": "append_messages",
        "log": "append_list",
        "facts": "merge_map",
        "total": "add",
        "words": "add",
        "joined": "append_list",
        "seen": "union",
        "answer": "last_write_wins",
        "anything": "last_write_wins",
    }


def test_a_dataclass_and_a_model_bring_their_defaults():
    assert RunState(Told).snapshot().to_dict() == {"count": 3, "log": ["begun"], "total": 1.5}
    schema = StateSchema(Model)
    assert RunState(schema).snapshot().to_dict() == {"log": [], "answer": None, "facts": {"sky": "blue"}}
    assert len(schema) == 3 and "answer" in schema and "question" not in schema


@pytest.mark.parametrize(
    ("channel", "value", "part"),
    [
        ("log", ["a", 1], "it takes a string, and this is 1"),
        ("facts", {"a": "b"}, "it takes an integer"),
        ("total", "x", "add"),
        ("answer", 3, "it takes a string or null, and this is 3"),
    ],
)
def test_what_a_type_hint_does_not_admit_is_refused(channel: str, value: Any, part: str):
    state = RunState(Conversation)
    with pytest.raises(AgentError, match=f"channel `{channel}`.*{part}"):
        state.write(channel, value)
    assert state.base() == RunState(Conversation).base()


def test_a_function_is_a_reducer_and_of_what_it_makes_only_the_new_is_told():
    state = of(union)
    assert state.write("it", [1, 2]) == [{"channel": "it", "change": {"set": [1, 2]}}]
    assert state.write("it", [2, 3]) == [{"channel": "it", "change": {"append": [3]}}]
    assert state.write("it", [3]) == []
    assert of(max, default=3).write("it", 7) == [{"channel": "it", "change": {"set": 7}}]
    state = of(operator.add)
    state.write("it", 2)
    state.write("it", 3)
    assert state.read("it") == 5


def test_a_reducer_that_raises_is_named_with_its_channel_and_the_state_stays():
    def broken(current: Any, incoming: Any) -> Any:
        raise KeyError("no such fact")

    state = RunState(StateSchema().add("log", append_list).add("it", broken))
    with pytest.raises(GuestError, match="channel `it`, reducer broken: it raised KeyError") as raised:
        state.apply([("a", "log", 1), ("b", "it", 2)])
    assert isinstance(raised.value.__cause__, KeyError)
    assert (state.read("log"), state.step) == ([], 0)


def test_a_reducer_that_returns_no_json_breaks_its_contract():
    for made in ({1, 2}, object(), float("nan"), b"bytes"):
        state = of(lambda current, incoming, made=made: made, default=1)
        with pytest.raises(ContractError, match="channel `it`, reducer <lambda>: it returned what is no JSON"):
            state.write("it", 2)
        assert state.read("it") == 1


def test_a_reducer_that_ends_the_process_does_not():
    def leave(current: Any, incoming: Any) -> Any:
        raise SystemExit(3)

    with pytest.raises(GuestExitedError):
        of(leave).write("it", 1)


def test_what_cannot_be_a_reducer_is_refused_where_it_is_given():
    async def later(current: Any, incoming: Any) -> Any:
        return incoming

    for reducer, part in [
        (later, "later is asynchronous"),
        (lambda one: one, "cannot be called with two values"),
        (3, "3 is no reducer"),
    ]:
        with pytest.raises(ContractError, match=f"channel `it`: .*{part}"):
            StateSchema().add("it", reducer)  # type: ignore[arg-type]


def test_a_coroutine_that_a_reducer_returns_is_refused_and_closed():
    async def work() -> None:
        await asyncio.sleep(0)

    with pytest.raises(ContractError, match="it was never awaited"):
        of(lambda current, incoming: work()).write("it", 1)


def test_a_schema_that_makes_no_sense_is_refused():
    schema = StateSchema().add("count", default=0, type=int)
    with pytest.raises(ConfigError, match="channel `count`: there are two of this name"):
        schema.add("count")
    assert schema.channels == ["count"]
    for wrong in [
        lambda: StateSchema().add("it", append_list, default=3),
        lambda: StateSchema().add("it", default={1}),
        lambda: StateSchema().add("it", default="x", type=int),
        lambda: StateSchema().add(""),
        lambda: StateSchema("State"),
    ]:
        with pytest.raises(AgentError):
            wrong()
    with pytest.raises(TypeError, match="not by a dict"):
        RunState({})


def test_an_unknown_channel_is_told_with_those_there_are():
    state = RunState(Conversation)
    view = state.snapshot()
    for wrong in (lambda: state.read("mesages"), lambda: state.write("mesages", 1), lambda: view["mesages"]):
        with pytest.raises(StateError, match="perhaps `messages` is meant. There are: messages, log"):
            wrong()
    assert "mesages" not in view and "messages" in view


def test_two_writers_of_a_channel_that_keeps_one_write_are_both_named():
    state = RunState(Conversation)
    with pytest.raises(StateError, match="channel `answer` keeps the last write.*: left and right"):
        state.apply([("right", "answer", "no"), ("left", "answer", "yes")])
    assert (state.read("answer"), state.step) == (None, 0)


def test_writes_are_taken_in_the_order_of_the_tasks():
    state = of(append_list)
    state.apply([(f"fan[{number}]", "it", number) for number in (10, 2, 1, 30)])
    assert state.read("it") == [1, 2, 10, 30]


def test_a_view_is_not_changed_by_what_is_written_later_nor_by_who_reads_it():
    state = of(append_list)
    state.write("it", [{"n": 1}, 2])
    view = state.snapshot()
    state.apply([("a", "it", [3])])
    view["it"].append("mine")
    assert (view["it"], state.read("it")) == ([{"n": 1}, 2], [{"n": 1}, 2, 3])
    assert (view.step, state.step, len(view), list(view)) == (0, 1, 1, ["it"])
    state.overwrite("it", ["new"])
    assert (view["it"], state.read("it"), dict(view)) == ([{"n": 1}, 2], ["new"], {"it": [{"n": 1}, 2]})


def test_messages_are_written_as_they_are():
    state = of(add_messages)
    state.write("it", [Message.user("Oslo?"), {"role": "assistant", "content": "Rain."}])
    state.write("it", Message.user("Rome?"))
    assert [message["role"] for message in state.read("it")] == ["user", "assistant", "user"]
    assert Message.from_dict(state.read("it")[0]) == Message.user("Oslo?")


def test_a_schema_is_pinned_by_a_fingerprint_and_tells_what_changed():
    one = StateSchema().add("a", append_list).add("b", default=1)
    two = StateSchema().add("b", default=1).add("a", AppendList)
    assert one.fingerprint == two.fingerprint == RunState(one).fingerprint
    assert one.difference(two) == []
    three = StateSchema().add("a", union).add("c")
    assert three.fingerprint != one.fingerprint
    assert three.difference(one) == [
        "channel `a` has the reducer union instead of append_list",
        "channel `c` is new",
        "channel `b` is gone",
    ]


def test_a_state_that_was_made_before_does_not_have_a_channel_that_is_added_later():
    schema = StateSchema().add("a")
    state = RunState(schema)
    schema.add("b")
    assert list(state.snapshot()) == ["a"] and list(RunState(schema).snapshot()) == ["a", "b"]


def test_a_reducer_may_read_the_state_and_must_not_write_it():
    state: RunState

    def curious(current: Any, incoming: Any) -> Any:
        assert state.read("it") == current
        with pytest.raises(RuntimeError, match="one writer at a time"):
            state.write("it", 0)
        return incoming

    state = of(curious)
    state.write("it", 1)
    assert state.read("it") == 1


def test_readers_in_other_threads_see_whole_states():
    state = RunState(StateSchema().add("log", append_list).add("count"))
    wrong: list[Any] = []

    def read() -> None:
        for _ in range(300):
            view = state.snapshot()
            if view["log"] != list(range(view["count"] or 0)):
                wrong.append(view.to_dict())

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(300):
        state.apply([("a", "log", number), ("a", "count", number + 1)])
    for reader in readers:
        reader.join()
    assert wrong == []


messages = st.fixed_dictionaries({"text": st.text(max_size=3)}, optional={"id": st.sampled_from("abc")})
writes = st.one_of(
    st.tuples(st.just("messages"), st.lists(messages, max_size=4)),
    st.tuples(st.just("log"), st.lists(st.text(max_size=2), max_size=3)),
    st.tuples(st.just("facts"), st.dictionaries(st.sampled_from("ab"), st.integers(0, 9))),
    st.tuples(st.just("seen"), st.lists(st.sampled_from("abc"), max_size=3)),
    st.tuples(st.just("anything"), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(st.lists(st.lists(writes, max_size=5), max_size=6))
def test_what_is_told_makes_the_same_state_again(steps: list[list[tuple[str, Any]]]):
    state = RunState(Conversation)
    base, checkpoints = state.base(), []
    for step in steps:
        told = state.apply([("one", channel, value) for channel, value in step])
        checkpoints.append((state.step, told))
        # What Python sees of a list that it saw before is what it would see anew.
        assert state.snapshot().to_dict() == RunState.replay(Conversation, state.base()).snapshot().to_dict()
    assert RunState.replay(Conversation, base, checkpoints).base() == state.base()


def test_what_was_stored_and_is_damaged_is_refused():
    state = of(append_list)
    with pytest.raises(CorruptError, match="channel `it`: what was stored does not fit it"):
        RunState.replay(StateSchema().add("it", append_list), {"step": 1, "channels": {"it": 3}})
    with pytest.raises(ConfigError, match="base is not what a RunState told"):
        RunState.replay(StateSchema().add("it", append_list), {"channels": {}})
    assert state.base() == {"step": 0, "channels": {"it": []}}
