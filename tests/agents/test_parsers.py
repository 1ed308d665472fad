"""Parsers: what a model wrote becomes a value, or an error with its place."""

import asyncio
import contextlib
import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable as Function
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomr_agents import Agent, Pipeline, guest, parser, repair_model
from atomr_agents.errors import AgentError, ConfigError, ConnectError, ContractError, InvalidOutputError
from atomr_agents.parser import (
    AsyncParser,
    CommaListParser,
    EnumParser,
    JsonParser,
    JsonSchemaParser,
    OutputFixingParser,
    Parser,
    ParserError,
    RepairModel,
    RetryWithErrorParser,
    SchemaParser,
    StreamingPartialJson,
    XmlParser,
    YamlParser,
    parser_from_factory,
    repair_model_from_factory,
)
from atomr_agents.testkit import ScriptedModel

ALL: list[Function[[], Parser[Any]]] = [
    JsonParser,
    lambda: JsonSchemaParser({"type": ["object", "array"]}),
    lambda: SchemaParser(list[int]),
    lambda: EnumParser(["yes", "no"]),
    CommaListParser,
    XmlParser,
    YamlParser,
]

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc\"'`{[é", max_size=4), inner, max_size=4),
    max_leaves=12,
)


# --- json ---


@given(VALUES)
def test_json_is_what_json_reads(value: Any):
    text = json.dumps(value, ensure_ascii=False)
    assert JsonParser().parse(text) == value
    assert JsonParser().parse(json.dumps(value, indent=2)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"n": [1]}',
        'Sure: {"n": [1]}. Bye {',
        'Sure:\n```json\n{"n": [1]}\n```\nBye',
        'See [1]:\n```\n{"n": [1]}',
        'a {b} {"n": [1]} {"n": 2}',
    ],
)
def test_json_is_found_between_words_and_in_fences(text: str):
    assert JsonParser().parse(text) == {"n": [1]}
    assert JsonSchemaParser({"required": ["n"]}).parse(text) == {"n": [1]}


def test_an_integer_is_exact_or_refused():
    assert JsonParser().parse("[18446744073709551615, 1e30]") == [2**64 - 1, 1e30]
    for text in ["18446744073709551616", "so: [-9223372036854775809]"]:
        with pytest.raises(ParserError, match="does not fit into 64 bits"):
            JsonParser().parse(text)
        with pytest.raises(ParserError):
            YamlParser().parse(text.removeprefix("so: "))


# --- schemas and types ---

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["a", "b"]},
        "flag": {"type": "boolean"},
        "sizes": {"type": "array", "items": {"type": "number"}, "minItems": 1},
    },
    "required": ["kind"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"kind": "c"}, "/kind"),
        ({"kind": "a", "flag": "yes"}, "/flag"),
        ({"kind": "a", "sizes": [1, "2"]}, "/sizes/1"),
        ({"kind": "a", "sizes": []}, "/sizes"),
        ({"kind": "a", "more": 1}, ""),
        ({}, ""),
        ([], ""),
        (7, ""),
    ],
)
def test_all_of_a_schema_is_checked_and_each_fault_has_its_place(value: Any, pointer: str):
    checking = JsonSchemaParser(SCHEMA)
    assert checking.parse('{"kind": "b", "flag": true, "sizes": [1, 2.5]}')["sizes"] == [1, 2.5]
    with pytest.raises(ParserError) as caught:
        checking.parse(json.dumps(value))
    assert (caught.value.kind, caught.value.parser) == ("invalid_output", "json_schema")
    assert (caught.value.pointer, caught.value.offset) == (pointer, None)
    assert caught.value.context == json.dumps(value)


def test_every_fault_is_named_and_a_schema_that_is_none_is_refused():
    with pytest.raises(ParserError) as caught:
        JsonSchemaParser({"items": {"type": "string"}}).parse("[1, 2, 3]")
    assert all(f"/{at}: {at + 1} is not of type" in str(caught.value) for at in range(3))
    wrong: list[Any] = [{"type": "strin"}, {"$ref": "https://example.com/s.json"}, 7]
    for schema in wrong:
        with pytest.raises(ConfigError):
            JsonSchemaParser(schema)


