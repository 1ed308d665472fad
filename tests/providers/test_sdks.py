"""The providers' own SDKs, pointed at our replay server: what they read is what `expected.json` says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from atomr_agents.testkit import ReplayServer, ScriptedModel

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"


@dataclass
class Read:
    """What an SDK made of an answer."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    usage: tuple[int | None, int | None] = (None, None)


def origin(base_url: str) -> str:
    """The address without the version, which some SDKs add themselves."""
    return base_url.removesuffix("/v1")


def arguments(raw: str) -> Any:
    try:
        return json.loads(raw or "{}")
    except json.JSONDecodeError:
        return None


def by_openai_chat(base_url: str, stream: bool) -> Read:
    from openai import OpenAI
    from openai.lib.streaming.chat import ChatCompletionStreamState

    ask: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    with OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        if stream:
            state = ChatCompletionStreamState()
            with client.chat.completions.create(stream=True, **ask) as chunks:
                for chunk in chunks:
                    state.handle_chunk(chunk)
            completion: Any = state.current_completion_snapshot
        else:
            completion = client.chat.completions.create(**ask)
    message, usage = completion.choices[0].message, completion.usage
    calls = [(call.function.name, arguments(call.function.arguments)) for call in message.tool_calls or []]
    counts = (usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)
    return Read(message.content or "", calls, counts)


def by_openai_responses(base_url: str, stream: bool) -> Read:
    from openai import OpenAI

    response: Any = None
    items: list[Any] = []
    with OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        if stream:
            with client.responses.create(model="m", input="?", stream=True) as events:
                for event in events:
                    if event.type == "response.output_item.done":
                        items.append(event.item)
                    elif event.type in ("response.completed", "response.incomplete"):
                        response = event.response
        else:
            response = client.responses.create(model="m", input="?")
            items = response.output
    parts = [part for item in items if item.type == "message" for part in item.content]
    text = "".join(part.text for part in parts if part.type == "output_text")
    calls = [(item.name, arguments(item.arguments)) for item in items if item.type == "function_call"]
    usage = response.usage
    return Read(text, calls, (usage.input_tokens, usage.output_tokens) if usage else (None, None))


def by_anthropic(base_url: str, stream: bool) -> Read:
    from anthropic import Anthropic

    ask: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "?"}]}
    with Anthropic(base_url=origin(base_url), api_key="any", max_retries=0) as client:
        if stream:
            with client.messages.stream(**ask) as events:
                message: Any = events.get_final_message()
        else:
            message = client.messages.create(**ask)
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    return Read(text, calls, (message.usage.input_tokens, message.usage.output_tokens))


def by_gemini(base_url: str, stream: bool) -> Read:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=origin(base_url), api_version="v1beta")
    client = genai.Client(api_key="any", http_options=options)
    try:
        ask: dict[str, Any] = {"model": "m", "contents": "?"}
        models = client.models
        answers = list(models.generate_content_stream(**ask)) if stream else [models.generate_content(**ask)]
    finally:
        client.close()
    read = Read()
    for answer in answers:
        for candidate in (answer.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or []:
                read.text += part.text if part.text and not part.thought else ""
                if part.function_call:
                    read.calls.append((part.function_call.name or "", part.function_call.args or {}))
        if usage := answer.usage_metadata:
            before = read.usage
            read.usage = (
                before[0] if usage.prompt_token_count is None else usage.prompt_token_count,
                before[1] if usage.candidates_token_count is None else usage.candidates_token_count,
            )
    return read


READERS: dict[str, Callable[[str, bool], Read]] = {
    "openai-chat": by_openai_chat,
    "openai-responses": by_openai_responses,
    "anthropic-messages": by_anthropic,
    "gemini-generate-content": by_gemini,
}


def cases() -> list[Any]:
    """The recordings of whole answers that the SDKs are known to read."""
    found = []
    for provider in READERS:
        for path in sorted((RECORDINGS / provider).glob("*/expected.json")):
            expected = json.loads(path.read_text(encoding="utf-8"))
            checked = expected.get("cross_check", {})
            by_itself = checked.get("result") == "agrees" and "failed" not in checked["how"]
            if path.parent.name == "mistral-thinking-list-stream":
                continue  # text as a list of parts, of which this SDK warns
            if expected["outcome"] == "ok" and by_itself:
                name = f"{provider}/{path.parent.name}"
                found.append(pytest.param(provider, path.parent, expected, id=name))
    return found


CASES = cases()


@pytest.mark.parametrize(("provider", "folder", "expected"), CASES)
def test_an_sdk_reads_what_a_provider_once_sent(provider: str, folder: Path, expected: dict[str, Any]) -> None:
    with ReplayServer(folder, cut="seeded", seed=7) as server:
        read = READERS[provider](server.base_url, bool(expected["stream"]))
    assert read.text == expected["text"]
    wanted = [call for call in expected["tool_calls"] if call.get("kind") != "custom"]
    assert [name for name, _ in read.calls] == [call["name"] for call in wanted]
    for (_, given), call in zip(read.calls, wanted, strict=True):
        assert given == call["arguments"]
    counts = expected["usage_normalised"] or {}
    for got, name in zip(read.usage, ("input_tokens", "output_tokens"), strict=True):
        if got is not None and counts.get(name) is not None:
            assert got == counts[name], name


def test_most_recordings_are_read() -> None:
    by = {provider: sum(case.values[0] == provider for case in CASES) for provider in READERS}
    assert sum(by.values()) >= 120 and min(by.values()) >= 20, by


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("provider", READERS)
def test_an_sdk_reads_a_script(provider: str, stream: bool) -> None:
    calls = (("add", {"a": 1, "b": 2}), ("say", {"text": 'zwölf "€" \n'}))
    script = ScriptedModel().tool_calls(*calls, text="I will. ")
    with ReplayServer(script, cut="seeded") as server:
        read = READERS[provider](server.base_url, stream)
    assert (read.text, read.calls) == ("I will. ", list(calls))
    assert read.usage[0] == 10 and (read.usage[1] or 0) > 0
    with ReplayServer(ScriptedModel().text("Rain in Oslo.")) as server:
        assert READERS[provider](server.base_url, stream).text == "Rain in Oslo."


@pytest.mark.parametrize("provider", READERS)
def test_an_sdk_reads_an_error(provider: str) -> None:
    script = ScriptedModel().error("rate_limited", "slowly, please")
    with ReplayServer(script) as server, pytest.raises(Exception, match="slowly, please") as caught:
        READERS[provider](server.base_url, True)
    error: Any = caught.value
    assert getattr(error, "status_code", getattr(error, "code", None)) == 429
