"""Schemas from signatures, and arguments back into Python values."""

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import math
import pathlib
import subprocess
import sys
import threading
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
)

import jsonschema
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomr_agents._docstring import parse
from atomr_agents._schema import describe, schema_of
from atomr_agents.errors import AgentError, ArgumentError, SchemaError

SOURCE = pathlib.Path(__file__).parents[2] / "python" / "atomr_agents"
Deps = TypeVar("Deps")
T = TypeVar("T")


class RunContext(Generic[Deps]):
    """Stands in for the package's own: it is known by its name and package."""


RunContext.__module__ = "atomr_agents.agent"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Point:
    """A place on the plane.

    Attributes:
        x: To the right.
    """

    x: int
    y: int = 0


@dataclasses.dataclass
class Tree:
    value: int
    children: list["Tree"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Line:
    start: Point
    end: Point


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    spare: list[T]


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Released(Movie, total=False):
    on: dt.date


class Node(TypedDict):
    name: str
    next: Optional["Node"]


class Pair(NamedTuple):
    """Two things.

    Args:
        left: The first.
    """

    left: int
    right: dt.date = dt.date(2020, 1, 1)


class Order(pydantic.BaseModel):
    number: int = pydantic.Field(ge=1, description="As on the receipt.")
    placed: dt.datetime
    lines: list["OrderLine"] = []


class OrderLine(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    article: str
    day: dt.date


@pydantic.dataclasses.dataclass
class Checked:
    count: int = pydantic.Field(gt=0)


class Shelf(msgspec.Struct):
    books: list["Book"]
    opened: dt.date | None = None


class Book(msgspec.Struct):
    title: str


UserId = NewType("UserId", str)


def valid(schema, value):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(value)


def one(annotation):
    """The schema and decoder of a tool's only parameter."""

    def tool(value): ...

    tool.__annotations__ = {"value": annotation}
    signature = describe(tool)
    schema = dict(signature.schema["properties"]["value"])
    if "$defs" in signature.schema:
        schema["$defs"] = signature.schema["$defs"]
    return schema, lambda value: signature.decode({"value": value})["value"]


# --- the signature ---


def test_a_signature_becomes_a_closed_object():
    async def forecast(city: str, unit: Literal["C", "F"] = "C", days: int | None = None) -> str:
        """Tomorrow's weather.

        Longer words about it.

        Args:
            city: City name.
            days: How many days,
                from today.
        """

    signature = describe(forecast)
    assert signature.name == "forecast"
    assert signature.description == "Tomorrow's weather.\n\nLonger words about it."
    assert signature.schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City name."},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            "days": {
                "anyOf": [{"type": "integer"}, {"type": "null"}],
                "description": "How many days, from today.",
                "default": None,
            },
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert not signature.takes_context


def test_no_parameters_is_an_empty_closed_object():
    def now() -> str: ...

    assert describe(now).schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert describe(now).description == ""


def test_name_and_description_can_be_given():
    def f(): ...

    signature = describe(f, name="search", description="Finds.")
    assert (signature.name, signature.description) == ("search", "Finds.")
    assert describe(f, description="").description == ""
    with pytest.raises(SchemaError, match="tool `search`"):
        describe(lambda x: x, name="search")


def test_plain_arguments_are_the_same_dict():
    def f(a: int, b: list[dict[str, float]], c: Literal["x"] | None, d: Any, e: UserId, g: Movie): ...

    arguments = {"a": 1, "b": [{"x": 1.5}], "c": None, "d": [1], "e": "u", "g": {"title": "t"}}
    signature = describe(f)
    # A TypedDict is a plain dict; its decoder only guards the keys.
    assert signature.decode(arguments) == arguments

    def g(a: float, b: list[dict[str, float]], c: Literal["x"] | None, d: Any, e: UserId): ...

    assert describe(g).plain
    assert describe(g).decode(arguments) is arguments


def test_what_json_schema_calls_an_integer_becomes_one():
    def f(a: int, b: int | None, c: list[int], d: int | float, e: dict[str, int], f: int | str, g: float): ...

    given = {"a": 1.0, "b": 1e3, "c": [2.0, 3], "d": 4.0, "e": {"x": 5.0}, "f": 6.0, "g": 7.0}
    decoded = describe(f).decode(given)
    assert decoded == given
    assert repr(decoded) == "{'a': 1, 'b': 1000, 'c': [2, 3], 'd': 4.0, 'e': {'x': 5}, 'f': 6, 'g': 7.0}"
    assert describe(f).decode({"a": 2**63 - 1})["a"] == 2**63 - 1


def test_decoding_leaves_the_given_dict_alone_and_fills_in_nothing():
    def f(day: dt.date, other: dt.date = dt.date(2000, 1, 1)): ...

    given_arguments = {"day": "2024-02-29"}
    assert describe(f).decode(given_arguments) == {"day": dt.date(2024, 2, 29)}
    assert given_arguments == {"day": "2024-02-29"}


@pytest.mark.parametrize("annotation", [RunContext, RunContext[int], "RunContext[int]", "RunContext"])
def test_the_context_is_the_first_parameter_and_no_property(annotation):
    def f(ctx, city: str): ...

    f.__annotations__["ctx"] = annotation
    signature = describe(f)
    assert signature.takes_context
    assert list(signature.schema["properties"]) == ["city"]


def test_the_context_of_another_package_is_no_context():
    other = type("RunContext", (), {"__module__": "elsewhere"})

    def f(ctx: other): ...

    with pytest.raises(SchemaError, match="`ctx`"):
        describe(f)


def test_the_context_in_second_place_is_refused():
    def f(city: str, ctx: RunContext[int]): ...

    with pytest.raises(SchemaError, match=r"tool `f`, parameter `ctx`.*must be the first"):
        describe(f)


def test_methods_instances_partials_and_wrapped_functions():
    class Weather:
        """About the class."""

        def method(self, city: str) -> str:
            """About the method."""

        def __call__(self, day: dt.date) -> str:
            """About the call."""

        @classmethod
        def build(cls, size: int): ...

        @staticmethod
        def still(flag: bool): ...

    def properties(fn):
        return list(describe(fn).schema["properties"])

    assert properties(Weather().method) == ["city"]
    assert describe(Weather().method).description == "About the method."
    assert properties(Weather()) == ["day"]
    assert describe(Weather()).name == "Weather"
    assert describe(Weather()).description == "About the call."
    Weather.__call__.__doc__ = None
    assert describe(Weather()).description == "About the class."
    assert properties(Weather.build) == ["size"]
    assert properties(Weather.still) == ["flag"]

    def base(a: int, b: "dt.date", c: str = "x"):
        """The base."""

    partial = functools.partial(base, 1, c="y")
    assert describe(partial).name == "base"
    assert describe(partial).description == "The base."
    assert describe(partial).schema["properties"] == {
        "b": {"type": "string", "format": "date"},
        "c": {"type": "string", "default": "y"},
    }

    @functools.wraps(base)
    def wrapper(*args, **kwargs): ...

    assert properties(wrapper) == ["a", "b", "c"]
    assert describe(wrapper).description == "The base."


def test_names_of_a_closure_and_of_the_calling_function_are_found():
    @dataclasses.dataclass
    class Local:
        at: "Inner"

    @dataclasses.dataclass
    class Inner:
        x: int

    def f(value: "Local", kept: "list[Inner]"):
        return Inner

    assert describe(f).decode({"value": {"at": {"x": 1}}, "kept": []})["value"] == Local(Inner(1))


# --- refusals: each names the function, the parameter, the annotation, and what to do ---


def unannotated(a: int, b): ...


def positional(a: int, /): ...


def star(*args: int): ...


def kwargs(**options: int): ...


def function(a: Callable[[], int]): ...


def unknown(a: "Missing"): ...  # noqa: F821


def broken(a: "list["): ...  # noqa: F722


def variable(a: T): ...


def keys(a: dict[float, int]): ...


def thread(a: threading.Thread): ...


def deep(a: list[dict[str, complex]]): ...


class Odd(enum.Enum):
    A = (1, 2)


def odd(a: Odd): ...


@dataclasses.dataclass
class Initial:
    a: dataclasses.InitVar[int]


def initial(a: Initial): ...


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (unannotated, ["`unannotated`", "parameter `b`", "no annotation"]),
        (positional, ["`positional`", "`a`", "remove the `/`"]),
        (star, ["`star`", "`*args`", "name them"]),
        (kwargs, ["`kwargs`", "`**options`", "name them"]),
        (function, ["`function`", "`a`", "Callable[[], int]", "use a dataclass"]),
        (unknown, ["`unknown`", "`a`", "`Missing` is not defined", "TYPE_CHECKING"]),
        (broken, ["`broken`", "`a`", "cannot be evaluated"]),
        (variable, ["`variable`", "`a`", "~T", "write the type"]),
        (keys, ["`keys`", "`a`", "dict[float, int]", "keys of a JSON object are text"]),
        (thread, ["`thread`", "`a`", "threading.Thread"]),
        (deep, ["`deep`", "`a`", "complex"]),
        (odd, ["`odd`", "`a`", "Odd", "Enum"]),
        (initial, ["`initial`", "`a`", "Initial", "InitVar"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_a_tool_is_refused_by_name(fn, words):
    with pytest.raises(SchemaError) as caught:
        describe(fn)
    assert isinstance(caught.value, AgentError)
    assert isinstance(caught.value, TypeError)
    for word in words:
        assert word in str(caught.value)


# --- types ---


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (list, {"type": "array"}),
        (dict, {"type": "object", "additionalProperties": True}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (tuple[()], {"type": "array", "minItems": 0, "maxItems": 0}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (int | Any, {}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Literal[True, False], {"type": "boolean", "enum": [True, False]}),
        (Color, {"type": "string", "enum": ["red", "blue"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (UserId, {"type": "string"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (Annotated[int, "How many."], {"type": "integer", "description": "How many."}),
        (
            Annotated[int, pydantic.Field(ge=1, lt=9, description="Few.")],
            {"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "description": "Few."},
        ),
        (Annotated[str, pydantic.Field(max_length=3)], {"type": "string", "maxLength": 3}),
        (
            Annotated[list[int], pydantic.Field(min_length=1)],
            {"type": "array", "items": {"type": "integer"}, "minItems": 1},
        ),
        (
            dict[int, str],
            {
                "type": "object",
                "propertyNames": {"pattern": "^-?[0-9]+$"},
                "additionalProperties": {"type": "string"},
            },
        ),
    ],
    ids=str,
)
def test_schema_of_a_type(annotation, schema):
    assert one(annotation)[0] == schema
    jsonschema.Draft202012Validator.check_schema(schema)


def test_descriptions_of_annotations_win_over_the_docstring():
    def f(a: Annotated[int, "From the hint."], b: int):
        """F.

        Args:
            a: From the docstring.
            b: From the docstring.
        """

    properties = describe(f).schema["properties"]
    assert properties["a"]["description"] == "From the hint."
    assert properties["b"]["description"] == "From the docstring."


def test_a_dataclass_is_described_by_its_own_docstring():
    schema, decode = schema_of(Point)
    assert schema == {
        "type": "object",
        "description": "A place on the plane.",
        "properties": {
            "x": {"type": "integer", "description": "To the right."},
            "y": {"type": "integer", "default": 0},
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    assert decode({"x": 3}) == Point(3)
    assert "description" not in schema_of(Line)[0]


def test_a_type_used_twice_is_defined_once_and_one_used_once_stands_in_place():
    schema, decode = schema_of(Line)
    assert schema["properties"] == {"start": {"$ref": "#/$defs/Point"}, "end": {"$ref": "#/$defs/Point"}}
    assert list(schema["$defs"]) == ["Point"]
    assert decode({"start": {"x": 1}, "end": {"x": 2, "y": 3}}) == Line(Point(1), Point(2, 3))
    assert "$defs" not in schema_of(list[Point])[0]


def test_recursion_ends_in_a_reference():
    schema, decode = schema_of(Tree)
    value = {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}
    assert valid(schema, value)
    assert not valid(schema, {"value": 1, "children": [{"value": "2"}]})
    assert decode(value) == Tree(1, [Tree(2, [Tree(3)])])
    schema, decode = schema_of(Node)
    assert valid(schema, {"name": "a", "next": {"name": "b", "next": None}})
    assert decode({"name": "a", "next": None}) == {"name": "a", "next": None}


def test_a_generic_dataclass_takes_its_argument():
    schema, decode = schema_of(Box[dt.date])
    assert decode({"item": "2024-01-02", "spare": ["2024-01-03"]}) == Box(dt.date(2024, 1, 2), [dt.date(2024, 1, 3)])
    assert not valid(schema, {"item": 1, "spare": []})
    both, _ = schema_of(tuple[Box[int], Box[str]])
    assert valid(both, [{"item": 1, "spare": []}, {"item": "x", "spare": []}])
    assert not valid(both, [{"item": "x", "spare": []}, {"item": "x", "spare": []}])


def test_two_types_of_one_name_stay_apart():
    one_point = dataclasses.make_dataclass("Point", [("z", str)])
    schema, decode = schema_of(tuple[Point, Point, one_point, one_point])
    value = [{"x": 1}, {"x": 2}, {"z": "a"}, {"z": "b"}]
    assert valid(schema, value)
    assert not valid(schema, [*value[:2], {"x": 1}, {"z": "b"}])
    assert decode(value) == (Point(1), Point(2), one_point("a"), one_point("b"))


def test_a_typed_dict_knows_what_may_be_left_out():
    schema, decode = schema_of(Released)
    assert schema["required"] == ["title"]
    assert decode({"title": "M", "on": "1931-05-11"}) == {"title": "M", "on": dt.date(1931, 5, 11)}
    postponed = {}
    exec(
        "from __future__ import annotations\n"
        "from typing import NotRequired, TypedDict\n"
        "class Late(TypedDict):\n    a: int\n    b: NotRequired[int]\n",
        module_globals := {"__name__": "late"},
    )
    sys.modules["late"] = types.SimpleNamespace(**module_globals)
    try:
        postponed = schema_of(module_globals["Late"])[0]
    finally:
        del sys.modules["late"]
    assert postponed["required"] == ["a"]


def test_a_named_tuple_is_an_object():
    schema, decode = schema_of(Pair)
    assert schema["properties"]["left"] == {"type": "integer", "description": "The first."}
    assert schema["properties"]["right"]["default"] == "2020-01-01"
    assert decode({"left": 1}) == Pair(1)


def test_a_dataclass_that_refuses_its_values_says_where():
    @dataclasses.dataclass
    class Positive:
        n: int

        def __post_init__(self):
            if self.n < 1:
                raise ValueError("n must be positive")

    def f(items: list[Positive]): ...

    with pytest.raises(ArgumentError, match=r"^items\[1\]: n must be positive$"):
        describe(f).decode({"items": [{"n": 1}, {"n": 0}]})


# --- unions ---


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    lives: int = 9


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    lives: int = 1


@pytest.mark.parametrize(
    ("annotation", "wire", "value"),
    [
        (Cat | Dog, {"kind": "dog"}, Dog("dog")),
        (Cat | Dog, {"kind": "cat", "lives": 3}, Cat("cat", 3)),
        (str | dt.date, "2024-02-03", dt.date(2024, 2, 3)),
        (str | dt.date, "tomorrow", "tomorrow"),
        (dt.datetime | dt.date, "2024-02-03", dt.date(2024, 2, 3)),
        (dt.datetime | dt.date, "2024-02-03T04:05:06", dt.datetime(2024, 2, 3, 4, 5, 6)),
        (float | int, 3, 3),
        (bool | int, True, True),
        (int | bool, True, True),
        (bytes | None, "", b""),
        (Color | str, "red", Color.RED),
        (Color | str, "green", "green"),
        (list[dt.date] | list[str], ["a"], ["a"]),
        (list[str] | list[dt.date], ["2024-01-01"], ["2024-01-01"]),
        (decimal.Decimal | None, None, None),
        (Movie | Point, {"x": 1}, Point(1)),
        (Movie | Point, {"title": "M"}, {"title": "M"}),
        (Order | Point, {"x": 1}, Point(1)),
        (Any | dt.date, "2024-01-01", dt.date(2024, 1, 1)),
        (tuple[int, str] | tuple[int, int], [1, 2], (1, 2)),
        (dict[str, int] | Point, {"q": 1}, {"q": 1}),
        (Literal[1] | bool, True, True),
    ],
    ids=str,
)
def test_a_union_is_told_apart_by_shape(annotation, wire, value):
    schema, decode = one(annotation)
    assert valid(schema, wire)
    decoded = decode(wire)
    assert decoded == value
    assert type(decoded) is type(value)


def test_a_value_that_fits_no_member_says_where():
    def f(pet: list[Cat | Dog]): ...

    with pytest.raises(ArgumentError, match=r"^pet\[0\]: fits none"):
        describe(f).decode({"pet": [{"kind": "cow"}]})


# --- values that the schema lets through, or that nobody checked ---


@pytest.mark.parametrize(
    ("annotation", "wire"),
    [
        (dt.date, "soon"),
        (dt.date, 3),
        (dt.datetime, "2024-13-01T00:00:00"),
        (dt.time, "25:00"),
        (uuid.UUID, "x"),
        (uuid.UUID, 3),
        (decimal.Decimal, "1,5"),
        (decimal.Decimal, [1]),
        (bytes, "not base64!"),
        (bytes, 3),
        (Path, 3),
        (Color, "green"),
        (Level, True),
        (Color, ["red"]),
        (tuple[int, str], [1]),
        (tuple[int, str], "ab"),
        (set[str], "ab"),
        (set[Any], [[1]]),
        (dict[int, str], {"a": "x"}),
        (dict[dt.date, str], []),
        (Point, {"y": 1}),
        (Point, {"x": 1, "z": 2}),
        (Point, [1, 2]),
        (Order, {"number": 0, "placed": "2024-01-01T00:00:00"}),
        (Shelf, {"books": [{"title": 3}]}),
        (Checked, {"count": 0}),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_names_its_parameter(annotation, wire):
    with pytest.raises(ArgumentError, match=r"^value"):
        one(annotation)[1](wire)


# --- models of other packages ---


def samples_agree(ours, theirs, samples):
    for sample in samples:
        assert valid(ours, sample) == valid(theirs, sample), sample


def test_a_pydantic_model_says_what_pydantic_says():
    schema, decode = schema_of(Order)
    good = {"number": 1, "placed": "2024-01-02T03:04:05Z", "lines": [{"article": "a", "day": "2024-01-02"}]}
    samples_agree(
        schema,
        Order.model_json_schema(),
        [good, {}, {**good, "number": 0}, {**good, "lines": [{"article": 1}]}, {**good, "lines": None}],
    )
    order = decode(good)
    assert isinstance(order, Order)
    # A strict model takes a date as text, as it does from JSON.
    assert order.lines[0].day == dt.date(2024, 1, 2)


def test_models_inside_other_types_and_their_definitions():
    def f(orders: list[Order], again: Order, shelf: Shelf, checked: Checked | None = None): ...

    signature = describe(f)
    order = {"number": 1, "placed": "2024-01-02T03:04:05Z", "lines": [{"article": "a", "day": "2024-01-02"}]}
    arguments = {
        "orders": [order],
        "again": order,
        "shelf": {"books": [{"title": "T"}]},
        "checked": {"count": 2},
    }
    assert valid(signature.schema, arguments)
    bad = json.loads(json.dumps(arguments))
    bad["orders"][0]["lines"][0]["article"] = 5
    assert not valid(signature.schema, bad)
    decoded = signature.decode(arguments)
    assert decoded["again"] == decoded["orders"][0] == Order.model_validate_json(json.dumps(order))
    assert decoded["shelf"] == Shelf([Book("T")])
    assert decoded["checked"] == Checked(2)


def test_a_recursive_pydantic_model():
    schema, decode = schema_of(Branch)
    assert valid(schema, {"twigs": [{"twigs": []}]})
    assert not valid(schema, {"twigs": [{"twigs": 1}]})
    assert decode({"twigs": [{"twigs": []}]}) == Branch(twigs=[Branch(twigs=[])])


class Branch(pydantic.BaseModel):
    twigs: list["Branch"]


def test_a_msgspec_struct_says_what_msgspec_says():
    schema, decode = schema_of(Shelf)
    samples = [{"books": []}, {}, {"books": [{"title": "a"}]}, {"books": [{}]}, {"books": [], "opened": 3}]
    samples_agree(schema, msgspec.json.schema(Shelf), samples)
    assert decode({"books": [{"title": "a"}], "opened": "2024-01-02"}) == Shelf([Book("a")], dt.date(2024, 1, 2))


# --- output types ---


def test_a_json_schema_passes_through():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    passed, decode = schema_of(schema)
    assert passed is schema
    assert decode(value := {"a": 1}) is value


def test_an_output_type_that_has_no_schema_is_refused():
    with pytest.raises(SchemaError, match=r"^output type, `threading\.Thread`: .*use a dataclass"):
        schema_of(threading.Thread)


def test_an_output_that_does_not_fit_says_where():
    with pytest.raises(ArgumentError, match=r"^output\[0\]\.spare\[1\]: Invalid isoformat"):
        schema_of(list[Box[dt.date]])[1]([{"item": "2024-01-01", "spare": ["2024-01-01", "x"]}])


# --- defaults ---


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (Color.RED, "red"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (decimal.Decimal("1.50"), "1.50"),
        (Path("a"), "a"),
        ((1, 2), [1, 2]),
        ([{"a": None}], [{"a": None}]),
        (1.5, 1.5),
        (math.inf, None),
        (object(), None),
        ({1: 2}, None),
        ([object()], None),
    ],
    ids=str,
)
def test_a_default_is_told_where_json_has_a_word_for_it(default, expected):
    def f(a: Any = default): ...

    assert describe(f).schema["properties"]["a"] == ({} if expected is None else {"default": expected})
    assert "required" not in describe(f).schema


# --- docstrings ---

GOOGLE = """Finds a book.

    Looks everywhere.

    Args:
        title (str, optional): The title: in full.
        *rest: More
            lines.

            And a paragraph.
        limit: At most this many.

    Returns:
        The book.
    """
NUMPY = """Finds a book.

    Looks everywhere.

    Parameters
    ----------
    title : str, optional
        The title: in full.
    rest
        More
        lines.

        And a paragraph.
    limit, other : int
        At most this many.

    Returns
    -------
    Book
        The book.
    """
SPHINX = """Finds a book.

    Looks everywhere.

    :param str title: The title: in full.
    :type title: str
    :param rest: More
        lines.
        And a paragraph.
    :param limit: At most this many.
    :returns: The book.
    """


@pytest.mark.parametrize(
    ("doc", "rest"),
    [
        (GOOGLE, "\n\nReturns:\n    The book."),
        (NUMPY, "\n\nReturns\n-------\nBook\n    The book."),
        (SPHINX, "\n\n:returns: The book."),
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_three_styles_say_the_same(doc, rest):
    text, names = parse(doc)
    assert text == "Finds a book.\n\nLooks everywhere." + rest
    names.pop("other", None)
    assert names == {
        "title": "The title: in full.",
        "rest": "More lines. And a paragraph.",
        "limit": "At most this many.",
    }


@pytest.mark.parametrize("doc", [None, "", "  \n ", "Args:", "Args:\n", ":param", "Parameters\n---", ":", "Args:\n  :"])
def test_odd_docstrings_do_no_harm(doc):
    assert isinstance(parse(doc)[0], str)


@given(st.text(alphabet=":-_ \n\tAargsx(*)P", max_size=60))
def test_any_docstring_is_read(doc):
    text, names = parse(doc)
    assert text == text.strip()
    assert all(name.isidentifier() for name in names if name)


# --- round trips ---


def to_wire(value):
    """Python values as a model would write them."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: to_wire(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_wire(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_wire(each) for each in value]
    if isinstance(value, dict):
        return {str(to_wire(key)): to_wire(each) for key, each in value.items()}
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (uuid.UUID, decimal.Decimal, Path)):
        return str(value)
    return value


TEXT = st.text(max_size=8)
HASHABLE = [
    (str, TEXT),
    (int, st.integers()),
    (bool, st.booleans()),
    (dt.date, st.dates()),
    (
        dt.datetime,
        st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=-3.5))])),
    ),
    (dt.time, st.times()),
    (uuid.UUID, st.uuids()),
    (bytes, st.binary(max_size=8)),
    (Path, st.text(alphabet="ab/.", min_size=1, max_size=6).map(Path)),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Literal["a", 2, None], st.sampled_from(["a", 2, None])),
    (Pair, st.builds(Pair, st.integers(), st.dates())),
]
LEAVES = [
    *HASHABLE,
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (type(None), st.none()),
    (Any, st.none() | st.booleans() | TEXT | st.lists(st.integers(), max_size=2)),
    (Point, st.builds(Point, st.integers(), st.integers())),
    (
        Tree,
        st.recursive(st.builds(Tree, st.integers()), lambda t: st.builds(Tree, st.integers(), st.lists(t, max_size=2))),
    ),
    (Movie, st.fixed_dictionaries({"title": TEXT}, optional={"year": st.integers()})),
    (Box[dt.date], st.builds(Box, st.dates(), st.lists(st.dates(), max_size=2))),
]


def containers(children):
    """From a strategy for (type, strategy of its values) to one for containers of such."""
    return st.one_of(
        children.map(lambda c: (list[c[0]], st.lists(c[1], max_size=3))),
        children.map(lambda c: (tuple[c[0], ...], st.lists(c[1], max_size=3).map(tuple))),
        children.map(lambda c: (dict[str, c[0]], st.dictionaries(TEXT, c[1], max_size=3))),
        children.map(lambda c: (c[0] | None, st.none() | c[1])),
        st.tuples(children, children).map(lambda cs: (tuple[cs[0][0], cs[1][0]], st.tuples(cs[0][1], cs[1][1]))),
        children.map(lambda c: (Annotated[c[0], "note"], c[1])),
        st.sampled_from(HASHABLE).map(lambda c: (set[c[0]], st.sets(c[1], max_size=3))),
        st.sampled_from(HASHABLE).map(lambda c: (frozenset[c[0]], st.frozensets(c[1], max_size=3))),
        st.tuples(st.sampled_from([HASHABLE[i] for i in (0, 1, 3, 6, 9)]), children).map(
            lambda kc: (dict[kc[0][0], kc[1][0]], st.dictionaries(kc[0][1], kc[1][1], max_size=3))
        ),
    )


TYPES = st.recursive(st.sampled_from(LEAVES), containers, max_leaves=4)


@given(TYPES.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1])))
def test_a_value_comes_back_from_json_as_it_was(pair):
    annotation, value = pair
    schema, decode = one(annotation)
    wire = json.loads(json.dumps(to_wire(value)))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(wire, schema, cls=jsonschema.Draft202012Validator)
    decoded = decode(wire)
    assert decoded == value
    if value is not None and annotation is not Any:
        assert type(decoded) is type(value)


# --- newer Pythons, and weight ---


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="the `type` statement came with Python 3.12")
def test_a_type_alias_may_be_recursive():
    module_globals = {"__name__": __name__}
    exec("type Json = dict[str, Json] | list[Json] | str | None\ntype Two[T] = tuple[T, T]\n", module_globals)
    schema, decode = schema_of(module_globals["Json"])
    assert valid(schema, {"a": ["b", None, {}]})
    assert not valid(schema, {"a": 1})
    assert decode({"a": ["b"]}) == {"a": ["b"]}
    assert schema_of(module_globals["Two"][dt.date])[1](["2024-01-01", "2024-01-02"])[1] == dt.date(2024, 1, 2)


def test_importing_the_module_loads_nothing_heavy():
    script = (
        "import sys, types\n"
        "package = types.ModuleType('atomr_agents'); package.__path__ = [sys.argv[1]]\n"
        "sys.modules['atomr_agents'] = package\n"
        "before = set(sys.modules)\n"
        "import atomr_agents._schema\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    # Without site packages: their start-up hooks may load anything.
    out = subprocess.run([sys.executable, "-IS", "-c", script, str(SOURCE)], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["__future__", "atomr_agents._schema"]
