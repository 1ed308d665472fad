"""What type checkers say of channels. Nobody runs this: mypy and pyright read it."""

from operator import add
from typing import Annotated, Any, TypedDict, assert_type

from atomr_agents.state import (
    AppendList,
    MergeMap,
    RunState,
    StateSchema,
    StateView,
    add_messages,
    append_list,
    last_write_wins,
    max_by_timestamp,
    merge_map,
)


class State(TypedDict):
    messages: Annotated[list[dict[str, Any]], add_messages]
    log: Annotated[list[str], append_list]
    also: Annotated[list[str], AppendList]
    facts: Annotated[dict[str, int], merge_map]
    rate: Annotated[dict[str, Any], max_by_timestamp]
    total: Annotated[int, add]
    answer: Annotated[str | None, last_write_wins]


def longest(current: str | None, incoming: str) -> str:
    return incoming if len(incoming) > len(current or "") else current or ""


schema = StateSchema(State).add("word", longest).add("more", MergeMap, default={"a": 1}).add("count", type=int)
assert_type(schema, StateSchema)
state = RunState(State)
assert_type(state.apply([("node", "log", "a line")]), list[dict[str, Any]])
assert_type(state.snapshot(), StateView)
assert_type(state.step, int)
assert_type(dict(state.snapshot()), dict[str, Any])
state.write("log")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
StateSchema().add("word", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
