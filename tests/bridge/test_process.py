"""Interpreter exit with work under way, and fork: nothing hangs, nothing crashes."""

import os
import subprocess
import sys
import time

import pytest

HEAD = """
import asyncio, os, signal, sys, threading, time
from atomr_agents._native import _bridge_test as bt
async def guest(n=0):
    await asyncio.sleep(60)
def block(n=0):
    time.sleep(60)
def busy(n=0):
    while True:
        sum(range(1000))
"""


EXITS = {
    "tasks left in a loop that was never closed": """
loop = asyncio.new_event_loop()
tasks = [loop.create_task(bt.sleep(60)) for _ in range(100)]
tasks += [loop.create_task(bt.fan_out(guest, 2, spawn=True)) for _ in range(20)]
loop.run_until_complete(asyncio.sleep(0.05))
for task in tasks: task._log_destroy_pending = False
""",
    "sys.exit inside a running loop": """
async def main():
    tasks = [asyncio.create_task(bt.fan_out(guest, 2)) for _ in range(50)]
    await asyncio.sleep(0.03)
    sys.exit(0)
asyncio.run(main())
""",
    "a sleeping synchronous guest": """
async def main():
    try:
        await asyncio.wait_for(bt.fan_out(block, 5, spawn=True), 0.05)
    except TimeoutError:
        pass
asyncio.run(main())
""",
    "a busy synchronous guest": """
async def main():
    try:
        await asyncio.wait_for(bt.fan_out(busy, 2, spawn=True), 0.1)
    except TimeoutError:
        pass
asyncio.run(main())
""",
    "a loop still running in a daemon thread": """
async def main():
    await asyncio.gather(*(bt.fan_out(guest, 3) for _ in range(20)), bt.sleep(60), bt.fan_out(block, 2))
def thread():
    try:
        asyncio.run(main())
    except RuntimeError:
        pass  # it is told that the runtime has stopped
threading.Thread(target=thread, daemon=True).start()
time.sleep(0.1)
""",
    "rust work that never yields": """
async def main():
    asyncio.create_task(bt.spin(0.3))
    await asyncio.sleep(0.05)
    os.write(1, b"")
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
for task in asyncio.all_tasks(loop): task._log_destroy_pending = False
""",
    "an awaitable after the end": """
import atexit
def after():
    async def late():
        try:
            await bt.unit()
        except RuntimeError as error:
            print(type(error).__name__, flush=True)
    asyncio.run(late())
atexit.register(after)
asyncio.run(bt.unit())
""",
}


def run(code, timeout=20):
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, timeout=timeout)
    return done, time.monotonic() - started


@pytest.mark.parametrize("name", EXITS)
def test_interpreter_exit_with_work_under_way(name):
    slowest = 0.0
    for _ in range(20 if name != "a busy synchronous guest" else 8):
        done, seconds = run(EXITS[name])
        slowest = max(slowest, seconds)
        assert done.returncode == 0, (done.returncode, done.stderr)
        assert "panicked" not in done.stderr and "Traceback" not in done.stderr, done.stderr
        if name == "an awaitable after the end":
            assert done.stdout.strip() == "RuntimeShutDownError"
    assert slowest < 5, slowest


FORK_CHECK = """
def child():
    started = time.monotonic()
    try:
        asyncio.run(bt.identity(1))
    except RuntimeError as error:
        code = 7 if type(error).__name__ == "RuntimeForkedError" and time.monotonic() - started < 1 else 8
    else:
        code = 9
    return code
def forked():
    pid = os.fork()
    if pid == 0:
        code = child()
        os._exit(code) if os.environ.get("HARD") else sys.exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""

FORKS = {
    "after a run": """
asyncio.run(bt.fan_out(guest_quick, 5, spawn=True))
print({forked() for _ in range(10)})
asyncio.run(bt.unit())
""",
    "with work under way in another thread": """
async def main():
    while not stop:
        await bt.fan_out(guest_quick, 5, spawn=True)
        await bt.fan_out(hex, 5, spawn=True)
stop = []
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
time.sleep(0.1)
print({forked() for _ in range(10)})
stop.append(1)
thread.join()
""",
    "inside a running loop": """
async def main():
    task = asyncio.create_task(bt.fan_out(guest, 5, spawn=True))
    await asyncio.sleep(0.05)
    found = {forked() for _ in range(5)}
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    print(found)
asyncio.run(main())
""",
    "multiprocessing": """
import multiprocessing
asyncio.run(bt.unit())
def target():
    sys.exit(child())
found = set()
for _ in range(5):
    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    process.join(10)
    found.add(process.exitcode)
print(found)
""",
}

QUICK = """
async def guest_quick(n=0):
    await asyncio.sleep(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("name", FORKS)
def test_a_forked_child_is_refused_at_once(name):
    hard = "os.environ['HARD'] = '1'\n" if name == "inside a running loop" else ""
    done, _ = run(FORK_CHECK + QUICK + hard + FORKS[name], timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{7}", (done.stdout, done.stderr)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_of_a_parent_that_had_not_started_works():
    done, _ = run(FORK_CHECK + "print({forked() for _ in range(5)})")
    assert done.stdout.strip() == "{9}", (done.stdout, done.stderr)


def test_importing_it_loads_nothing_heavy():
    code = "import sys; base = set(sys.modules); import atomr_agents._native; print(*sorted(set(sys.modules) - base))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"asyncio", "threading", "inspect", "pydantic", "numpy"} & set(out.split())
