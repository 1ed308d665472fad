"""What it costs to tell a listener one event, beside what asyncio itself takes.

Events come from threads of the core, while the listeners are Python:

1. ten `async for` listeners, beside ten bare `asyncio.Queue`s filled by a coroutine;
2. ten listeners that take whole batches, beside the same;
3. ten plain callbacks, beside a bare loop that calls the same functions.

A delivery is one event told to one listener. Rounds of both sides alternate, so that a busy machine slows both; medians
are compared. The bus is as large as the number of events: nobody misses any, and what is measured is the delivery.
"""

import argparse
import asyncio
import json
import statistics
import time

from atomr_agents import EventBus
from atomr_agents.testkit import flood, sample_events

LISTENERS = 10


async def streams(events):
    """Ten `async for` loops; seconds for all of them to have seen everything."""
    bus = EventBus(capacity=events)

    async def listen(stream):
        count = 0
        async for _ in stream:
            count += 1
            if count == events:
                return count
        return count

    return await race(bus, events, [listen(bus.stream()) for _ in range(LISTENERS)])


async def batches(events):
    """Ten loops over what comes at once."""
    bus = EventBus(capacity=events)

    async def listen(stream):
        count = 0
        async for batch in stream.batches():
            for _ in batch:
                count += 1
            if count == events:
                return count
        return count

    return await race(bus, events, [listen(bus.stream()) for _ in range(LISTENERS)])


async def race(bus, events, listeners):
    tasks = [asyncio.create_task(listener) for listener in listeners]
    await asyncio.sleep(0)
    started = time.perf_counter()
    await flood(bus, events, producers=2)
    counts = await asyncio.gather(*tasks)
    took = time.perf_counter() - started
    assert counts == [events] * LISTENERS, counts
    return took


async def queues(events):
    """Ten bare queues and one coroutine that fills them, and lets the readers have a turn now and then."""
    event = sample_events()[0]
    listening = [asyncio.Queue() for _ in range(LISTENERS)]

    async def listen(queue):
        count = 0
        while count < events:
            await queue.get()
            count += 1
        return count

    tasks = [asyncio.create_task(listen(queue)) for queue in listening]
    await asyncio.sleep(0)
    started = time.perf_counter()
    for at in range(events):
        for queue in listening:
            queue.put_nowait(event)
        if at % 256 == 255:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return time.perf_counter() - started


def callback():
    count = 0

    def told(event):
        nonlocal count
        count += 1

    return told, lambda: count


async def callbacks(events):
    """Ten plain functions."""
    bus = EventBus(capacity=events)
    pairs = [callback() for _ in range(LISTENERS)]
    handles = [bus.subscribe(told) for told, _ in pairs]
    started = time.perf_counter()
    await flood(bus, events, producers=2)
    await asyncio.gather(*(handle.flush() for handle in handles))
    took = time.perf_counter() - started
    assert [count() for _, count in pairs] == [events] * LISTENERS
    for handle in handles:
        await handle.detach()
    return took


async def loop(events):
    """The same functions, called by a loop."""
    listed = [sample_events()[0]] * events
    functions = [callback()[0] for _ in range(LISTENERS)]
    started = time.perf_counter()
    for event in listed:
        for function in functions:
            function(event)
    return time.perf_counter() - started


ROWS = {
    "async for": (streams, queues, "asyncio.Queue", 0.5),
    "batches": (batches, queues, "asyncio.Queue", 0.5),
    "callbacks": (callbacks, loop, "bare loop", 0.15),
}


async def measure(events, rounds):
    rows = {}
    for name, (ours, theirs, peer, target) in ROWS.items():
        mine, others = [], []
        for n in range(rounds + 1):
            a, b = await ours(events), await theirs(events)
            if n >= 1:
                mine.append(a)
                others.append(b)
        per = 1e6 / (events * LISTENERS)
        rows[name] = {
            "ours_us": round(statistics.median(mine) * per, 3),
            "plain_us": round(statistics.median(others) * per, 3),
            "ratio": round(statistics.median(mine) / statistics.median(others), 2),
            "peer": peer,
            "target_us": target,
        }
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.events, options.rounds))
    if options.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        verdict = "ok" if row["ours_us"] <= row["target_us"] else "MISSED"
        print(
            f"{name:12} {row['ours_us']:7.3f} us   {row['peer']} {row['plain_us']:7.3f} us   "
            f"(target {row['target_us']} us) {verdict}"
        )


if __name__ == "__main__":
    main()
