"""A loop of super-steps with a checkpoint after each: microseconds per step, beside a bare loop of inserts.

`python steps.py [PLACE…]` measures everybody who keeps checkpoints in that place, each in its own process.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time

from common import child, failures, save, table
from step_loops import LOOPS

SHORT, LONG = 300, 1_000
ROUNDS = 5
LONG_ROUNDS = 2
WARM_UP = 20


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
    save("steps", rows)
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(*sys.argv[2:4])))
    else:
        main(sys.argv[1:] or list(LOOPS))
