"""The command `atomr-agents`: the runs of a store listed, shown, followed, forked, replayed, pruned, verified, saved.

Example:
    >>> from atomr_agents.cli import main
    >>> main(["runs", "list", "--store", "no/such.db"])
    1
"""

from __future__ import annotations

import sys

from ._native.cli import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.state import Store

__all__ = ["main", "run"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line says, and gives its exit code.

    0 done, 1 it could not be done, 2 the command line makes no sense, 3 damage or disagreement was found.
    """
    argv = ["atomr-agents", *(sys.argv[1:] if arguments is None else arguments)]
    try:
        done = run(argv)
    except KeyboardInterrupt:
        return 130
    if isinstance(done, int):
        return done
    store, run_id, agent, as_json = done
    return _replay(store, run_id, agent, as_json)


def _replay(store: Store, run_id: str, name: str, as_json: bool) -> int:
    """Goes through a recorded run again with an agent, without a model or a tool."""
    import asyncio
    import json

    from .errors import AgentError

    try:
        agent = _found(name)
        done = asyncio.run(agent.replay(run_id))
    except (ImportError, AttributeError, ValueError) as error:
        return _failed(f"--agent {name}: {error}", 2)
    except AgentError as error:
        return _failed(str(error), 1)
    found = done.divergence
    if as_json:
        names = ("at", "what", "recorded", "now")
        divergence = None if found is None else {name: getattr(found, name) for name in names}
        told = {"run": run_id, "agent": name, "agrees": found is None, "divergence": divergence}
        print(json.dumps({**told, "model_calls": done.model_calls, "tool_calls": done.tool_calls}))
    else:
        print(f"{run_id!r}: {done.model_calls} model calls and {done.tool_calls} tool calls are as recorded")
        if found is None:
            print("the agent does what is recorded")
        else:
            print(f"first difference at {found.at!r}: {found.what} was {found.recorded!r}, is {found.now!r}")
    return 0 if found is None else 3


def _found(name: str) -> Any:
    """The agent at `module:name`; modules of the current folder are found, too."""
    import importlib
    import os

    module, _, path = name.partition(":")
    if not module or not path:
        raise ValueError("it is written MODULE:NAME")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not hasattr(found, "replay"):
        raise ValueError(f"{type(found).__name__} has no replay(run_id); an agent has")
    return found


def _failed(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