@dataclass
class Forecast:
    city: str
    days: int


class Mood(Enum):
    GOOD = "good"
    BAD = "bad"


class Even(pydantic.BaseModel):
    n: int

    @pydantic.field_validator("n")
    @classmethod
    def even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("it is odd")
        return n


def test_a_type_is_checked_and_made():
    assert SchemaParser(Forecast).parse('Here: {"city": "Oslo", "days": 3}') == Forecast("Oslo", 3)
    assert SchemaParser(list[Forecast]).parse('[{"city": "Oslo", "days": 3}]') == [Forecast("Oslo", 3)]
    assert SchemaParser(Mood).parse('"good"') is Mood.GOOD
    assert SchemaParser(Even).parse('{"n": 4}') == Even(n=4)
    wrong: list[tuple[Any, str]] = [
        (Forecast, '{"city": "Oslo", "days": "3"}'),
        (Forecast, '{"city": "Oslo"}'),
        (Mood, '"fair"'),
        (Even, '{"n": 3}'),
        (Literal["a"], '"b"'),
    ]
    for kind, text in wrong:
        with pytest.raises(ParserError) as caught:
            SchemaParser(kind).parse(text)
        assert caught.value.context == text
    with pytest.raises(ParserError, match="odd"):
        SchemaParser(Even).parse('{"n": 3}')


async def test_what_a_type_refuses_is_repaired_and_the_object_comes_out():
    fixing = OutputFixingParser(SchemaParser(Even), lambda original, hint: '{"n": 6}' if "odd" in hint else "")
    assert await fixing.parse('{"n": 3}') == Even(n=6)
    outer = OutputFixingParser(fixing, lambda original, hint: "")
    assert await outer.parse('{"n": 4}') == Even(n=4)


# --- choices, lists, markup ---


def test_one_of_a_few_values():
    mood = EnumParser(["positive", "negative", "very negative"])
    for text in ["positive", " Positive.\n", '"POSITIVE"', "It is positive, I think"]:
        assert mood.parse(text) == "positive"
    assert mood.parse("a very negative one") == "very negative"
    for text in ["", "fair", "positive or negative", "positively"]:
        with pytest.raises(ParserError, match='"positive", "negative", "very negative"'):
            mood.parse(text)
    wrong: list[Any] = [[], [""], ["a", "a"], "abc", [1]]
    for values in wrong:
        with pytest.raises(ConfigError):
            EnumParser(values)


@given(st.lists(st.text("ab ,\"\n\té'", min_size=1).filter(lambda item: item.strip()), min_size=1, max_size=6))
def test_a_list_is_what_csv_reads(items: list[str]):
    class Lines(list[str]):
        def write(self, text: str) -> int:
            self.append(text)
            return len(text)

    lines = Lines()
    csv.writer(lines, quoting=csv.QUOTE_ALL).writerow(items)
    assert CommaListParser().parse("".join(lines)) == items
    plain = [item.strip() for item in items if not set(item) & set(',"\n')]
    assert CommaListParser().parse(", ".join(plain)) == plain


def plain(element: ElementTree.Element) -> Any:
    """What the parser makes of an element."""
    fields: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        value = plain(child)
        if child.tag not in fields:
            fields[child.tag] = value
        elif isinstance(fields[child.tag], list):
            fields[child.tag].append(value)
        else:
            fields[child.tag] = [fields[child.tag], value]
    text = ((element.text or "") + "".join(child.tail or "" for child in element)).strip()
    if not fields:
        return text
    return {**fields, "#text": text} if text else fields


def elements(depth: int) -> st.SearchStrategy[ElementTree.Element]:
    def build(tag: str, attributes: dict[str, str], text: str, children: list[ElementTree.Element]):
        element = ElementTree.Element(tag, attributes)
        element.text = text
        element.extend(children)
        return element

    inner = st.lists(elements(depth - 1), max_size=3) if depth else st.just([])
    letters = st.text("ab <>&'\"é", max_size=4)
    return st.builds(build, st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), letters), letters, inner)


