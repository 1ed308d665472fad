"""Values cross without a text round trip, by one policy."""

import collections
import dataclasses
import datetime
import decimal
import enum
import math
import pathlib
import types
import typing
import uuid

import pytest

from atomr_agents._native import _bridge_test as bt


class Colour(enum.Enum):
    RED = "red"
    DEEP = ("a", 1)


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    pass


class Whole(int):
    pass


class Part(float):
    pass


@dataclasses.dataclass
class Inner:
    n: int


@dataclasses.dataclass
class Outer:
    COUNT: typing.ClassVar[int] = 3
    inner: Inner
    colours: list = dataclasses.field(default_factory=list)
    setup: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    x: int


Point = collections.namedtuple("Point", "x y")

SAME = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**64 - 1, 0.5, -0.0, 1e308, 5e-324, "", "text", "é😀\0", [], {},
    [[[]]], {"a": {"b": [1, 2.5, None, "x", True]}}, list(range(1000)),
]  # fmt: skip

CHANGED = [
    ((1, 2), [1, 2]),
    (Point(1, 2), [1, 2]),
    (Colour.RED, "red"),
    (Colour.DEEP, ["a", 1]),
    (Level.HIGH, 3),
    (Name("n"), "n"),
    (Whole(5), 5),
    (Part(0.5), 0.5),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(int, a=1), {"a": 1}),
    ({Name("k"): 1}, {"k": 1}),
    (Outer(Inner(1), [Colour.RED]), {"inner": {"n": 1}, "colours": ["red"]}),
    (Slotted(1), {"x": 1}),
    (datetime.datetime(2024, 2, 3, 4, 5, tzinfo=datetime.UTC), "2024-02-03T04:05:00+00:00"),
    (datetime.date(2024, 2, 3), "2024-02-03"),
    (datetime.time(4, 5), "04:05:00"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal("1.10"), "1.10"),
    (pathlib.PurePosixPath("/a/b"), "/a/b"),
]


def cyclic():
    found = []
    found.append(found)
    return found


def deep(levels):
    found = 1
    for _ in range(levels):
        found = [found]
    return found


REFUSED = [
    (2**64, "", "64 bits"),
    (-(2**63) - 1, "", "64 bits"),
    (Whole(2**70), "", "64 bits"),
    (math.nan, "", "no JSON number"),
    ({"a": [1, math.inf]}, "/a/1", "no JSON number"),
    (b"x", "", "base64"),
    ([bytearray(b"x")], "/0", "base64"),
    ({"a/b": {"c~d": {1}}}, "/a~1b/c~0d", "sorted"),
    (frozenset({1}), "", "sorted"),
    ({1: 2}, "", "string keys"),
    ({"a": {None: 1}}, "/a", "string keys"),
    ("\ud800", "", "surrogate"),
    ({"\ud800": 1}, "", "surrogate"),
    (deep(129), None, "128 levels"),
    (cyclic(), None, "128 levels"),
    (object(), "", "object is no JSON value"),
    (Outer(Inner(b"x")), "/inner/n", "base64"),
    (Inner, "", "type is no JSON value"),
    (lambda: 1, "", "function is no JSON value"),
    (types.MappingProxyType({}), "", "mappingproxy is no JSON value"),
    (datetime.timedelta(1), "", "timedelta is no JSON value"),
    (iter([1]), "", "list_iterator is no JSON value"),
]


@pytest.mark.parametrize("value", SAME, ids=lambda v: repr(v)[:20])
def test_what_json_has_comes_back_the_same(value):
    found = bt.json_round_trip(value)
    assert found == value and type(found) is type(value)


def test_the_sign_of_zero_and_bools_survive():
    assert math.copysign(1, bt.json_round_trip(-0.0)) == -1
    assert [type(v) for v in bt.json_round_trip([True, 1, 1.0])] == [bool, int, float]


@pytest.mark.parametrize(("value", "expected"), CHANGED, ids=lambda v: repr(v)[:20])
def test_what_is_close_to_json_is_converted(value, expected):
    found = bt.json_round_trip(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(("value", "path", "hint"), REFUSED, ids=lambda v: repr(v)[:20])
def test_everything_else_is_refused_with_its_place(value, path, hint):
    with pytest.raises(TypeError, match=hint) as caught:
        bt.json_round_trip(value)
    assert type(caught.value).__name__ == "ContractError"
    if path is not None:
        assert str(caught.value).startswith(f"at {path}: " if path else "at the top: ")


def test_a_long_path_is_told_in_order():
    with pytest.raises(TypeError, match="^at /a/0/b/2: "):
        bt.json_round_trip({"a": [{"b": [1, 2, b""]}]})
    assert bt.json_round_trip(deep(128)) == deep(128)


def test_pydantic_models_cross():
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        when: datetime.date
        colour: Colour
        tags: set[str] = set()

    found = bt.json_round_trip({"m": Model(when=datetime.date(2024, 1, 2), colour=Colour.RED, tags={"a"})})
    assert found == {"m": {"when": "2024-01-02", "colour": "red", "tags": ["a"]}}


def test_code_that_raises_on_the_way_is_named():
    class Broken:
        @property
        def tolist(self):
            raise ValueError("no")

    @dataclasses.dataclass
    class Missing:
        x: int

    value = Missing(1)
    del value.x
    for wrong in (Broken(), value):
        with pytest.raises(TypeError, match="ValueError: no|AttributeError"):
            bt.json_round_trip(wrong)


def test_a_table_that_changes_while_it_is_read_is_harmless():
    table = {}

    @dataclasses.dataclass
    class Sly:
        @property
        def x(self):
            return 1

    class Meddler(enum.Enum):
        A = 1

    @dataclasses.dataclass
    class Field:
        y: int = 0

        def __getattribute__(self, name):
            if name == "y":
                table["more"] = 1
            return object.__getattribute__(self, name)

    table.update(a=Field(), b=2)
    assert bt.json_round_trip(table) == {"a": {"y": 0}, "b": 2}
