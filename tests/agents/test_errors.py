"""Bad input: each with an error of its own kind, and nothing lost."""

import asyncio
import contextlib
import copy
import pickle
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, AgentError, errors
from atomr_agents.testkit import ReplayServer, ScriptedModel


def add(a: int, b: int) -> int:
    return a + b


async def fails(agent: Agent[Any, Any], wanted: type[BaseException]) -> Any:
    with pytest.raises(wanted) as caught:
        await agent.run("Oslo?")
    error: Any = caught.value
    if isinstance(error, AgentError):
        assert error.kind in errors.BY_KIND
        assert error.partial is not None
        assert error.partial.messages[0].text == "Oslo?"
    return error


# --- what providers said ---

RECORDED = [
    ("error-401", errors.AuthenticationError, 401),
    ("mistral-error-401", errors.AuthenticationError, 401),
    ("doubleword-error-403", errors.PermissionDeniedError, 403),
    ("error-404-model", errors.NotFoundError, 404),
    ("venice-error-404-string", errors.NotFoundError, 404),
    ("error-400-unsupported-role", errors.InvalidRequestError, 400),
    ("llamacpp-error-400-context", errors.ContextTooLongError, 400),
    ("openrouter-error-400-context", errors.ContextTooLongError, 400),
    ("error-429-rate-limit", errors.RateLimitedError, 429),
    ("error-429-quota-body", errors.QuotaExceededError, 429),
    ("error-500-server-error", errors.ServerError, 500),
    ("llamacpp-error-500", errors.ServerError, 500),
    ("openrouter-midstream-error", errors.ModelError, 200),
    ("groq-midstream-tool-use-failed", errors.ModelError, 200),
    ("refusal-stream", errors.RefusalError, None),
    ("refusal-json", errors.RefusalError, None),
    ("azure-content-filter-json", errors.ContentFilterError, None),
]


@pytest.mark.parametrize(("name", "wanted", "status"), RECORDED, ids=[row[0] for row in RECORDED])
async def test_what_a_provider_refuses_has_its_kind(name: str, wanted: Any, status: int | None, recording, openai):
    with ReplayServer(recording(name)) as server:
        error = await fails(openai(server.base_url), wanted)
        assert error.status == status
        assert isinstance(error, errors.ModelError)
        assert len(server.requests) == 1
    assert str(error)


async def test_a_busy_provider_is_asked_again_when_it_says(wire, http, openai):
    answers = [
        http.plain(429, {"error": {"message": "busy"}}, retry_after="0", x_request_id="req-1"),
        http.plain(503, {"error": {"message": "down"}}),
        http.head + http.chunk({"content": "Rain."}) + http.chunk(finish="stop") + http.done,
    ]

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        data = answers.pop(0)
        writer.write(data)
        if b"event-stream" in data:
            await writer.drain()
            writer.close()

    server = await wire(answer)
    stream = openai(server.base_url, max_attempts=3).stream("Oslo?")
    events = [event async for event in stream]
    assert (await stream.result()).output == "Rain."
    assert [event.attempt for event in events if event.kind == "model_retried"] == [2, 3]
    assert len(server.bodies) == 3


async def test_an_error_says_what_the_provider_said(wire, http, openai):
    body = {"error": {"message": "slow down", "code": "tpm", "type": "tokens"}}
    server = await wire(http.plain(429, body, retry_after="7", x_request_id="req-9"))
    error = await fails(openai(server.base_url), errors.RateLimitedError)
    assert (error.status, error.code, error.request_id, error.retry_after) == (429, "tpm", "req-9", 7.0)
    assert error.retryable is True
    assert "slow down" in str(error)


# --- what networks do ---


async def test_an_unreachable_host(openai):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    error = await fails(openai(f"http://127.0.0.1:{port}/v1"), errors.ConnectError)
    assert isinstance(error, ConnectionError)
    assert f"127.0.0.1:{port}" in str(error)
    assert error.retryable


async def test_a_host_that_does_not_exist(openai):
    await fails(openai("http://no-such-host.invalid/v1"), errors.ConnectError)


async def test_a_server_that_speaks_no_tls(openai):
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 this is no TLS\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await fails(openai(f"https://127.0.0.1:{port}/v1"), errors.TlsError)
    assert isinstance(error, ConnectionError)
    assert not error.retryable


async def test_a_certificate_that_nobody_signed(openai):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "self-signed.pem")

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        error = await fails(openai(f"https://localhost:{port}/v1"), errors.TlsError)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    ("setting", "head"), [("first_byte_timeout", b""), ("idle_timeout", b"x")], ids=["first byte", "idle"]
)
async def test_a_silent_server(setting: str, head: bytes, wire, http, openai):
    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        if head:
            writer.write(http.head + http.chunk({"content": "Half an "}))
            await writer.drain()
        await asyncio.sleep(5)

    server = await wire(answer)
    started = time.monotonic()
    error = await fails(openai(server.base_url, **{setting: 0.2}), errors.RunTimeoutError)
    assert time.monotonic() - started < 3
    assert isinstance(error, TimeoutError)
    if head:
        assert error.partial.messages[-1].text == "Half an "


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue of connections is refused")
async def test_a_host_that_does_not_take_the_connection(openai):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        # The queue is filled, so that the next one waits.
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        started = time.monotonic()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        error = await fails(openai(address, connect_timeout=0.2), errors.RunTimeoutError)
    assert time.monotonic() - started < 3
    assert "connect" in str(error) and error.retryable


