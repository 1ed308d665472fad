"""Forks a life for every line of its standard input, so that imports are paid for once: `nursery.py PEER`.

It says `born PID T` for each, and `ended STATUS` when it is over, on the standard output that it shares with them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback

from crash.lives import PEERS, Life, say


def main(peer: str) -> None:
    for name in PEERS[peer].imports:
        importlib.import_module(name)
    say("ready")
    for line in sys.stdin:
        life = Life(**json.loads(line))
        child = os.fork()
        if child == 0:
            say(f"born {os.getpid()} {time.monotonic_ns()}")
            try:
                PEERS[peer].live(life)
                say("done")
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say(f"ended {status}")


if __name__ == "__main__":
    main(sys.argv[1])
