"""Tool calls that wait for somebody's word: the run is put away and taken up, also by another process."""

import asyncio
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Agent, ApprovalLedger, Decision, PendingRun, RunResult, tool
from atomr_agents.errors import ApprovalError, ConfigError
from atomr_agents.testkit import ScriptedModel


def paying() -> tuple[Any, list[int]]:
    paid: list[int] = []

    @tool(name="pay", requires_approval=True)
    def pay(usd: int) -> str:
        """Pays."""
        paid.append(usd)
        return f"paid {usd}"

    return pay, paid


def asking(*amounts: int) -> ScriptedModel:
    return ScriptedModel().tool_calls(*(("pay", {"usd": usd}) for usd in amounts))


def waiting(result: RunResult[Any]) -> PendingRun:
    assert result.pending is not None
    return result.pending


async def test_a_run_waits_is_taken_up_and_does_what_was_decided():
    pay, paid = paying()
    model = asking(5, 7, 9).text("Done.")
    agent = Agent(model, tools=[pay])
    result = await agent.run("Pay.")
    pending = waiting(result)
    assert paid == [] and pending.agent == "agent" and pending.run_id == result.run_id
    assert [(call.name, call.arguments) for call in pending.calls] == [("pay", {"usd": each}) for each in (5, 7, 9)]
    with pytest.raises(ApprovalError, match="waits for approval of pay"):
        _ = result.output
    assert "PendingRun" in repr(result)
    first, second, third = pending.calls
    result = await agent.resume(pending, [first.approve(), second.edit({"usd": 6}), third.deny("too dear")])
    assert (result.output, result.pending, sorted(paid)) == ("Done.", None, [5, 6])
    told = [part["parts"][0]["text"] for part in result.messages[2].parts]
    assert told[0] == "paid 5" and '{"usd":6}' in told[1] and "denied this call: too dear" in told[2]


async def test_what_is_pending_and_decided_goes_through_json_and_pickle():
    pay, _ = paying()
    pending = waiting(await Agent(asking(5), tools=[pay]).run("Pay."))
    assert PendingRun.from_json(pending.to_json()) == pending == pickle.loads(pickle.dumps(pending))
    decision = pending.calls[0].edit({"usd": 1})
    assert Decision.from_json(decision.to_json()) == decision == pickle.loads(pickle.dumps(decision))
    assert pickle.loads(pickle.dumps(pending.calls[0])) == pending.calls[0]
    assert decision.verdict == "edit" and decision.digest == pending.calls[0].digest
    with pytest.raises(ConfigError, match="suspended run"):
        PendingRun.from_json("{}")
    with pytest.raises(ConfigError, match="decision"):
        Decision.from_json('{"digest": "x", "verdict": "perhaps"}')
    with pytest.raises(ConfigError, match="arguments must be a dict"):
        pending.calls[0].edit([1])  # type: ignore[arg-type]


async def test_another_process_takes_it_up(tmp_path: Path):
    pay, paid = paying()
    ledger = ApprovalLedger(tmp_path / "used")
    pending = waiting(await Agent(asking(5), tools=[pay], approvals=ledger).run("Pay."))
    (tmp_path / "run.json").write_text(pending.to_json())
    (tmp_path / "decision.json").write_text(pending.calls[0].approve().to_json())
    program = f"""
from atomr_agents import Agent, ApprovalLedger, Decision, PendingRun, tool
from atomr_agents.testkit import ScriptedModel

@tool(requires_approval=True)
def pay(usd: int) -> str:
    print("paying", usd)
    return "paid"

pending = PendingRun.from_json(open("run.json").read())
decision = Decision.from_json(open("decision.json").read())
agent = Agent(ScriptedModel().text("Done."), tools=[pay], approvals=ApprovalLedger({str(tmp_path / "used")!r}))
print(agent.resume_sync(pending, decision).output)
"""
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout, ran.returncode) == ("paying 5\nDone.\n", 0), ran.stderr
    again = Agent(ScriptedModel().text("Done."), tools=[pay], approvals=ledger)
    with pytest.raises(ApprovalError, match="used before"):
        await again.resume(pending, pending.calls[0].approve())
    assert paid == []


async def test_changed_arguments_and_nonsense_are_refused_and_nothing_runs():
    pay, paid = paying()
    agent = Agent(asking(5).text("x"), tools=[pay])
    pending = waiting(await agent.run("Pay."))
    decision = pending.calls[0].approve()
    changed = PendingRun.from_json(pending.to_json().replace('\\"usd\\":5', '\\"usd\\":5000'))
    assert changed != pending
    with pytest.raises(ApprovalError, match="no call that waits"):
        await agent.resume(changed, decision)
    with pytest.raises(ApprovalError, match="no decision was given"):
        await agent.resume(pending, [])
    with pytest.raises(ApprovalError, match="two decisions"):
        await agent.resume(pending, [decision, decision])
    other = Agent(ScriptedModel(), tools=[pay], name="other")
    with pytest.raises(ApprovalError, match="begun by the agent"):
        await other.resume(pending, decision)
    with pytest.raises(ConfigError, match="pending must be"):
        await agent.resume("x", decision)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="decisions must be"):
        await agent.resume(pending, ["yes"])  # type: ignore[list-item]
    assert paid == []


async def test_the_stream_of_a_resumed_run_tells_what_was_decided():
    pay, _ = paying()
    agent = Agent(asking(5).text("Done."), tools=[pay])
    async with agent.stream("Pay.") as stream:
        kinds = [event.kind async for event in stream]
        pending = waiting(await stream.result())
    assert kinds.count("approval_requested") == 1 and kinds[-1] == "run_suspended"
    async with agent.resume_stream(pending, pending.calls[0].approve()) as stream:
        events = [event async for event in stream]
        assert (await stream.result()).output == "Done."
    resolved = next(event for event in events if event.kind == "approval_resolved")
    assert (resolved.name, resolved.call_index) == ("pay", 0)
    assert events[-1].kind == "run_finished" and events[0].run_id == pending.run_id
