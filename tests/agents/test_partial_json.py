"""JSON that arrives in pieces: the value after each piece, the changes, and what is refused."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomr_agents import AgentError, PartialJson
from atomr_agents.parser import Change, PartialJsonError

DOCUMENT = (
    '{"city": "Oslo \\u00e9\\ud83d\\ude00", "days": [1, -2.5e3, true, null, {"deep": []}], "n": 18446744073709551615}'
)


def told(change: Change) -> tuple[Any, ...]:
    what = {"started": change.shape, "grew": change.piece}.get(change.kind, change.value)
    return (change.kind, change.path, what)


def test_changes_say_what_became_known():
    parser = PartialJson()
    assert [told(change) for change in parser.feed('{"a": ["x')] == [
        ("started", (), "object"),
        ("started", ("a",), "array"),
        ("started", ("a", 0), "string"),
        ("grew", ("a", 0), "x"),
    ]
    assert parser.feed("") == []
    assert [told(change) for change in parser.feed('y\\n", 1')] == [
        ("grew", ("a", 0), "y\n"),
        ("finished", ("a", 0), "xy\n"),
    ]
    assert [told(change) for change in parser.feed("0, fals")] == [("scalar", ("a", 1), 10)]
    assert [told(change) for change in parser.feed("e]}")] == [
        ("scalar", ("a", 2), False),
        ("finished", ("a",), ["xy\n", 10, False]),
        ("finished", (), {"a": ["xy\n", 10, False]}),
    ]
    assert parser.complete
    assert parser.finish() == {"a": ["xy\n", 10, False]}


def test_the_fields_that_a_kind_has_not_are_empty():
    (started, text, grew) = PartialJson().feed('["a')
    assert (started.piece, started.value, text.value) == ("", None, None)
    assert (grew.shape, grew.value) == (None, None)
    assert repr(grew) == "Change(\"grew\", (0,), 'a')"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("method", ["feed", "update"])
def test_any_cut_gives_the_value_that_json_gives(size: int, method: str):
    parser = PartialJson()
    for at in range(0, len(DOCUMENT), size):
        getattr(parser, method)(DOCUMENT[at : at + size])
        assert parser.snapshot() == parser.value
    assert parser.finish() == json.loads(DOCUMENT)
    assert json.dumps(parser.value) == json.dumps(json.loads(DOCUMENT))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def is_prefix(part: Any, whole: Any) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        return whole.startswith(part)
    if isinstance(whole, list) and isinstance(part, list):
        return len(part) <= len(whole) and all(map(is_prefix, part, whole))
    if isinstance(whole, dict) and isinstance(part, dict):
        return list(part) == list(whole)[: len(part)] and all(is_prefix(part[key], whole[key]) for key in part)
    return type(part) is type(whole) and part == whole


@given(JSON, st.booleans(), st.integers(1, 9), st.sampled_from(["feed", "update"]))
def test_every_prefix_shows_a_prefix_of_the_value(value: Any, escaped: bool, size: int, method: str):
    text = json.dumps(value, ensure_ascii=escaped)
    parser = PartialJson()
    for at in range(0, len(text), size):
        getattr(parser, method)(text[at : at + size])
        if parser.value is not None:
            assert is_prefix(parser.value, value)
    assert parser.finish() == value


def test_the_value_is_live_and_a_snapshot_is_not():
    parser = PartialJson()
    assert parser.value is None
    assert parser.snapshot() is None
    parser.update('{"a": [{"b": 1}, "x')
    live, kept = parser.value, parser.snapshot()
    assert live is parser.value
    parser.update('y"], "c": 2}')
    assert live == {"a": [{"b": 1}, "xy"], "c": 2}
    assert kept == {"a": [{"b": 1}, "x"]}
    kept["a"][0]["b"] = 7
    assert parser.finish() is live
    assert live["a"][0] == {"b": 1}


def test_what_a_user_does_to_the_live_value_breaks_nothing():
    parser = PartialJson()
    parser.update('{"a": ["x')
    value = parser.value
    value["a"].clear()
    value["self"] = value
    with pytest.raises(RecursionError):
        parser.snapshot()
    with pytest.raises(IndexError):
        parser.update('y", 1]}')


def test_a_repeated_key_has_its_last_value_at_its_first_place():
    text = '{"a": [1], "b": 2, "a": "x'
    parser = PartialJson()
    parser.update(text)
    assert list(parser.value.items()) == [("a", "x"), ("b", 2)]
    parser.update('y"}')
    assert list(parser.finish().items()) == [("a", "xy"), ("b", 2)]


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ('{"a": 1, x}', 9, "expected a key in quotes, found 'x'"),
        ("[1] 2", 4, "expected the end of the text"),
        ("[18446744073709551616]", 1, "does not fit into 64 bits"),
        ("[1e999, 1]", 1, "out of range"),
        ("[NaN]", 1, "expected a value"),
        ('["\\ud800"]', 8, "surrogate pair"),
        ("[" * 128, 127, "deeper than 127"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, offset: int, words: str):
    parser = PartialJson()
    with pytest.raises(PartialJsonError, match=words) as caught:
        parser.update(text)
    assert (caught.value.offset, caught.value.incomplete, caught.value.kind) == (offset, False, "protocol")
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, AgentError)
    assert str(copy.copy(caught.value)) == str(caught.value)
    with pytest.raises(PartialJsonError, match=words):
        parser.feed(" ")
    assert not parser.complete


def test_what_came_before_an_error_stays_known():
    parser = PartialJson()
    with pytest.raises(PartialJsonError):
        parser.feed('{"a": "b", "c": "d\x01')
    assert parser.value == {"a": "b", "c": "d"}


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', '"x', "tru", "-"])
def test_a_cut_text_is_incomplete_and_may_go_on(text: str):
    parser = PartialJson()
    parser.update(text)
    with pytest.raises(PartialJsonError) as caught:
        parser.finish()
    assert (caught.value.incomplete, caught.value.offset) == (True, len(text))


def test_a_number_on_its_own_is_known_at_the_end():
    parser = PartialJson()
    parser.update("12")
    assert parser.value is None and not parser.complete
    assert parser.finish() == 12
    assert parser.complete


def test_limits_can_be_set():
    parser = PartialJson(max_depth=1, max_bytes=8)
    with pytest.raises(PartialJsonError, match="deeper than 1 level"):
        parser.update("[[")
    parser = PartialJson(max_bytes=8)
    parser.update("[1, 2, 3")
    with pytest.raises(PartialJsonError, match="longer than 8 bytes") as caught:
        parser.update("]")
    assert caught.value.offset is None


def test_only_text_is_taken():
    with pytest.raises(TypeError):
        PartialJson().feed(b"{}")  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        PartialJson().feed('"\ud800"')
