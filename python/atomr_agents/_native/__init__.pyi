"""The Rust core. Use the modules of `atomr_agents`, which re-export it."""

from . import agent as agent
from . import callable_ as callable_
from . import core as core
from . import errors as errors
from . import guest as guest
from . import observability as observability
from . import testkit as testkit
from . import tool as tool

__version__: str
