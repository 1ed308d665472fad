"""Kills each peer so many times and says what that cost: `python -m crash.kills [KILLS]` in the folder above."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import stores
from common import HERE, failures, save, table
from crash.ledger import attempts
from crash.lives import PEERS, Life

KILLS = 100
STEPS = 200
SEED = 20_261_130
# Kills come within so many seconds of a birth: about what a whole run takes.
WINDOW_S = 0.6
# Longer than any life: a peer that hangs is a failure, not a hung benchmark.
PATIENCE_S = 120


@dataclass
class Tally:
    """What the kills of one peer cost."""

    kills: int = 0
    runs_done: int = 0
    acked: int = 0
    lost_acked: int = 0
    effects: int = 0
    repeated: int = 0
    most_repeated: int = 0
    resumes_ms: list[float] = field(default_factory=list)


@contextlib.contextmanager
def nursery(peer: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "LANGSMITH_TRACING": "false"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "crash" / "nursery.py"), peer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{peer} did not start")
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=PATIENCE_S)


@dataclass
class Told:
    """What one life said before it ended."""

    status: int = 0
    resumed: int | None = None
    first_effect_ms: float | None = None
    acked: int = 0
    done: bool = False
    killed: bool = False


def live(process: subprocess.Popen[str], life: Life, kill_after: float) -> Told:
    """One life, killed after so many seconds if it still is there."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(life._asdict()) + "\n")
    process.stdin.flush()
    told, born, pid = Told(), 0, 0
    timer: threading.Timer | None = None
    for line in process.stdout:
        word, *rest = line.split()
        if word == "born":
            pid, born = int(rest[0]), int(rest[1])
            timer = threading.Timer(kill_after, os.kill, (pid, signal.SIGKILL))
            timer.start()
        elif word == "resumed":
            told.resumed = int(rest[0])
        elif word == "effect" and told.first_effect_ms is None:
            told.first_effect_ms = (int(rest[1]) - born) / 1e6
        elif word == "ack":
            told.acked = max(told.acked, int(rest[0]) + 1)
        elif word == "done":
            told.done = True
            # What is left of this life is its exit: the number may soon be somebody else's.
            if timer:
                timer.cancel()
        elif word == "ended":
            told.status = int(rest[0])
            break
    else:
        raise RuntimeError("the nursery ended")
    if timer:
        timer.cancel()
    told.killed = os.WIFSIGNALED(told.status)
    if not told.killed and told.status != 0:
        raise RuntimeError("a life failed; its standard error says why")
    return told


def measure(peer: str, store: str, ledger: Path, kills: int) -> Tally:
    """Runs of STEPS steps, one after the other, until so many kills have been made."""
    moments, tally = random.Random(SEED), Tally()
    with nursery(peer) as process:
        while tally.kills < kills:
            run, acked, first = uuid.uuid4().hex, 0, True
            done = False
            while not done and tally.kills < kills:
                before = attempts(ledger)
                told = live(process, Life(store, run, str(ledger), STEPS), moments.uniform(0, WINDOW_S))
                if told.resumed is not None:
                    tally.lost_acked += max(0, acked - told.resumed)
                    # Acknowledged is acknowledged: what is lost once is not counted again.
                    acked = max(told.resumed, told.acked)
                    if not first and told.first_effect_ms is not None:
                        tally.resumes_ms.append(told.first_effect_ms)
                after = attempts(ledger)
                again = sum(1 for key in after if after[key] > before[key] > 0)
                tally.most_repeated = max(tally.most_repeated, again)
                tally.kills += told.killed
                tally.runs_done += told.done
                first, done = False, told.done
            tally.acked += acked
    counts = attempts(ledger)
    tally.effects, tally.repeated = len(counts), sum(counts.values()) - len(counts)
    return tally


def store_of(peer: str, folder: Path) -> contextlib.AbstractContextManager[str]:
    if PEERS[peer].store == "postgres":
        return stores.postgres_dsn()
    return contextlib.nullcontext(str(folder / "store.db"))


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def main(kills: int = KILLS) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    lines = []
    for peer in PEERS:
        with tempfile.TemporaryDirectory(prefix="bench-") as name, store_of(peer, Path(name)) as store:
            try:
                tally = measure(peer, store, Path(name) / "ledger", kills)
            except RuntimeError as error:
                rows[peer] = {"failed": str(error)}
                lines.append([peer, "failed", *[""] * 7])
                continue
        resumes = tally.resumes_ms or [0.0]
        rows[peer] = {**asdict(tally), "seed": SEED, "steps": STEPS}
        rows[peer]["resume_p50_ms"], rows[peer]["resume_p99_ms"] = statistics.median(resumes), percentile(resumes, 0.99)
        counts = (tally.kills, tally.runs_done, tally.lost_acked, tally.effects, tally.repeated, tally.most_repeated)
        times = [f"{rows[peer][key]:.1f}" for key in ("resume_p50_ms", "resume_p99_ms")]
        lines.append([peer, *(f"{each:,}" for each in counts), *times])
    columns = ["SIGKILL at random", "kills", "runs done", "acked steps lost", "effects", "repeated", "most at once"]
    table(f"Runs of {STEPS} steps, killed and resumed", [*columns, "resume p50 ms", "p99 ms"], lines)
    failures(rows)
    save("crash", rows)
    return rows


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
