"""The streaming parser of tool calls, for those who read a provider's stream themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import AgentError, Provider, ToolCallParser

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings" / "openai-chat"


def cases() -> list[str]:
    return [
        folder.name
        for folder in sorted(RECORDINGS.iterdir())
        if folder.is_dir()
        and (expected := json.loads((folder / "expected.json").read_text())).get("stream")
        and expected.get("outcome") == "ok"
        and expected.get("tool_calls")
    ]


def test_there_are_recordings_with_calls():
    assert len(cases()) >= 8


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
@pytest.mark.parametrize("name", cases())
def test_calls_of_recorded_streams_cut_anywhere(name: str, size: int):
    expected = json.loads((RECORDINGS / name / "expected.json").read_text())
    body = (RECORDINGS / name / "response.body").read_bytes()
    parser = ToolCallParser(Provider.openai())
    for at in range(0, len(body), size):
        parser.feed_sse(body[at : at + size])
    calls = parser.finish()
    wanted = [(call["id"], call["name"], call["arguments_raw"]) for call in expected["tool_calls"]]
    assert [(call.id, call.name, call.arguments_raw) for call in calls] == wanted
    for call, told in zip(calls, expected["tool_calls"], strict=True):
        if told["arguments_valid_json"]:
            assert call.arguments() == (told["arguments"] if told["arguments"] is not None else {})


def delta(**function: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": function}]}}]}


def test_deltas_come_as_text_bytes_or_dicts():
    parser = ToolCallParser(Provider("openai"))
    parser.feed(delta(name="add", arguments=""))
    parser.feed(json.dumps(delta(arguments='{"a"')))
    parser.feed(json.dumps(delta(arguments=": 1}")).encode())
    (call,) = parser.finish()
    assert (call.id, call.name, call.arguments()) == ("c1", "add", {"a": 1})
    assert parser.finish() == []


def test_no_arguments_are_an_empty_dict_and_broken_ones_an_error():
    parser = ToolCallParser(Provider.openai())
    parser.feed(delta(name="now", arguments=""))
    (call,) = parser.finish()
    assert call.arguments() == {}
    parser.feed(delta(name="now", arguments='{"a":'))
    (call,) = parser.finish()
    assert call.arguments_raw == '{"a":'
    with pytest.raises(ValueError, match="the arguments of now are not JSON"):
        call.arguments()


def test_what_is_no_delta_is_refused():
    parser = ToolCallParser(Provider.openai())
    with pytest.raises(AgentError):
        parser.feed("no json")
    with pytest.raises(ValueError, match="UTF-8"):
        parser.feed(b"\xff")
    with pytest.raises(AgentError):
        parser.feed_sse(b'data: {"choices": \xff}\n\n')


def test_an_unknown_provider_is_refused():
    with pytest.raises(AgentError, match="mystery"):
        Provider("mystery")
    assert Provider("openai").name == "openai"
    assert Provider("openai") == Provider.openai()
