"""A thousand streamed agent turns at once on one event loop: turns per second, memory above idle, errors.

`python concurrent_turns.py [PEER…]` measures the peers beside each other, each in its own process. Idle is after
the peer is imported, set up and has run one turn.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path

from common import child, failures, provider, save, table, target
from peers import PEERS, checked, many_files

AT_ONCE = 1_000
DEFAULT = ["ours", "bare", "sdk", "pydantic-ai"]


def memory(field: str) -> float:
    """A field of the process's own status in MB: VmRSS now, VmHWM the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {field}")


async def measure(peer: str, base_url: str) -> dict:
    turn = await PEERS[peer][1](base_url)
    await checked(turn)
    gc.collect()
    idle = memory("VmRSS")
    # Forgets the highest mark that importing and setting up have left.
    Path("/proc/self/clear_refs").write_text("5")
    started, started_cpu = time.perf_counter(), time.process_time()
    outcomes = await asyncio.gather(*(checked(turn) for _ in range(AT_ONCE)), return_exceptions=True)
    wall = time.perf_counter() - started
    cpu = time.process_time() - started_cpu
    errors = [outcome for outcome in outcomes if outcome is not None]
    return {
        "turns_per_s": (AT_ONCE - len(errors)) / wall,
        "cpu_s": cpu,
        "wall_s": wall,
        "above_idle_mb": memory("VmHWM") - idle,
        "errors": len(errors),
        "first_error": repr(errors[0])[:200] if errors else None,
    }


def main(peers: list[str]) -> dict[str, dict]:
    with provider() as base_url, many_files():
        rows = {peer: child("concurrent_turns.py", "--measure", peer, base_url) for peer in peers}
    ours = rows.get("ours", {})
    lines = []
    for peer, row in rows.items():
        if "failed" in row:
            lines.append([PEERS[peer][0], "failed", "", "", "", ""])
            continue
        rate = (
            f"{ours['turns_per_s'] / row['turns_per_s']:.2f} x"
            if ours.get("turns_per_s") and row["turns_per_s"]
            else ""
        )
        share = f"{ours['above_idle_mb'] / row['above_idle_mb']:.2f} x" if "above_idle_mb" in ours else ""
        figures = [f"{row['turns_per_s']:.0f}", f"{row['above_idle_mb']:.0f}", str(row["errors"])]
        lines.append([PEERS[peer][0], *figures, rate, share])
    columns = [f"{AT_ONCE} turns at once", "turns/s", "MB above idle", "errors", "our rate", "our memory"]
    table("Streamed turns at once on one event loop", columns, lines)
    failures(rows)
    by_hand = rows.get("sdk", {})
    if "turns_per_s" in ours and by_hand.get("turns_per_s"):
        rate = ours["turns_per_s"] / by_hand["turns_per_s"]
        share = ours["above_idle_mb"] / by_hand["above_idle_mb"]
        target(f"at least 15 times the rate of {PEERS['sdk'][0]}: {rate:.1f}", met=rate >= 15)
        target(f"at most a third of its memory: {share:.2f}", met=share <= 1 / 3)
        target(f"no error: {ours['errors']}", met=ours["errors"] == 0)
    save("concurrent", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        with many_files():
            print(json.dumps(asyncio.run(measure(*sys.argv[2:4]))))
    else:
        main(sys.argv[1:] or DEFAULT)
