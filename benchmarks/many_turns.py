"""Ten thousand turns at once on one event loop, against a model in this process whose answer of a hundred pieces takes
three seconds: time, memory, errors.

`python many_turns.py [TURNS]`. From Rust: `cargo run --release -p atomr-agents --example many_turns`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from common import child, failures, save, table, target
from concurrent_turns import memory

TURNS = 10_000
PIECES = 100


async def measure(turns: int) -> dict:
    from atomr_agents import Agent
    from atomr_agents.testkit import ScriptedModel

    words = " ".join(["word"] * PIECES)
    agent = Agent(ScriptedModel().text(words).repeat().delay(3 / (PIECES + 3)))
    await agent.run("hello")
    gc.collect()
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    began = time.perf_counter()
    outcomes = await asyncio.gather(*(agent.run("hello") for _ in range(turns)), return_exceptions=True)
    wall = time.perf_counter() - began
    wrong = [each for each in outcomes if isinstance(each, BaseException) or each.output != words]
    return {
        "turns": turns,
        "wall_s": wall,
        "kib_each": (memory("VmHWM") - before) * 1024 / turns,
        "errors": len(wrong),
        "first_error": repr(wrong[0])[:200] if wrong else None,
    }


def main(turns: int = TURNS) -> dict[str, dict]:
    row = child("many_turns.py", "--measure", str(turns))
    if "failed" not in row:
        figures = [f"{row['wall_s']:.1f}", f"{row['kib_each']:.1f}", str(row["errors"])]
        table(
            "Turns at once in one process", [f"{turns} turns", "s", "KiB each", "errors"], [["atomr-agents", *figures]]
        )
        target(f"at most 8 s: {row['wall_s']:.1f}", met=row["wall_s"] <= 8)
        target(f"at most 30 KiB for each: {row['kib_each']:.1f}", met=row["kib_each"] <= 30)
        target(f"no error: {row['errors']}", met=row["errors"] == 0)
    failures({"ours": row})
    save("many", {"ours": row})
    return {"ours": row}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(int(sys.argv[2])))))
    else:
        main(*(int(each) for each in sys.argv[1:2]))
