"""The worker threads of synchronous guests: bounded, and never waiting for themselves."""

import os
import subprocess
import sys

NESTED = """
import asyncio, time
from atomr_agents._native import _bridge_test as bt

def leaf(n):
    time.sleep(0.01)
    return n

def outer(n):
    # A loop of its own on a worker thread, whose guests need worker threads too.
    return sum(asyncio.run(bt.fan_out(leaf, 3, spawn=True)))

def outermost(n):
    return sum(asyncio.run(bt.fan_out(outer, 2, spawn=True)))

async def main():
    assert await bt.fan_out(outermost, 8, spawn=True) == [6] * 8
    # The lent places are taken back: the bound holds again.
    assert await bt.fan_out(leaf, 20, spawn=True) == list(range(20))

asyncio.run(main())
print("ok", bt.stats()["threads"])
"""


def test_a_guest_that_waits_for_guests_does_not_take_their_place():
    env = os.environ | {"ATOMR_AGENTS_SYNC_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", NESTED], env=env, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("ok"), done.stderr
    assert int(done.stdout.split()[1]) <= 2


FULL = """
import asyncio, threading, time
from atomr_agents import Agent
from atomr_agents.errors import OverloadedError
from atomr_agents.testkit import ScriptedModel

gate = threading.Event()

def block(n: int) -> int:
    gate.wait()
    return n

async def main():
    calls = [("block", {"n": n}) for n in range(12)]
    agent = Agent(ScriptedModel().tool_calls(*calls), tools=[block], max_parallel_tools=12)
    began = time.monotonic()
    try:
        await agent.run("go")
    except OverloadedError as error:
        print("told", error, time.monotonic() - began < 5)
    gate.set()
    # The threads go on with what they had, and with what comes once they have taken some of it.
    while True:
        agent = Agent(ScriptedModel().tool_calls(("block", {"n": 7})).text("done"), tools=[block])
        try:
            print((await agent.run("go")).output)
            break
        except OverloadedError:
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_a_full_queue_of_calls_is_told_at_once():
    env = os.environ | {"ATOMR_AGENTS_SYNC_THREADS": "2", "ATOMR_AGENTS_SYNC_QUEUE": "4"}
    done = subprocess.run([sys.executable, "-c", FULL], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    told, last = done.stdout.strip().splitlines()
    assert told == "told the queue of the worker threads is full: 4 wait in it True"
    assert last == "done"