@given(elements(3))
def test_xml_is_what_elementtree_reads(element: ElementTree.Element):
    text = ElementTree.tostring(element, encoding="unicode")
    expected = {element.tag: plain(ElementTree.fromstring(text))}
    assert XmlParser().parse(text) == expected
    assert XmlParser().parse(f"Here it is, 1 < 2:\n```xml\n{text}\n```") == expected


@pytest.mark.parametrize(
    "text", ["<a>", "<a></b>", "<a b></a>", "<a b=c/>", "<a>&nbsp;</a>", "<a>AT&T</a>", "<a b='1' b='2'/>", "words"]
)
def test_what_elementtree_refuses_is_refused(text: str):
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(text)
    with pytest.raises(ParserError):
        XmlParser().parse(text)


def test_an_element_is_found_by_its_name():
    assert XmlParser("answer").parse("<thinking>a < b</thinking> <answer>42</answer>") == {"answer": "42"}
    with pytest.raises(ParserError, match="no element <answer>"):
        XmlParser("answer").parse("<answers/>")
    with pytest.raises(ParserError, match="more than 1 elements"):
        XmlParser(max_depth=1).parse("<a><b/></a>")
    wrong: list[dict[str, Any]] = [{"element": " "}, {"max_depth": 0}, {"max_bytes": "1"}]
    for settings in wrong:
        with pytest.raises(ConfigError):
            XmlParser(**settings)


@given(VALUES)
def test_json_is_yaml(value: Any):
    assert YamlParser().parse(json.dumps(value)) == value


def test_yaml_has_real_values():
    text = """
country: no
numbers: [1, -2.5, 0x10]
nested:
  - {rain: true, wind: null}
  - |
    two
    lines
base: &base {x: 1}
other:
  <<: *base
  y: ~
"""
    expected = {
        "country": "no",
        "numbers": [1, -2.5, 16],
        "nested": [{"rain": True, "wind": None}, "two\nlines\n"],
        "base": {"x": 1},
        "other": {"x": 1, "y": None},
    }
    assert YamlParser().parse(text) == expected
    assert YamlParser().parse(f"Of course: it is\n```yaml{text}```\nBye: now") == expected
    for wrong in ["a: 1\na: 2", "a: .nan", "a: [1", "a: *b", "", "a: 1\n---\nb: 2"]:
        with pytest.raises(ParserError):
            YamlParser().parse(wrong)


LAUGHS = "a0: &a0 lol\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "aliases": LAUGHS,
    "entities": f'<!DOCTYPE a [<!ENTITY e0 "lol">{ENTITIES}]><a>&e11;</a>',
    "external": '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
    "lists": "[" * 100_000,
    "objects": '{"a":' * 100_000,
    "elements": "<a>" * 100_000,
    "braces": "{" * 2_000_000,
    "tags": "<" * 2_000_000,
    "dashes": "- " * 100_000,
    "fences": "```" * 200_000,
    "quotes": '"' * 200_001,
    "escapes": "\\" * 200_000 + '"',
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end_with_an_error(make: Function[[], Parser[Any]], bomb: str):
    reading = make()
    # A list between commas may hold anything, and tags are a text in YAML; it must only end.
    texts = ("elements", "entities", "external", "escapes", "quotes")
    if isinstance(reading, CommaListParser) or (isinstance(reading, YamlParser) and bomb in texts):
        with contextlib.suppress(ParserError):
            assert reading.parse(BOMBS[bomb]) is not None
        return
    with pytest.raises(ParserError) as caught:
        reading.parse(BOMBS[bomb])
    assert len(caught.value.context) <= 200
    assert len(str(caught.value)) < 4_000


@given(st.text() | st.text("{}[]\"':,<>/&;|-#*`\\ \na1"))
def test_no_text_makes_a_parser_fail_otherwise(text: str):
    for make in ALL:
        reading = make()
        try:
            json.dumps(reading.parse(text))
        except ParserError as error:
            place = error.offset or 0
            fits = error.parser and len(error.context) <= 200 and 0 <= place <= len(text.encode())
            if not fits:
                raise


# --- json that is being written ---


def shown(text: str) -> Any:
    return StreamingPartialJson().feed(text)


