"""Many calls: few wake-ups, and afterwards nothing is left."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import tracemalloc

from atomr_agents._native import _bridge_test as bt


async def quick(n=None):
    return n


def test_a_hundred_calls_are_one_wake_up():
    async def main():
        await bt.fan_out(quick, 100)
        assert await bt.fan_out_corked(quick, 100) <= 2
        # As tasks of their own: one per poll at worst, few in practice.
        assert await bt.fan_out_corked(quick, 100, spawn=True) <= 30

    asyncio.run(main())


def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def resident():
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def test_ten_thousand_calls_leave_nothing_behind():
    class Token:
        alive = 0

        def __init__(self):
            Token.alive += 1

        def __del__(self):
            Token.alive -= 1

    async def guest(n):
        await asyncio.sleep(0)
        return Token()

    async def failing(n):
        raise ValueError(Token())

    def threaded(n):
        return Token()

    async def batch():
        await bt.fan_out(guest, 300, spawn=True)
        await bt.fan_out(guest, 200)
        await bt.fan_out(threaded, 40, spawn=True)
        await asyncio.gather(*(bt.fan_out(failing, 2) for _ in range(10)), return_exceptions=True)
        await bt.drop_on_thread(Token())

    async def settled():
        await asyncio.sleep(0.05)
        await bt.unit()
        gc.collect()

    async def main():
        for _ in range(3):
            await batch()
        await settled()
        fds, memory, threads = descriptors(), resident(), threading.active_count()
        tracemalloc.start()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(18):
            await batch()
        await settled()
        grown = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
        assert Token.alive == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert bt.stats()["in_flight"] == 0 and bt.stats()["abandoned"] == 0
        assert descriptors() == fds
        assert threading.active_count() <= max(threads, 128 + 2)
        assert grown < 300_000, f"{grown} bytes of Python objects"
        assert resident() - memory < 30_000_000

    asyncio.run(main())


def test_a_thousand_awaitables_at_once_on_one_loop():
    async def main():
        async def guest(n):
            await asyncio.sleep(0)
            return n

        found = await asyncio.gather(*(bt.fan_out(guest, 3, spawn=True) for _ in range(1000)))
        assert found == [[0, 1, 2]] * 1000

    asyncio.run(main())


def test_the_number_of_worker_threads_is_bounded():
    busy, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def guest(n):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        gate.wait(0.02)
        with lock:
            busy -= 1
        return n

    async def main():
        assert await bt.fan_out(guest, 300, spawn=True) == list(range(300))

    asyncio.run(main())
    assert 2 <= most <= 128 and bt.stats()["threads"] <= 128


LIMITED = """
import asyncio, os, threading, time
from atomr_agents._native import _bridge_test as bt
seen = set()
def guest(n):
    seen.add(threading.get_ident())
    time.sleep(0.005)
    return n
assert asyncio.run(bt.fan_out(guest, 40, spawn=True)) == list(range(40))
tasks = "/proc/self/task"
workers = os.listdir(tasks) if os.path.isdir(tasks) else []
names = [open(f"/proc/self/task/{t}/comm").read().strip() for t in workers]
print(len(seen), names.count("atomr-worker"))
"""


def test_both_pools_are_bounded_by_the_environment():
    env = os.environ | {"ATOMR_AGENTS_SYNC_THREADS": "3", "ATOMR_AGENTS_WORKER_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, env=env, timeout=30)
    assert done.returncode == 0, done.stderr
    threads, workers = map(int, done.stdout.split())
    assert 1 <= threads <= 3
    assert workers == (1 if os.path.isdir("/proc/self/task") else 0)
