"""A provider for the documentation: an HTTP server on loopback that speaks OpenAI's chat format.

It behaves as a willing model would: it calls every tool that it is offered once, with arguments made from their
schemas, and then answers with what the tools said. So an agent of a page runs as it is printed there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


def sample(schema: dict[str, Any], defs: dict[str, Any] | None = None, name: str = "x") -> Any:
    """A value that fits a schema."""
    defs = schema.get("$defs", defs or {})
    if "$ref" in schema:
        return sample(defs[schema["$ref"].rpartition("/")[2]], defs, name)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return sample(schema[key][0], defs, name)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {key: sample(properties[key], defs, key) for key in schema.get("required", properties)}
        case "array":
            return [sample(schema.get("items", {"type": "string"}), defs, name)]
        case "integer":
            return max(2, schema.get("minimum", 2))
        case "number":
            return 2.5
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return {"city": "Oslo", "account": "alice"}.get(name, name)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the model says: the delta of one message, whole."""
    messages = request["messages"]
    results = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.insert(0, message["content"])
    if request.get("tools") and not results and request.get("tool_choice") != "none":
        return {
            "tool_calls": [
                {
                    "index": at,
                    "id": f"call_{at}",
                    "type": "function",
                    "function": {
                        "name": each["function"]["name"],
                        "arguments": json.dumps(sample(each["function"]["parameters"])),
                    },
                }
                for at, each in enumerate(request["tools"])
            ]
        }
    if (wanted := request.get("response_format", {})).get("type") == "json_schema":
        return {"content": json.dumps(sample(wanted["json_schema"]["schema"]))}
    return {"content": "; ".join(results) or f"You said: {messages[-1]['content']}"}


def pieces(delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message as it streams: text by words, the arguments of each call in two halves."""
    for call in delta.get("tool_calls", []):
        whole = call["function"]["arguments"]
        half = len(whole) // 2
        yield {"tool_calls": [{**call, "function": {**call["function"], "arguments": ""}}]}
        for part in (whole[:half], whole[half:]):
            yield {"tool_calls": [{"index": call["index"], "function": {"arguments": part}}]}
    words = delta.get("content", "").split(" ")
    for at, word in enumerate(words):
        if word:
            yield {"content": word if at == len(words) - 1 else f"{word} "}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        delta = answer(request)
        finish = "tool_calls" if "tool_calls" in delta else "stop"
        usage = {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48}
        model = request["model"]
        if request.get("stream"):
            choices = [{"index": 0, "delta": piece, "finish_reason": None} for piece in pieces(delta)]
            choices.append({"index": 0, "delta": {}, "finish_reason": finish})
            chunks = [{"id": "c", "model": model, "choices": [choice]} for choice in choices]
            chunks.append({"id": "c", "model": model, "choices": [], "usage": usage})
            body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
            kind = "text/event-stream"
        else:
            choice = {"index": 0, "message": {"role": "assistant", **delta}, "finish_reason": finish}
            body = json.dumps({"id": "c", "model": model, "choices": [choice], "usage": usage})
            kind = "application/json"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """The base URL of the provider."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def provider_environment(provider: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a reader of the pages would have set."""
    environment = {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": "sk-of-the-documentation"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment
