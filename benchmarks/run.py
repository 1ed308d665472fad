"""Every benchmark, or those named: `python run.py [NAME…]`.

The figures also go to results/, as JSON.
"""

from __future__ import annotations

import sys

import agent_memory
import concurrent_turns
import decoders
import fan_out
import idle_sessions
import import_time
import ingestion
import llm_cache
import long_memory
import many_turns
import nearest
import resume
import retrieval
import splitting
import steps
import stored_bytes
import time_limit
import tools_at_once
import turn
from common import child, failures, save, table, target
from crash import kills
from peers import PEERS


def guest() -> dict[str, dict]:
    """Calls from Rust into Python beside the same thing in plain Python."""
    rows = child("guest_calls.py", "--json")
    if "failed" in rows:
        rows = {"ours": rows}
    lines = [
        [name, f"{row['ours_us']:.1f}", f"{row['plain_us']:.1f}", f"{row['ratio']:.2f} x"]
        for name, row in rows.items()
        if "ratio" in row
    ]
    table("Guest calls", ["", "us", "plain Python us", "ratio"], lines)
    failures(rows)
    for name, row in rows.items():
        if "target" in row:
            target(f"{name}: within {row['target']} x", met=row["ratio"] <= row["target"])
    save("guest", rows)
    return rows


def events() -> dict[str, dict]:
    """What telling a listener costs, beside asyncio and a bare loop."""
    rows = child("events.py", "--json")
    if "failed" in rows:
        rows = {"ours": rows}
    lines = [
        [name, f"{row['ours_us']:.3f}", f"{row['peer']} {row['plain_us']:.3f}", f"{row['ratio']:.2f} x"]
        for name, row in rows.items()
        if "ratio" in row
    ]
    table("Events, each to ten listeners", ["", "us per delivery", "plain Python us", "ratio"], lines)
    failures(rows)
    for name, row in rows.items():
        if "target_us" in row:
            target(f"{name}: within {row['target_us']} us", met=row["ours_us"] <= row["target_us"])
    save("events", rows)
    return rows


BENCHMARKS = {
    "turn": lambda: turn.main(list(PEERS)),
    "concurrent": lambda: concurrent_turns.main(concurrent_turns.DEFAULT),
    "many": many_turns.main,
    "limit": time_limit.main,
    "guest": guest,
    "events": events,
    "decoders": decoders.main,
    "import": lambda: import_time.main(list(import_time.IMPORTS)),
    "tools": lambda: tools_at_once.main(tools_at_once.DEFAULT),
    "ingestion": ingestion.ingestion,
    "llm_cache": llm_cache.llm_cache,
    "splitting": splitting.main,
    "steps": lambda: steps.main(list(steps.LOOPS)),
    "fan-out": lambda: fan_out.main(list(fan_out.PEERS)),
    "bytes": lambda: stored_bytes.main(list(stored_bytes.PEERS)),
    "retrieval": lambda: retrieval.main(list(retrieval.PEERS)),
    "idle-sessions": lambda: idle_sessions.main(list(idle_sessions.MAKERS)),
    "resume": lambda: resume.main(list(resume.PEERS)),
    "crash": kills.main,
    "nearest": nearest.main,
    "long_memory": lambda: long_memory.main(list(long_memory.COUNTS)),
    "memory": lambda: agent_memory.main(list(agent_memory.MAKERS)),
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
        return 2
    results = [BENCHMARKS[name]() for name in names or BENCHMARKS]
    ours = [rows["ours"] for rows in results if "ours" in rows]
    return 1 if any("failed" in row or row.get("errors") for row in ours) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
