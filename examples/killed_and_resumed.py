"""An agent is killed in the middle of a turn, twice, and another process goes on with it: what was paid is paid once.

    python examples/killed_and_resumed.py

The parent starts a child with `SIGKILL` waiting for it, and starts another one until the turn is over. The model is
scripted, so that no key is needed; everything else is what a program of your own would do.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from atomr_agents import Agent, tool
from atomr_agents.errors import ConflictError
from atomr_agents.state import runs
from atomr_agents.testkit import ScriptedModel


def note(folder: Path, line: str) -> None:
    """Something that happens in the world, and can be counted."""
    with (folder / "ledger").open("a") as ledger:
        ledger.write(f"{line}\n")


def shop(folder: Path, *, dies_in: str) -> Agent:
    @tool(effect="once")
    async def pay(usd: int) -> str:
        """Pays."""
        note(folder, f"paid {usd} USD")
        return "receipt 4711"

    @tool
    async def reserve(item: str) -> str:
        """Looks whether there is one, and puts it aside."""
        if dies_in == "reserve":
            await asyncio.sleep(0.3)  # long enough for the payment beside it to be written down
            os.kill(os.getpid(), signal.SIGKILL)
        note(folder, f"reserved {item}")
        return "put aside"

    @tool(effect="idempotent")
    async def ship(item: str) -> str:
        """Sends it."""
        if dies_in == "ship":
            os.kill(os.getpid(), signal.SIGKILL)
        note(folder, f"shipped {item}")
        return "on its way"

    model = (
        ScriptedModel()
        .tool_calls(("pay", {"usd": 20}), ("reserve", {"item": "lamp"}), text="I order the lamp.")
        .tool_calls(("ship", {"item": "lamp"}))
        .text("Your lamp is on its way. Receipt 4711.")
        .by_conversation()
    )
    return Agent(model, tools=[pay, reserve, ship], store=folder / "runs.db")


def child(folder: Path, dies_in: str) -> None:
    agent = shop(folder, dies_in=dies_in)
    try:
        result = agent.resume_sync("order-17")
    except ConflictError:  # nobody has begun it yet
        result = agent.run_sync("A lamp, please.", run_id="order-17")
    print(result.output)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for dies_in in ("reserve", "ship", "nowhere"):
            command = [sys.executable, __file__, str(folder), dies_in]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == -signal.SIGKILL:
                (run,) = runs(folder / "runs.db").list_sync()
                print(f"killed in {dies_in!r}; the run is {run.status}; so far:", *ledger(folder), sep="\n  ")
            else:
                print(f"another process has ended it: {done.stdout.strip()}{done.stderr}")
        print("what happened in the world:", *ledger(folder), sep="\n  ")
        assert sorted(ledger(folder)) == ["paid 20 USD", "reserved lamp", "shipped lamp"]


def ledger(folder: Path) -> list[str]:
    return (folder / "ledger").read_text().splitlines()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
