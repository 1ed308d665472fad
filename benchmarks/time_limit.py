"""How late the caller learns that a budget of wall time is used up: while the model says nothing, and while a plain
tool spins in its thread.

`python time_limit.py [RUNS]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from common import child, failures, save, table, target

RUNS = 60
LIMIT = 0.1


async def lateness(run) -> float:
    from atomr_agents.errors import BudgetExceededError

    began = time.perf_counter()
    try:
        await run()
    except BudgetExceededError:
        return (time.perf_counter() - began - LIMIT) * 1e3
    raise AssertionError("the run ended before its time was up")


async def measure(runs: int) -> dict[str, list[float]]:
    from atomr_agents import Agent, Budget, tool
    from atomr_agents.testkit import ScriptedModel

    budget = Budget(seconds=LIMIT)
    silent = Agent(ScriptedModel().text("x").delay(30).repeat(), budget=budget)
    late = {"a model that says nothing": [await lateness(lambda: silent.run("go")) for _ in range(runs)]}
    spinning = []
    for _ in range(max(1, runs // 6)):
        over = False

        @tool
        def spin() -> str:
            """Spins."""
            while not over:  # noqa: B023  each run has a flag of its own while it lasts
                pass
            return ""

        agent = Agent(ScriptedModel().tool_calls(("spin", {})), tools=[spin], budget=budget)
        spinning.append(await lateness(lambda agent=agent: agent.run("go")))
        over = True
        await asyncio.sleep(0.05)
    late["a plain tool that spins"] = spinning
    return late


def main(runs: int = RUNS) -> dict[str, dict]:
    rows = child("time_limit.py", "--measure", str(runs))
    if "failed" in rows:
        rows = {"ours": rows}
    else:
        rows = {name: {"p50_ms": sorted(each)[len(each) // 2], "max_ms": max(each)} for name, each in rows.items()}
        lines = [[name, f"{row['p50_ms']:.1f}", f"{row['max_ms']:.1f}"] for name, row in rows.items()]
        table("How late the end of a time budget is told", [f"{LIMIT * 1e3:.0f} ms", "median ms", "longest ms"], lines)
        for name, row in rows.items():
            target(f"{name}: within 50 ms: {row['max_ms']:.1f}", met=row["max_ms"] <= 50)
    failures(rows)
    save("limit", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(int(sys.argv[2])))))
    else:
        main(*(int(each) for each in sys.argv[1:2]))
