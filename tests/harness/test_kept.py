"""Harnesses that are kept in a store and gone on with."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from atomr_agents import Budget, Harness, HarnessState, strategy
from atomr_agents.errors import (
    ConfigError,
    ConflictError,
    IncompatibleError,
    LockedError,
    OutcomeUnknownError,
)
from atomr_agents.harness import done, iteration_cap, no_progress, proceed
from atomr_agents.state import in_memory_store


def failing(at: int, ran: list[int]) -> Any:
    """Counts, and fails once before iteration `at` has ended."""
    broken = [True]

    def step(state: HarnessState) -> dict[str, Any]:
        ran.append(state.iteration + 1)
        if state.iteration + 1 == at and broken:
            broken.clear()
            raise OSError("busy")
        return proceed({"n": state.iteration + 1, "seen": [*state.working_memory["seen"], state.iteration + 1]})

    return step


async def test_what_has_ended_is_not_run_again():
    ran: list[int] = []
    harness = Harness(failing(4, ran), termination=iteration_cap(6), store=in_memory_store())
    with pytest.raises(OSError, match="busy") as caught:
        await harness.run({"seen": []}, run_id="r")
    assert caught.value.partial.iteration == 3  # type: ignore[attr-defined]
    outcome = await harness.resume("r")
    assert ran == [1, 2, 3, 4, 4, 5, 6]
    assert outcome.output == {"n": 6, "seen": [1, 2, 3, 4, 5, 6]}
    assert (outcome.run_id, outcome.iterations, outcome.reason) == ("r", 6, "iteration_cap")
    with pytest.raises(ConflictError, match="nothing to resume"):
        await harness.resume("r")
    with pytest.raises(ConflictError, match="exists"):
        await harness.run({"seen": []}, run_id="r")


async def test_budgets_and_terminations_carry_over():
    store, ran = in_memory_store(), list[int]()
    harness = Harness(failing(3, ran), budget=Budget(iterations=5), store=store)
    with pytest.raises(OSError):
        await harness.run({"seen": []}, run_id="r")
    outcome = await harness.resume("r")
    # Three were charged before, of which two ended.
    assert outcome.iterations == 4 and "5 iterations" in str(outcome.reason)

    broken = [True]

    def idle(state: HarnessState) -> dict[str, Any]:
        if state.iteration == 2 and broken:
            broken.clear()
            raise OSError("busy")
        return proceed(state.working_memory)

    harness = Harness(idle, termination=no_progress(4) | iteration_cap(9), store=store)
    with pytest.raises(OSError):
        await harness.run("same", run_id="idle")
    assert (await harness.resume("idle")).iterations == 4


async def test_what_cannot_be_resumed_says_why():
    store, ran = in_memory_store(), list[int]()
    loop = failing(2, ran)
    with pytest.raises(OSError):
        await Harness(loop, store=store).run({"seen": []}, run_id="r")
    with pytest.raises(IncompatibleError, match="version"):
        await Harness(loop, version="2", store=store).resume("r")
    with pytest.raises(IncompatibleError):
        await Harness(loop, id="other", store=store).resume("r")
    with pytest.raises(ConflictError, match="nobody"):
        await Harness(loop, store=store).resume("nobody")
    with pytest.raises(ConfigError, match="store"):
        await Harness(loop).resume("r")
    with pytest.raises(ConfigError, match="settle"):
        await Harness(loop, store=store).resume("r", settle={"kind": "nonsense"})
    with pytest.raises(ConfigError, match="in doubt"):
        await Harness(loop, store=store).resume("r", settle="again")
    with pytest.raises(ConfigError, match="a store is"):
        Harness(loop, store=7)


async def test_somebody_who_works_on_a_run_keeps_others_out():
    begun, go = asyncio.Event(), asyncio.Event()

    async def waits(state: HarnessState) -> dict[str, Any]:
        begun.set()
        await go.wait()
        return done("first")

    harness = Harness(waits, store=in_memory_store())
    task = asyncio.create_task(harness.run(run_id="r"))
    await begun.wait()
    with pytest.raises(LockedError):
        await harness.resume("r")
    go.set()
    assert (await task).output == "first"


@pytest.mark.parametrize("settle", ["again", proceed("found out"), done("found out")])
async def test_a_once_iteration_whose_outcome_is_lost_is_not_run_again_without_a_word(settle: Any):
    ran: list[int] = []

    @strategy(kind="loop")
    class Pays:
        effect = "once"

        def step(self, state: HarnessState) -> dict[str, Any]:
            ran.append(state.iteration + 1)
            if ran == [1, 2]:
                raise OSError("the answer was lost")
            return done([state.working_memory, len(ran)]) if state.iteration == 2 else proceed("paid")

    harness = Harness("Pays", store=in_memory_store())
    with pytest.raises(OSError, match="lost"):
        await harness.run(run_id="r")
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError, match="iteration 2"):
            await harness.resume("r")
    assert ran == [1, 2]
    outcome = await harness.resume("r", settle=settle)
    if settle == "again":
        assert (ran, outcome.output) == ([1, 2, 2, 3], ["paid", 4])
    elif settle["kind"] == "continue":
        assert (ran, outcome.output) == ([1, 2, 3], ["found out", 3])
    else:
        assert (ran, outcome.output, outcome.iterations) == ([1, 2], "found out", 2)


PROGRAM = """
import os, signal, sys
from atomr_agents import Harness
from atomr_agents.errors import ConflictError, LockedError
from atomr_agents.harness import proceed

folder, kill_at = sys.argv[1], int(sys.argv[2])


def step(state, ctx):
    at = state.iteration + 1
    with open(os.path.join(folder, "ledger"), "a") as ledger:
        ledger.write(f"{at} {ctx.idempotency_key}\\n")
    if at == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return proceed([*state.working_memory, at])


harness = Harness(step, termination="iteration_cap:6", store="sqlite:" + os.path.join(folder, "runs.db"))
if kill_at == 3:
    harness.run_sync([], run_id="r")
else:
    import time
    while True:
        try:
            print(harness.resume_sync("r").output)
            break
        except LockedError:
            time.sleep(0.2)  # the lease of the process that was killed runs out
"""


@pytest.mark.timeout(120)
def test_a_killed_process_is_followed_by_another_one(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))

    def life(kill_at: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(program), str(tmp_path), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    first = life(3)
    assert first.returncode == -signal.SIGKILL, first.stderr
    last = life(0)
    assert last.returncode == 0 and last.stdout.strip() == "[1, 2, 3, 4, 5, 6]", last.stderr
    lines = (tmp_path / "ledger").read_text().split("\n")
    attempts = [line.split(" ")[0] for line in lines if line]
    assert attempts == ["1", "2", "3", "3", "4", "5", "6"]
    assert len({line for line in lines if line.startswith("3 ")}) == 1, "under the same key"
