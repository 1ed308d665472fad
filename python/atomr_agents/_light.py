"""What the package takes from `typing`, without importing it: that module alone costs as much as all of ours.

A type checker sees the real thing. At run time `Agent[Db, str]` is a `types.GenericAlias`, as `list[int]` is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic as Generic
    from typing import ParamSpec as ParamSpec
    from typing import TypeVar as TypeVar
    from typing import overload as overload
else:

    class Subscriptable:
        """A class that can be written with its type arguments."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))

    class Generic:
        """`class Agent(Generic[Deps, Out])` becomes a subclass of `Subscriptable`."""

        def __class_getitem__(cls, parameters):
            return Subscriptable

    class TypeVar:
        """A name that stands for a type; only type checkers look at it."""

        __slots__ = ("__name__",)

        def __init__(self, name, **_bounds):
            self.__name__ = name

        args = kwargs = None

    ParamSpec = TypeVar

    def overload(function):
        """Marks a signature that only type checkers read."""
        return function