async def test_a_stream_that_breaks_off_dispatches_nothing(wire, http, openai):
    ran: list[int] = []

    def act(n: int) -> str:
        ran.append(n)
        return "done"

    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "act", "arguments": '{"n": 1}'}}
    server = await wire(http.head + http.chunk({"content": "Well"}) + http.chunk({"tool_calls": [call]}))
    error = await fails(openai(server.base_url, tools=[act]), errors.StreamInterruptedError)
    assert ran == []
    assert error.retryable
    assert error.partial.messages[1].text == "Well"


async def test_a_provider_error_in_mid_stream_keeps_what_was_said(wire, http, openai):
    failure = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
    server = await wire(http.head + http.chunk({"content": "Half"}) + failure)
    error = await fails(openai(server.base_url), errors.ModelError)
    assert "overloaded" in str(error)
    assert error.partial.messages[-1].text == "Half"


async def test_bytes_that_are_no_utf8(wire, http, openai):
    bad = http.chunk({"content": "Bad"}).replace(b"Bad", b"\xff\xfe\x80")
    server = await wire(http.head + bad + http.chunk(finish="stop") + http.done)
    error = await fails(openai(server.base_url), errors.ProtocolError)
    assert error.kind == "protocol"


@pytest.mark.parametrize("body", [b"<html>nginx</html>", b"", b"[]", b"{"], ids=["html", "empty", "array", "cut"])
async def test_an_answer_that_is_none(body: bytes, wire, http, openai):
    server = await wire(http.plain(200, body))
    await fails(openai(server.base_url), (errors.ProtocolError, errors.StreamInterruptedError))


async def test_an_endless_answer_is_cut_off(wire, http, openai):
    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(http.head + b"data: ")
        for _ in range(90):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
        writer.close()

    server = await wire(answer)
    error = await fails(openai(server.base_url), errors.TooLargeError)
    assert "limit" in str(error)


async def test_arguments_cut_by_the_output_limit_are_not_run(wire, http, openai):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b'}}
    server = await wire(http.head + http.chunk({"tool_calls": [call]}) + http.chunk(finish="length") + http.done)
    error = await fails(openai(server.base_url, tools=[add]), errors.IncompleteToolCallError)
    assert "add" in str(error)


# --- what runs do ---


async def test_the_iteration_cap_is_an_error_of_its_own_kind():
    model = ScriptedModel().tool_calls(("add", {"a": 1, "b": 2})).repeat()
    error = await fails(Agent(model, tools=[add], max_iterations=3), errors.IterationCapError)
    assert error.kind == "iteration_cap"
    assert len(model.requests) == 3
    roles = [message.role for message in error.partial.messages]
    assert roles == ["user", *["assistant", "tool"] * 3]
    assert error.partial.usage.input_tokens > 0


async def test_a_run_that_takes_too_long():
    model = ScriptedModel().text("one two three four five").delay(0.05)
    error = await fails(Agent(model, timeout=0.12), errors.RunTimeoutError)
    assert error.kind == "timeout"
    assert "one two three four five".startswith(error.partial.messages[-1].text)


@pytest.mark.parametrize("kind", sorted(set(errors.BY_KIND) - {"cancelled"}))
async def test_every_kind_arrives_as_its_class(kind: str):
    error = await fails(Agent(ScriptedModel().error(kind, "as scripted")), errors.BY_KIND[kind])
    assert type(error) is errors.BY_KIND[kind]
    assert (error.kind, error.retryable) == (kind, errors.retryable(kind))
    assert "as scripted" in str(error)


async def test_what_a_model_of_ones_own_raises_comes_back_as_itself():
    class Mine(Exception):
        pass

    raised = Mine("no model today")

    async def broken(request, ctx):
        yield "Half "
        raise raised

    with pytest.raises(Mine) as caught:
        await Agent(broken).run("Oslo?")
    assert caught.value is raised
    assert caught.value.partial.messages[-1].text == "Half "
    assert any(frame.name == "broken" for frame in caught.traceback)


# --- the tree ---


def test_errors_can_be_sent_elsewhere_without_their_transcript():
    error = errors.make("rate_limited", "slow down", {"status": 429, "partial": object(), "code": None})
    assert (error.status, error.code, error.retryable) == (429, None, True)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is errors.RateLimitedError
        assert (str(twin), twin.status, twin.partial) == ("slow down", 429, None)
    timeout = pickle.loads(pickle.dumps(errors.make("timeout", "late", {})))
    assert (type(timeout), str(timeout)) == (errors.RunTimeoutError, "late")


def test_builtin_classes_catch_what_they_should():
    for error, builtin in [
        (errors.ConfigError, ValueError),
        (errors.RunTimeoutError, TimeoutError),
        (errors.ConnectError, ConnectionError),
        (errors.ContractError, TypeError),
        (errors.SchemaError, TypeError),
        (errors.InvalidOutputError, ValueError),
        (errors.NoEventLoopError, RuntimeError),
    ]:
        assert issubclass(error, builtin)
        assert issubclass(error, AgentError)


def test_an_unknown_kind_is_an_internal_error():
    assert type(errors.make("of the future", "x", {})) is errors.InternalError


def test_the_docstring_draws_every_class():
    drawn = errors.__doc__ or ""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, AgentError):
            assert f" {name} " in drawn.replace("\n", " \n") or drawn.count(name), name
