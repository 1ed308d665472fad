"""Steps of one's own that survive the process."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atomr_agents.errors import ConfigError, ConflictError, FencedError, GuestError, LockedError, OutcomeUnknownError
from atomr_agents.state import Journal, in_memory_journal, in_memory_store, runs


async def test_an_effect_that_was_recorded_is_not_performed_again():
    store, done = in_memory_store(), []

    async def charge(amount: int) -> dict[str, int]:
        done.append(amount)
        return {"receipt": amount}

    for attempt in range(2):
        try:
            async with Journal.open(store, "r", target="shop") as journal:
                assert await journal.effect("charge", charge, 7, effect="once") == {"receipt": 7}
                assert await journal.effect("charge", charge, 8, effect="once") == {"receipt": 8}
                if attempt == 0:
                    raise ConnectionError("the network is gone")
                journal.output = "paid"
        except ConnectionError:
            assert (await runs(store).show("r")).status == "failed"
    assert done == [7, 8]
    assert (await runs(store).show("r")).status == "finished"
    with pytest.raises(ConflictError, match="nothing to resume"):
        await Journal.open(store, "r")


async def test_a_block_performs_what_is_pending_and_hands_on_a_key():
    journal = in_memory_journal("r")
    async with journal.effect("charge") as first:
        assert first.pending and len(first.idempotency_key) == 32
        first.value = 7
    assert first.value == 7 and not first.pending
    other = journal.effect("charge")
    assert other.idempotency_key != first.idempotency_key
    with pytest.raises(ConfigError, match="give a function"):
        await other


async def test_an_error_is_recorded_for_once_and_tried_again_otherwise():
    store, tried = in_memory_store(), []

    def fail(name: str):
        tried.append(name)
        raise ValueError("declined")

    for _ in range(2):
        journal = await Journal.open(store, "r")
        with pytest.raises((ValueError, GuestError), match="declined"):
            await journal.effect("once", fail, "once", effect="once")
        with pytest.raises(ValueError, match="declined"):
            await journal.effect("again", fail, "again")
        await journal.release()
    assert tried == ["once", "again", "again"]


async def test_nobody_else_writes_while_a_journal_is_open():
    store = in_memory_store()
    async with Journal.open(store, "r"):
        with pytest.raises(LockedError):
            await Journal.open(store, "r")
        with pytest.raises(ConflictError, match="exists"):
            await Journal.open(store, "r", mode="begin")
    with pytest.raises(ConflictError, match="no run named"):
        await Journal.open(store, "none", mode="resume")


async def test_whoever_lost_the_run_writes_nothing():
    store = in_memory_store()
    first = await Journal.open(store, "r", lease=0.001)
    await asyncio.sleep(0.01)
    second = None
    while second is None:
        # The first one's heartbeat renews its lease: whoever comes in between has it.
        try:
            second = await Journal.open(store, "r", lease=0.001)
        except LockedError:
            await asyncio.sleep(0)
    with pytest.raises(FencedError):
        while True:
            await first.effect("mine", lambda: 1, effect="once")
    await second.release()


CHILD = """
import asyncio, sys
from atomr_agents.state import Journal

async def main():
    async with Journal.open(sys.argv[1], "order", target="shop", lease=0.2) as journal:
        await journal.effect("reserve", lambda: 41)
        async with journal.effect("charge", effect="once"):
            print("charging", flush=True)
            await asyncio.sleep(60)

asyncio.run(main())
"""


def killed(store: str) -> None:
    """A process that was killed while it charged somebody."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, store], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "charging\n"
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    child.stdout.close()


async def opened(store: str) -> Journal:
    """The lease of whoever was killed runs out."""
    while True:
        try:
            return await Journal.open(store, "order")
        except LockedError:
            await asyncio.sleep(0.02)


async def test_after_a_kill_what_is_done_is_served_and_what_is_unknown_is_said(tmp_path: Path):
    store = f"sqlite:{tmp_path / 'runs.db'}"
    killed(store)
    assert (await runs(store).verify("order")).open_effects == [("0:charge#0", "charge")]
    async with await opened(store) as journal:
        assert await journal.effect("reserve", lambda: pytest.fail("again")) == 41
        with pytest.raises(OutcomeUnknownError, match="charge"):
            await journal.effect("charge", lambda: pytest.fail("again"), effect="once")
        await journal.resolve("charge", {"receipt": 7})
        assert (await journal.effect("reserve", lambda: 1)) == 1
    async with Journal.open(store, "other") as journal:
        journal.output = [1, 2]
    assert {run.name: run.status for run in await runs(store).list()} == {"order": "finished", "other": "finished"}


async def test_wrong_arguments_are_refused():
    store = in_memory_store()
    for wrong in ({"durability": "some"}, {"when": "later"}, {"mode": "maybe"}, {"lease": 0}):
        with pytest.raises(ConfigError):
            await Journal.open(store, "r", **wrong)
    journal = in_memory_journal()
    for name, effect in (("", "none"), ("a#b", "none"), ("a", "twice")):
        with pytest.raises(ConfigError):
            journal.effect(name, effect=effect)
    await journal.release()
