"""Faults, recordings and the conformance suite, seen from Python."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent
from atomr_agents.errors import (
    AgentError,
    ConfigError,
    ContractError,
    ProtocolError,
    RateLimitedError,
    StreamInterruptedError,
)
from atomr_agents.guest import inference_client
from atomr_agents.testkit import Fault, ReplayServer, ScriptedModel, check_inference_client, record, replay


def script() -> ScriptedModel:
    calls = (("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))
    return ScriptedModel().tool_calls(*calls, text="Let me see. ").text("3 and 7.")


def run(faults: Any) -> tuple[str, list[tuple[int, int]], int]:
    """What the run says, what the tool was given, and how often the model was asked."""
    ran: list[tuple[int, int]] = []

    def add(a: int, b: int) -> int:
        ran.append((a, b))
        return a + b

    with ReplayServer(script(), faults=faults) as server:
        agent = Agent("openai:gpt-4o", base_url=server.base_url, api_key="any", tools=[add])
        try:
            output = agent.run_sync("1 + 2, 3 + 4?").output
        except AgentError as error:
            assert not ran
            raise error from None
        return output, sorted(ran), len(server.requests)


@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault.insert(b": ping\n\n", times=1000),
        Fault.flaw("no_tail"),
        Fault.flaw("no_call_ids"),
        Fault.flaw("unknown_event"),
    ],
    ids=repr,
)
def test_harmless_faults_do_no_harm(fault: Fault | None):
    assert run([fault]) == ("3 and 7.", [(1, 2), (3, 4)], 2)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.reset(),
        Fault.close(),
        Fault.end(),
        Fault.half_event(),
        Fault.no_head(),
        Fault.status(529, "busy", retry_after=0.01),
        Fault.status(429, retry_after="soon"),
        Fault.flaw("no_events"),
        Fault.flaw("error_first"),
    ],
    ids=repr,
)
def test_before_the_first_word_the_call_is_made_again(fault: Fault):
    assert run([fault]) == ("3 and 7.", [(1, 2), (3, 4)], 3)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.flaw("no_end"), StreamInterruptedError),
        (Fault.flaw("duplicate_index"), ProtocolError),
        (Fault.flaw("huge_index"), ProtocolError),
        (Fault.flaw("invalid_json"), ProtocolError),
        (Fault.redirect("http://elsewhere.invalid/"), ProtocolError),
        (Fault.gzip(), ProtocolError),
        (Fault.gzip(bomb=1 << 28), ProtocolError),
        (Fault.status(429, retry_after=604800), RateLimitedError),
        (Fault.flaw("giant_arguments"), AgentError),
    ],
    ids=repr,
)
def test_other_faults_end_in_a_typed_error_and_no_tool_runs(fault: Fault, error: type[AgentError]):
    with pytest.raises(error):
        run(fault)


def test_what_is_no_fault_is_named():
    for make, words in [
        (lambda: Fault.reset(at=-1), "at must be"),
        (lambda: Fault.status(200), "status must be"),
        (lambda: Fault.flaw("nothing"), "name must be"),
        (lambda: Fault.insert("text"), "data must be bytes"),  # type: ignore[arg-type]
        (lambda: ReplayServer(script(), faults=["reset"]), "faults must hold"),  # type: ignore[list-item]
    ]:
        with pytest.raises(ConfigError, match=words):
            make()
    assert Fault.reset(at=3) == Fault.reset(at=3) != Fault.close(at=3)
    assert len({Fault.reset(at=3), Fault.reset(at=3)}) == 1


def test_a_run_is_recorded_and_played_again(tmp_path: Path):
    def add(a: int, b: int) -> int:
        return a + b

    path = tmp_path / "run.jsonl"
    recording = record(path, script(), hide=["canary"])
    first = Agent(recording, tools=[add]).run_sync("1 + 2, canary?")
    text = path.read_text()
    assert "canary" not in text and "[hidden]" in text
    assert [json.loads(line)["line"] for line in text.splitlines()][:2] == ["cassette", "call"]
    again = replay(path)
    assert again.remaining == 2
    second = Agent(again, tools=[add]).run_sync("1 + 2, canary?")
    assert (second.output, second.usage, again.remaining) == (first.output, first.usage, 0)


def test_an_error_is_played_again_as_itself(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    with pytest.raises(RateLimitedError):
        Agent(record(path, ScriptedModel().error("rate_limited", "slow down"))).run_sync("go")
    with pytest.raises(RateLimitedError, match="slow down") as caught:
        Agent(replay(path)).run_sync("go")
    assert caught.value.status == 429


def test_a_request_that_differs_is_refused_with_the_place(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    Agent(record(path, ScriptedModel().text("a").text("b"))).run_sync("Oslo?")
    with pytest.raises(ConfigError, match=r'messages\[0\].parts\[0\].text: recorded was "Oslo\?", asked is "Rome\?"'):
        Agent(replay(path)).run_sync("Rome?")
    with pytest.raises(ConfigError, match="instructions|messages"):
        Agent(replay(path), instructions="Be brief.").run_sync("Oslo?")
    client = replay(path)
    Agent(client).run_sync("Oslo?")
    with pytest.raises(ConfigError, match="one more"):
        Agent(client).run_sync("Oslo?")


def test_over_http_the_name_of_the_model_and_no_key_is_recorded(tmp_path: Path):
    path = tmp_path / "run.jsonl"
    with ReplayServer(ScriptedModel().text("Rain.")) as server:
        recording = record(path, "openai:gpt-4o", base_url=server.base_url, api_key="sk-canary")
        Agent(recording).run_sync("Oslo?")
        assert server.requests[0]["body"]["model"] == "gpt-4o"
    assert "canary" not in path.read_text()
    assert replay(path).model_name == "gpt-4o"
    assert Agent(replay(path)).run_sync("Oslo?").output == "Rain."


def test_what_is_no_recording_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"cannot read .*missing"):
        replay(tmp_path / "missing.jsonl")
    (tmp_path / "bad.jsonl").write_text("oops\n")
    with pytest.raises(ConfigError, match="line 1"):
        replay(tmp_path / "bad.jsonl")
    with pytest.raises(ConfigError, match="cannot write"):
        record(tmp_path / "no" / "such.jsonl", ScriptedModel())
    with pytest.raises(ConfigError, match="hide"):
        record(tmp_path / "a.jsonl", ScriptedModel(), hide=[""])


async def test_clients_that_keep_the_rules():
    @inference_client(name="conforms_plain")
    async def plain(request: dict[str, Any]):
        yield "Good "
        await asyncio.sleep(0)
        yield {"type": "tool_call", "id": "1", "name": "add", "arguments": {"a": 1}}

    @inference_client(name="conforms_context")
    async def with_context(request: dict[str, Any], context: Any):
        yield "a"
        await asyncio.sleep(0.2)
        yield {"type": "finish", "reason": "stop"}

    @inference_client(name="conforms_object")
    class Object:
        async def stream(self, request: dict[str, Any]):
            yield f"asked {request['messages'][0]['parts'][0]['text']}"

    for model in [plain, with_context, Object(), ScriptedModel().text("a b").repeat()]:
        await check_inference_client(model, "hi")
    with ReplayServer(ScriptedModel().text("a b"), delay_ms=1, cut="event") as server:
        recording = record("/dev/null", "openai:gpt-4o", base_url=server.base_url)
        await check_inference_client(recording, tools=[{"name": "add", "description": "", "parameters": {}}])


async def test_clients_that_break_them_are_told_how():
    @inference_client(name="breaks_by_going_on")
    async def goes_on(request: dict[str, Any]):
        yield "a"
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            await asyncio.sleep(6)
            raise

    with pytest.raises(ContractError, match="breaks_by_going_on breaks a rule: a call that was .* goes on"):
        await check_inference_client(goes_on)

    # One that raises ends its answer with an error: that is an end, too.
    @inference_client(name="conforms_by_raising")
    async def raises(request: dict[str, Any]):
        yield "a"
        raise ValueError("no")

    await check_inference_client(raises)
    with pytest.raises(ConfigError, match="question"):
        await check_inference_client(raises, " ")
    with pytest.raises(ConfigError, match="tools"):
        await check_inference_client(raises, tools="add")  # type: ignore[arg-type]
