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
    print("error: --agent is not there yet", file=sys.stderr)
    return 2
