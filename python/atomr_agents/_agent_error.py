"""The root of the errors. `atomr_agents.errors` shows it as its own."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._native.agent import Partial


class AgentError(Exception):
    """The root of every error that this package raises.

    Example:
        >>> from atomr_agents import AgentError
        >>> from atomr_agents.errors import RateLimitedError
        >>> issubclass(RateLimitedError, AgentError), RateLimitedError.retryable
        (True, True)
    """

    __module__ = "atomr_agents.errors"
    kind: str = "internal"
    """What went wrong, as one word of a closed list (`errors.kinds()`)."""
    retryable: bool = False
    """Whether the same call may succeed if it is made again later."""
    request_id: str | None = None
    """The provider's id of the request."""
    status: int | None = None
    """The HTTP status of the provider's answer; 200 for an error inside its stream."""
    code: str | None = None
    """The provider's own code."""
    retry_after: float | None = None
    """How many seconds the provider asks to wait."""
    partial: Partial | None = None
    """What the run had produced: `.messages`, `.usage`, `.cost`, `.run_id`."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The transcript of a run stays in its process; the rest of the error may travel.
        state = {name: value for name, value in self.__dict__.items() if name != "partial"}
        return (type(self), self.args, state)