def test_json_that_is_being_written_shows_what_is_known():
    assert shown("") is None
    assert shown('{"a": [1, 2') == {"a": [1]}
    assert shown('{"a": "b') == {"a": "b"}
    assert shown('{"a": 1,') == {"a": 1}
    assert shown('{"a": tru') == {}
    assert shown(r'{"a": "\\\"') == {"a": '\\"'}
    with pytest.raises(ParserError) as caught:
        shown("{} x")
    assert (caught.value.offset, caught.value.kind) == (3, "invalid_output")


@given(VALUES, st.integers(1, 7))
def test_pieces_give_what_the_whole_gives(value: Any, size: int):
    text = json.dumps(value)
    streaming = StreamingPartialJson({})
    for at in range(0, len(text), size):
        streaming.feed(text[at : at + size])
    assert streaming.finish() == value == streaming.value
    assert streaming.complete


def test_the_end_is_checked_against_the_schema():
    streaming = StreamingPartialJson({"required": ["days"]})
    streaming.feed("{}")
    with pytest.raises(ParserError, match="days"):
        streaming.finish()
    cut = StreamingPartialJson()
    cut.feed('{"a"')
    with pytest.raises(ParserError, match="cut"):
        cut.finish()
    wrong: Any = {"type": "strin"}
    with pytest.raises(ConfigError):
        StreamingPartialJson(wrong)
    with pytest.raises(ParserError, match="longer than 3 bytes"):
        StreamingPartialJson(max_bytes=3).feed("[1, 2]")


# --- repairs ---


async def test_each_repair_that_is_paid_for_is_read():
    for attempts in range(4):
        asked: list[str] = []
        read: list[str] = []

        def reads(text: str, read: list[str] = read) -> Any:
            read.append(text)
            return json.loads(text)

        def repair(original: str, hint: str, asked: list[str] = asked) -> str:
            asked.append(original)
            return f"{original}!"

        fixing = OutputFixingParser(reads, repair, max_attempts=attempts)
        with pytest.raises(json.JSONDecodeError):  # what the user's parser raised
            await fixing.parse("no")
        assert asked == ["no" + "!" * n for n in range(attempts)]
        assert read == ["no" + "!" * n for n in range(attempts + 1)]


async def test_the_last_repair_counts_and_the_error_says_how_many_there_were():
    closing = OutputFixingParser(JsonParser(), lambda original, hint: original + "}", max_attempts=2)
    assert await closing.parse('{"a": {"b": 1') == {"a": {"b": 1}}
    with pytest.raises(ParserError, match="after 2 repairs") as caught:
        await closing.parse('{"a": {"b": {"c": 1')
    assert caught.value.context.endswith('{"c": 1}}')
    with pytest.raises(ParserError) as caught:
        await OutputFixingParser(JsonParser(), lambda original, hint: "1", max_attempts=0).parse("no")
    assert "repairs" not in str(caught.value)
    wrong: Any = -1
    with pytest.raises(ConfigError):
        OutputFixingParser(JsonParser(), "openai:m", max_attempts=wrong)


async def test_a_model_repairs_and_is_told_what_is_wrong():
    model = ScriptedModel().text("never").text("no")
    yes_or_no = EnumParser(["yes", "no"])
    answer = RetryWithErrorParser(yes_or_no, model, "Does it rain in the Sahara?")
    assert await answer.parse("Hardly ever.") == "no"
    first, second = (str(request) for request in model.requests)
    for part in ["Does it rain in the Sahara?", "Hardly ever.", "it is none of", yes_or_no.format_instructions()]:
        assert part in first.replace('\\"', '"'), part
    assert "never" in second
    assert answer.format_instructions() == yes_or_no.format_instructions()


async def test_a_model_that_cannot_be_reached_is_not_asked_again():
    model = ScriptedModel().error("connect", "away").text("[]")
    with pytest.raises(ConnectError):
        await OutputFixingParser(JsonParser(), model).parse("no")
    assert len(model.requests) == 1


async def test_cancelling_ends_a_repair():
    began, ended = asyncio.Event(), asyncio.Event()

    async def slow(original: str, hint: str) -> str:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return original

    task = asyncio.create_task(OutputFixingParser(JsonParser(), slow).parse("no"))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 10)


