"""A loop of super-steps with a checkpoint after each: microseconds per step, beside a bare loop of inserts.

`python steps.py [PLACE…]` measures everybody who keeps checkpoints in that place, each in its own process.
"""

from __future__ import annotations

import gc
import json
import shutil
import statistics
import subprocess
import sys
import time

from common import child, failures, save, table, target
from step_loops import LOOPS

SHORT, LONG = 300, 1_000
ROUNDS = 5
LONG_ROUNDS = 2
WARM_UP = 20
MEMORY_RUST_US = 15
MEMORY_PYTHON_US = 60


def measure(place: str, peer: str) -> dict:
    with LOOPS[place][peer]() as run:
        run(WARM_UP)

        def per_step(steps: int, rounds: int) -> list[float]:
            times = []
            for _ in range(rounds):
                gc.collect()
                started = time.perf_counter()
                run(steps)
                times.append((time.perf_counter() - started) / steps * 1e6)
            return times

        short, long = per_step(SHORT, ROUNDS), per_step(LONG, LONG_ROUNDS)
    return {
        "us": statistics.median(short),
        "us_best": min(short),
        "us_long": statistics.median(long),
        "growth": min(long) / min(short),
    }


def rust(places: list[str]) -> dict[str, dict]:
    """The same with steps in Rust, and its floor, measured in turns by one program; empty where there is no cargo."""
    if shutil.which("cargo") is None:
        print("cargo is not there: steps in Rust are not measured")
        return {}
    package = ["--package", "atomr-agents-state-proof", "--example", "step_cost"]
    if "sqlite full" in places:
        places = [*places, "resume"]
    done = subprocess.run(
        ["cargo", "run", "--quiet", "--release", *package, "--", *places], capture_output=True, text=True
    )
    if done.returncode != 0:
        return {"Rust": {"failed": (done.stderr.strip().splitlines() or ["no figures"])[-1][:200]}}
    figures: dict[str, dict] = json.loads(done.stdout.strip().splitlines()[-1])
    lines = []
    for name, row in figures.items():
        floor = figures.get(f"{name.split(':')[0]}: bare, Rust", {}).get("us")
        ratio = f"{row['us'] / floor:.2f} x" if floor and "us" in row else ""
        cells = [f"{row[key]:.1f}" if key in row else "" for key in ("us", "us_best", "us_long")]
        lines.append([name, *cells, f"{row['ms']:.2f} ms" if "ms" in row else "", ratio])
    columns = ["in Rust", f"us per step of {SHORT}", "best", f"of {LONG:,}", "once", "beside the bare loop"]
    table("Steps in Rust", columns, lines)
    for place, most in {"sqlite normal": 2, "sqlite full": 1.2, "postgres": 1.3}.items():
        ours, floor = figures.get(f"{place}: ours, Rust steps"), figures.get(f"{place}: bare, Rust")
        if ours and floor:
            ratio = ours["us"] / floor["us"]
            target(f"{place}, Rust steps: within {most} x of a bare loop: {ratio:.2f} x", met=ratio <= most)
    if memory := figures.get("memory: ours, Rust steps"):
        target(
            f"memory, Rust steps: within {MEMORY_RUST_US} us: {memory['us']:.1f}", met=memory["us"] <= MEMORY_RUST_US
        )
    return figures


def main(places: list[str]) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    for place in places:
        here = {peer: child("steps.py", "--measure", place, peer) for peer in LOOPS[place]}
        floor = here.get("bare", {}).get("us")
        lines = []
        for peer, row in here.items():
            if "failed" in row:
                lines.append([peer, "failed", "", "", "", ""])
                continue
            figures = [f"{row[key]:.0f}" for key in ("us", "us_best", "us_long")]
            lines.append([peer, *figures, f"{row['growth']:.2f} x", f"{row['us'] / floor:.1f} x" if floor else ""])
        columns = [place, f"us per step of {SHORT}", "best", f"of {LONG:,}", "growth", "beside the bare loop"]
        table(f"Super-steps, checkpoint after each: {place}", columns, lines)
        failures(here)
        rows |= {f"{place}: {peer}": row for peer, row in here.items()}
    if (memory := rows.get("memory: ours")) and "us" in memory:
        met = memory["us"] <= MEMORY_PYTHON_US
        target(f"memory, async Python steps: within {MEMORY_PYTHON_US} us: {memory['us']:.1f}", met=met)
    rows |= rust(places)
    save("steps", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        main(sys.argv[1:] or list(LOOPS))
