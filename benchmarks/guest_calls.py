"""What a guest call costs, beside the same thing in plain Python, in one run.

1. Round trip: another thread has a coroutine run on the loop and waits for its result. Plain Python:
   `call_soon_threadsafe` plus a future. Here: a Rust task calls an async guest.
2. Fan-out: a hundred coroutines at once. Plain Python: `asyncio.gather`. Here: a Rust task calls a hundred guests.

Rounds of both sides alternate, so that a busy machine slows both; medians are compared.
"""

import argparse
import asyncio
import concurrent.futures
import json
import statistics
import threading
import time

from atomr_agents._native import _bridge_test as bt


async def guest(n=None):
    return n


async def plain_round_trips(count):
    """Mean seconds of a round trip from another thread, in plain Python."""
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def thread():
        started = time.perf_counter()
        for _ in range(count):
            done = concurrent.futures.Future()

            def start(done=done):
                task = loop.create_task(guest())
                task.add_done_callback(lambda task: done.set_result(task.result()))

            loop.call_soon_threadsafe(start)
            done.result()
        loop.call_soon_threadsafe(answer.set_result, (time.perf_counter() - started) / count)

    threading.Thread(target=thread).start()
    return await answer


async def timed(start):
    started = time.perf_counter()
    await start()
    return time.perf_counter() - started


async def measure(rounds):
    rows = {}

    async def compare(name, target, ours, plain):
        mine, theirs = [], []
        for n in range(rounds + 2):
            a, b = await ours(), await plain()
            if n >= 2:
                mine.append(a)
                theirs.append(b)
        ours_us, plain_us = statistics.median(mine) * 1e6, statistics.median(theirs) * 1e6
        rows[name] = {
            "ours_us": round(ours_us, 1),
            "plain_us": round(plain_us, 1),
            "ratio": round(ours_us / plain_us, 2),
            "target": target,
        }

    await compare(
        "round trip of one async guest", 1.5, lambda: bt.round_trips(guest, 500), lambda: plain_round_trips(500)
    )

    async def gather():
        return await timed(lambda: asyncio.gather(*(guest(n) for n in range(100))))

    await compare("100 async guests at once, one task", 3.0, lambda: timed(lambda: bt.fan_out(guest, 100)), gather)
    await compare(
        "100 async guests at once, a task each",
        3.0,
        lambda: timed(lambda: bt.fan_out(guest, 100, spawn=True)),
        gather,
    )
    rows["wake-ups for 100 guests"] = {
        "one task": await bt.fan_out_corked(guest, 100),
        "a task each": await bt.fan_out_corked(guest, 100, spawn=True),
    }
    quick = await bt.round_trips(lambda: None, 500, inline=True)
    thread = await bt.round_trips(lambda: None, 500)
    rows["round trip of a sync guest"] = {"thread_us": round(thread * 1e6, 1), "inline_us": round(quick * 1e6, 1)}
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.rounds))
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        if "ratio" in row:
            verdict = "ok" if row["ratio"] <= row["target"] else "MISSED"
            print(
                f"{name:40} {row['ours_us']:9.1f} us   plain {row['plain_us']:9.1f} us   "
                f"x{row['ratio']:.2f} (target x{row['target']}) {verdict}"
            )
        else:
            print(f"{name:40} " + "   ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
