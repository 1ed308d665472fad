"""How the state of a graph looks to its steps."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._native.state import StateSchema


class Values(dict):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    """The channels that hold something. One that nothing was written to is not in it, and reads as None."""

    __slots__ = ()
    channels: frozenset[str] = frozenset()

    def __missing__(self, channel: str) -> None:
        if channel not in self.channels:
            raise KeyError(channel)


def shape_of(state: Any) -> tuple[type[Values], Callable[[Any], Any] | None, StateSchema]:
    """The class of the dict that steps are given; what makes an instance of the user's class of it, if that is no
    dict; and the channels."""
    import dataclasses

    from ._native.state import StateSchema

    schema = state if isinstance(state, StateSchema) else StateSchema(state)
    values = type("Values", (Values,), {"__slots__": (), "channels": frozenset(schema.channels)})
    make: Callable[[Any], Any] | None = None
    described: Any = state
    if isinstance(state, type) and dataclasses.is_dataclass(state):
        make = _of_dataclass(state)
    elif hasattr(described, "model_validate"):
        make = described.model_validate
    return values, make, schema


def _of_dataclass(state: type) -> Callable[[Any], Any]:
    import dataclasses

    required = [
        field.name
        for field in dataclasses.fields(state)  # pyright: ignore[reportArgumentType]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def make(values: Values) -> Any:
        return state(**{name: None for name in required if name not in values} | values)

    return make