# --- steps and guests ---


async def test_a_parser_is_a_step_and_its_error_is_that_of_the_step():
    assert await Pipeline.from_(str.lower).then(CommaListParser()).then(len).build().call("A, B") == 2
    assert await Pipeline.from_(SchemaParser(Forecast)).build().call('{"city": "O", "days": 1}') == {
        "city": "O",
        "days": 1,
    }
    fixing = OutputFixingParser(JsonParser(), lambda original, hint: "[7]")
    assert await Pipeline.from_(fixing).then(sum).build().call("no") == 7
    for make in ALL:
        step = make().as_callable("mine")
        assert step.label == "mine"
        with pytest.raises(TypeError):
            await step.call(7)
    with pytest.raises(ParserError) as caught:
        await Pipeline.from_(str.strip).then(JsonParser()).build().call(" no ")
    assert (caught.value.parser, caught.value.offset, caught.value.context) == ("json", 1, "no")
    listing = Pipeline.from_(Agent(ScriptedModel().text("rain, wind"))).then(lambda answer: answer["text"])
    assert await listing.then(CommaListParser()).build().call("?") == ["rain", "wind"]


async def test_parsers_and_repairs_of_ones_own():
    @parser("degrees")
    class Degrees:
        def parse(self, text: str) -> float:
            return float(text.removesuffix("°"))

        def format_instructions(self) -> str:
            return "for example 21.5°"

    @repair_model("words")
    async def words(original: str, hint: str) -> str:
        assert "for example 21.5°" in hint and "could not convert" in hint
        return {"freezing": "0°"}[original]

    degrees = parser_from_factory("degrees")
    assert isinstance(degrees, AsyncParser) and repr(degrees) == "<AsyncParser degrees>"
    assert await degrees.parse("21.5°") == 21.5
    assert degrees.format_instructions() == "for example 21.5°"
    with pytest.raises(ValueError, match="could not convert"):
        await degrees.parse("warm")
    assert await OutputFixingParser(Degrees, words).parse("freezing") == 0
    assert await OutputFixingParser(degrees, repair_model_from_factory("words")).parse("freezing") == 0
    with pytest.raises(KeyError):  # a mistake of the repair's is no wrong text
        await OutputFixingParser(degrees, words).parse("warm")
    assert await repair_model_from_factory("words").repair("freezing", "for example 21.5°, could not convert") == "0°"
    assert guest.list_factories("parser") == ["degrees"]
    with pytest.raises(KeyError, match="degrees"):
        parser_from_factory("nothing")
    with pytest.raises(KeyError, match="words"):
        guest.repair_model_from_factory("nothing")


async def test_what_is_no_wrong_text_is_not_repaired():
    def broken(text: str) -> Any:
        raise TypeError("a mistake")

    def never(original: str, hint: str) -> str:
        raise AssertionError("it is not asked")

    with pytest.raises(TypeError, match="a mistake"):
        await OutputFixingParser(broken, never).parse("x")
    with pytest.raises(ContractError, match="repair_model"):
        await OutputFixingParser(JsonParser(), lambda original, hint: 7).parse("x")  # type: ignore[arg-type, return-value] # pyright: ignore[reportArgumentType]


def test_the_twins_wait_and_refuse_to_block_a_loop():
    fixing = OutputFixingParser(JsonParser(), lambda original, hint: "[]")
    assert fixing.parse_sync("no") == []
    assert RepairModel.of(lambda original, hint: hint).repair_sync("a", "b") == "b"

    async def inside() -> None:
        with pytest.raises(AgentError, match="await parse"):
            fixing.parse_sync("no")

    asyncio.run(inside())


def test_the_module_is_the_decorator_and_the_error_fits_the_tree():
    import atomr_agents
    import atomr_agents.parser as module

    module_: Any = module
    assert module_("mine")(len) is len and guest.target("parser", "mine") is len
    assert callable(atomr_agents.parser) and atomr_agents.parser is module_
    error = ParserError("x")
    assert isinstance(error, (InvalidOutputError, ValueError)) and error.offset is None
    assert ParserError.__module__ == "atomr_agents.parser"
