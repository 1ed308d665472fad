"""What a type checker knows of parsers."""

from dataclasses import dataclass
from typing import Any, assert_type

from atomr_agents import Pipeline, parser, repair_model
from atomr_agents.parser import (
    CommaListParser,
    EnumParser,
    JsonParser,
    OutputFixingParser,
    RetryWithErrorParser,
    SchemaParser,
    XmlParser,
)


@dataclass
class Forecast:
    city: str


@parser("degrees")
def degrees(text: str) -> float:
    return float(text)


@repair_model
async def repair(original: str, hint: str) -> str:
    return original


assert_type(degrees("1"), float)
assert_type(JsonParser().parse("1"), Any)
assert_type(EnumParser(["a"]).parse("a"), str)
assert_type(CommaListParser().parse("a"), list[str])
assert_type(XmlParser().parse("<a/>"), dict[str, Any])
assert_type(SchemaParser(Forecast).parse("{}"), Forecast)
assert_type(SchemaParser(list[int]).parse("[]"), list[int])
Pipeline.from_(str.strip).then(EnumParser(["a"])).then(OutputFixingParser(degrees, repair)).build()


async def waiting() -> None:
    assert_type(await OutputFixingParser(EnumParser(["a"]), "openai:m").parse("a"), str)
    retry = RetryWithErrorParser(SchemaParser(Forecast), repair, "Where?")
    assert_type(await retry.parse("a"), Forecast)
    assert_type(OutputFixingParser(retry, repair).parse_sync("a"), Forecast)
