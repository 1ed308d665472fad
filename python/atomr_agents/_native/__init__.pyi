"""The Rust core. Use the modules of `atomr_agents`, which re-export it."""

from types import ModuleType

from . import agent as agent
from . import cache as cache
from . import callable_ as callable_
from . import cli as cli
from . import core as core
from . import embed as embed
from . import errors as errors
from . import guest as guest
from . import harness as harness
from . import ingest as ingest
from . import memory as memory
from . import observability as observability
from . import parser as parser
from . import retriever as retriever
from . import state as state
from . import strategy as strategy
from . import testkit as testkit
from . import tool as tool
from . import workflow as workflow

__all__ = [
    "__path__",  # noqa: F822  (every module that is a package has it)
    "__version__",
    "_bridge_test",
    "agent",
    "cache",
    "callable_",
    "cli",
    "core",
    "embed",
    "errors",
    "guest",
    "harness",
    "ingest",
    "memory",
    "observability",
    "parser",
    "retriever",
    "state",
    "strategy",
    "testkit",
    "tool",
    "workflow",
]

__version__: str
_bridge_test: ModuleType
"""What the tests of the bridge call; nothing for users."""
