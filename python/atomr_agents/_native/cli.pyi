"""The command line."""

from .state import Store

__all__ = ["run"]

def run(argv: list[str]) -> int | tuple[Store, str, str, bool]:
    """Does what a command line says; gives its exit code, or a replay by an agent that is asked for."""
