"""The providers' own SDKs: what they say of a request, and what they read of an answer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any, is_typeddict

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

Check = Callable[[Any], None]


def forbid_more(package: ModuleType) -> None:
    """Makes every TypedDict of an SDK refuse keys that it does not know: pydantic takes them otherwise."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for each in vars(importlib.import_module(module.name)).values():
            if is_typeddict(each):
                each.__pydantic_config__ = ConfigDict(extra="forbid")


def whole(value: Any) -> Any:
    """The same value, read to its end: pydantic looks at the items of an `Iterable` when somebody takes them."""
    match value:
        case BaseModel():  # some types take the blocks of an answer, too
            return whole(value.model_dump(exclude_unset=True))
        case dict():
            return {key: whole(each) for key, each in value.items()}
        case str() | bytes() | int() | float() | None:
            return value
        case _:
            return [whole(each) for each in value]


def checked_by(tp: Any) -> Check:
    adapter: TypeAdapter[Any] = TypeAdapter(tp)

    def check(body: Any) -> None:
        assert whole(adapter.validate_python(body)) == body

    return check


def openai_chat() -> Check:
    from openai import types
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

    forbid_more(types)
    check = checked_by(CompletionCreateParamsStreaming)

    def sent_back(message: dict[str, Any]) -> dict[str, Any]:
        """Routers want their own field back that OpenAI does not know; it is sent to nobody who did not send it."""
        return {name: value for name, value in message.items() if name != "reasoning_details"}

    return lambda body: check({**body, "messages": [sent_back(message) for message in body["messages"]]})


def openai_responses() -> Check:
    from openai import types
    from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

    forbid_more(types)
    check = checked_by(ResponseCreateParamsStreaming)
    return lambda body: check({**body, "input": [said_before(item) for item in body["input"]]})


def said_before(item: dict[str, Any]) -> dict[str, Any]:
    """What the model said, with the names that the types want and the API does not: a message that another provider
    wrote never had an id there."""
    if item.get("role") != "assistant":
        return item
    content = [{"annotations": [], **part} if part["type"] == "output_text" else part for part in item["content"]]
    return {"id": "msg_1", "status": "completed", **item, "content": content}


def anthropic() -> Check:
    from anthropic import types
    from anthropic.types.message_create_params import MessageCreateParamsStreaming

    forbid_more(types)
    check = checked_by(MessageCreateParamsStreaming)
    # This SDK names them no more, as its newest models refuse them; they are sent only where the caller sets them.
    dropped = {"temperature": (int, float), "top_p": (int, float)}

    def without(body: dict[str, Any]) -> dict[str, Any]:
        assert all(isinstance(body.get(name, 0), kind) for name, kind in dropped.items())
        return {name: value for name, value in body.items() if name not in dropped}

    return lambda body: check(without(body))


def gemini() -> Check:
    """Its SDK keeps the fields of the request's root in one config, and sorts them out itself."""
    from google.genai import types

    def check(body: dict[str, Any]) -> None:
        body = dict(body)
        for content in body.pop("contents"):
            types.Content.model_validate(content)
        config = body.pop("generationConfig", {})
        for name in ("systemInstruction", "tools", "toolConfig"):
            if name in body:
                config[name] = body.pop(name)
        assert not body, "unknown fields"
        types.GenerateContentConfig.model_validate(config)

    assert types.Content.model_config["extra"] == types.GenerateContentConfig.model_config["extra"] == "forbid"
    return check


MAKERS = {"openai": openai_chat, "openai-responses": openai_responses, "anthropic": anthropic, "gemini": gemini}
MODELS = {
    "openai": "gpt-4o",
    "openai-responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro-preview",
}


@pytest.fixture(scope="session")
def checks() -> dict[str, Check]:
    """By provider: what raises where its SDK would not know a request."""
    return {provider: make() for provider, make in MAKERS.items()}


@pytest.fixture(params=MODELS)
def provider(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(provider: str) -> str:
    """A model of the provider, with its prefix."""
    return f"{provider}:{MODELS[provider]}"
