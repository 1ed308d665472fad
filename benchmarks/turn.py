"""One streamed agent turn: request, two parallel tool calls, request, answer.

The figure is the client's CPU time.

`python turn.py [PEER…]` measures the peers beside each other, each in its own process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

from common import child, failures, provider, save, table, target
from peers import PEERS, check_tools, checked

ROUNDS = 5
# A round must last longer than the clock's grain, and the slowest peer must be done soon.
TURNS = {"ours": 300, "bare": 300, "sdk": 40}
WARM_UP = 10


async def measure(peer: str, base_url: str) -> dict:
    turn = await PEERS[peer][1](base_url)
    for _ in range(WARM_UP):
        await checked(turn)
    turns = TURNS.get(peer, 20)
    cpu, wall = [], []
    for _ in range(ROUNDS):
        started, started_cpu = time.perf_counter(), time.process_time()
        for _ in range(turns):
            await checked(turn)
        cpu.append((time.process_time() - started_cpu) / turns * 1e3)
        wall.append((time.perf_counter() - started) / turns * 1e3)
    check_tools(WARM_UP + ROUNDS * turns)
    return {"cpu_ms": statistics.median(cpu), "cpu_ms_best": min(cpu), "wall_ms": statistics.median(wall)}


def main(peers: list[str]) -> dict[str, dict]:
    with provider() as base_url:
        rows = {peer: child("turn.py", "--measure", peer, base_url) for peer in peers}
    ours = rows.get("ours", {}).get("cpu_ms")
    lines = []
    for peer, row in rows.items():
        if "failed" in row:
            lines.append([PEERS[peer][0], "failed", "", "", ""])
            continue
        ratio = f"{row['cpu_ms'] / ours:.1f} x" if ours else ""
        figures = [f"{row[key]:.2f}" for key in ("cpu_ms", "cpu_ms_best", "wall_ms")]
        lines.append([PEERS[peer][0], *figures, ratio])
    columns = ["one streamed turn", "CPU ms (median)", "CPU ms (best)", "wall ms", "CPU beside ours"]
    table("Client CPU per turn, against a zero-latency provider on loopback", columns, lines)
    failures(rows)
    for peer, row in rows.items():
        factor = {"ours": 0, "bare": 0, "sdk": 10}.get(peer, 25)
        if ours and factor and "cpu_ms" in row:
            label = f"at most 1/{factor} of the CPU time of {PEERS[peer][0]}"
            target(f"{label}: 1/{row['cpu_ms'] / ours:.1f}", met=ours * factor <= row["cpu_ms"])
    save("turn", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(*sys.argv[2:4]))))
    else:
        main(sys.argv[1:] or list(PEERS))
