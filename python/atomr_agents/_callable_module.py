"""Modules that are also the decorator of their name.

Importing `atomr_agents.tool` rebinds the attribute `tool` of the package to the module, whatever stood there. So
the module itself can be called, and both orders of import give an object that works as either.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class CallableModule(type(sys)):  # type: ignore[misc]
    """A module that passes calls on to the function of its own name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["__wrapped__"](*args, **kwargs)


def make_callable(name: str, function: Callable[..., Any]) -> None:
    """Lets the module of this name be called as `function`, whose signature it shows."""
    module = sys.modules[name]
    module.__class__ = CallableModule
    module.__dict__["__wrapped__"] = function
