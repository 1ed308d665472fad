"""A hundred plain functions of ten milliseconds, asked for in one answer: how long the turn takes.

`python tools_at_once.py [PEER…]` measures the peers beside each other, each in its own process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

import peers
from common import child, failures, provider, save, table, target
from provider import MANY

ROUNDS = 15
WARM_UP = 3
DEFAULT = ["ours", "openai-agents", "pydantic-ai", "langgraph"]
WITHIN_MS = 25
MAKERS = {
    "ours": peers.ours,
    "openai-agents": peers.openai_agents,
    "pydantic-ai": peers.pydantic_ai,
    "langgraph": peers.langgraph,
}


async def measure(peer: str, base_url: str) -> dict:
    turn = await MAKERS[peer](base_url, (peers.slow,))
    walls, cpus = [], []
    for at in range(WARM_UP + ROUNDS):
        started, started_cpu = time.perf_counter(), time.process_time()
        await peers.checked(turn)
        if at >= WARM_UP:
            walls.append((time.perf_counter() - started) * 1e3)
            cpus.append((time.process_time() - started_cpu) * 1e3)
    if len(peers.slow_ran) != (WARM_UP + ROUNDS) * MANY:
        raise AssertionError(f"the tool ran {len(peers.slow_ran)} times")
    return {"wall_ms": statistics.median(walls), "wall_ms_best": min(walls), "cpu_ms": statistics.median(cpus)}


def main(names: list[str]) -> dict[str, dict]:
    with provider() as base_url:
        rows = {peer: child("tools_at_once.py", "--measure", peer, base_url) for peer in names}
    ours = rows.get("ours", {}).get("wall_ms")
    lines = []
    for peer, row in rows.items():
        label = peers.PEERS[peer][0]
        if "failed" in row:
            lines.append([label, "failed", "", "", ""])
            continue
        figures = [f"{row[key]:.1f}" for key in ("wall_ms", "wall_ms_best", "cpu_ms")]
        lines.append([label, *figures, f"{row['wall_ms'] / ours:.1f} x" if ours else ""])
    columns = [f"{MANY} tools of 10 ms", "ms (median)", "ms (best)", "CPU ms", "beside ours"]
    table("A turn of plain functions that block, asked for in one answer", columns, lines)
    failures(rows)
    if ours:
        target(f"within {WITHIN_MS} ms: {ours:.1f}", met=ours <= WITHIN_MS)
    save("tools", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(*sys.argv[2:4]))))
    else:
        main(sys.argv[1:] or DEFAULT)
