"""The exceptions of the package, on one screen. All of them are an `AgentError`; catch as wide as you need.

```text
AgentError                      .kind .retryable .request_id .status .code .retry_after .partial
├── ConfigError                 (ValueError) a setting is missing or makes no sense: no key, unknown model prefix
│   └── ToolSetError            a set of tools is missing, published twice, or does not fit the others
├── ModelError                  the model could not be called, or its answer is none
│   ├── AuthenticationError     401
│   ├── PermissionDeniedError   403
│   ├── NotFoundError           404
│   ├── InvalidRequestError     400, 422
│   ├── ContextTooLongError     the conversation does not fit the model
│   ├── ContentFilterError      the provider's safety system
│   ├── RefusalError            the model said no
│   ├── RateLimitedError        429
│   ├── QuotaExceededError      the account is empty
│   ├── ServerError             5xx, 529
│   ├── ConnectError            (ConnectionError) the host cannot be reached
│   ├── TlsError                (ConnectionError) its certificate or protocol was not accepted
│   ├── StreamInterruptedError  the answer broke off
│   ├── ProtocolError           the peer broke its protocol
│   ├── TooLargeError           a limit on size was exceeded
│   └── IncompleteToolCallError the output limit cut a tool call's arguments
├── RunTimeoutError             (TimeoutError) a deadline passed
├── IterationCapError           the model wants more tools than `max_iterations` allows
├── BudgetExceededError         a budget is used up
├── OverloadedError             a bounded queue is full
├── DeniedError                 something was not allowed
├── ApprovalError               (ValueError) an approval does not belong to what waits for one
├── InvalidOutputError          (ValueError) the answer is not of `output_type`
├── RunCancelledError           the run was stopped
├── StorageError                the store of runs failed or cannot be reached; what was acknowledged is kept
│   ├── StorageFullError        it has no room left
│   ├── CorruptError            what is stored is not what was written
│   └── UnsupportedFormatError  it was written by a newer version
├── LockedError                 somebody else holds the run, the session or the store
├── FencedError                 somebody else took the run over; the last write was not kept
├── ConflictError               what is stored is not what was expected: a second run of one id, a step that is gone
├── OutcomeUnknownError         a call that must not happen twice may have happened before a crash
├── IncompatibleError           a stored run does not fit the graph that would go on with it
├── WorkflowError               a graph that cannot be run, or a step that broke its rules
├── StateError                  a value that a channel of the state does not take
├── ToolDefinitionError         a tool cannot be offered: its name, its schema, two of one name
│   └── SchemaError             (TypeError) no JSON Schema can be made from a signature or a type
├── ToolError                   a tool stopped the run; what tools merely raise is told to the model
│   ├── UnknownToolError
│   └── InvalidArgumentsError
│       └── ArgumentError       (ValueError) a JSON value does not fit its Python type
├── GuestError                  code of yours, called by the core, failed
│   └── GuestExitedError        it raised SystemExit or KeyboardInterrupt
├── ContractError               (TypeError) code of yours is not what its decorator promises
├── RuntimeUnavailableError     (RuntimeError) the runtime cannot be used here
│   ├── NoEventLoopError
│   ├── LoopClosedError
│   ├── RuntimeForkedError
│   └── RuntimeShutDownError
└── InternalError               a bug of this project
    └── RustPanicError
```

`ModelRetry` stands beside the tree: you raise it, the model reads it.
"""

from __future__ import annotations

from ._agent_error import AgentError as AgentError
from ._run_errors import ConflictError as ConflictError
from ._run_errors import CorruptError as CorruptError
from ._run_errors import FencedError as FencedError
from ._run_errors import IncompatibleError as IncompatibleError
from ._run_errors import LockedError as LockedError
from ._run_errors import OutcomeUnknownError as OutcomeUnknownError
from ._run_errors import StateError as StateError
from ._run_errors import StorageError as StorageError
from ._run_errors import StorageFullError as StorageFullError
from ._run_errors import UnsupportedFormatError as UnsupportedFormatError
from ._run_errors import WorkflowError as WorkflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._error_kinds import BY_KIND as BY_KIND
    from ._error_kinds import make as make
    from ._native.errors import kinds as kinds
    from ._native.errors import retryable as retryable


class ConfigError(AgentError, ValueError):
    """A setting is missing or makes no sense (no API key, unknown model prefix, bad URL)."""

    kind = "config"


class ToolSetError(ConfigError):
    """A set of tools cannot be made, published or found, or does not fit the others."""

    reason: str
    """Which of these it is: `id`, `version`, `requirement`, `already_published`, `missing`, `conflict`, `cycle` or
    `too_complex`."""

    def __init__(self, message: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ModelError(AgentError):
    """The model could not be called, or what it answered is no answer."""


class AuthenticationError(ModelError):
    """The provider did not accept the credentials (401)."""

    kind = "authentication"


class PermissionDeniedError(ModelError):
    """The credentials are good but do not allow this (403)."""

    kind = "permission"


class NotFoundError(ModelError):
    """The model, deployment or resource does not exist (404)."""

    kind = "not_found"


class InvalidRequestError(ModelError):
    """The provider refuses the request as malformed (400, 422)."""

    kind = "invalid_request"


class ContextTooLongError(ModelError):
    """The conversation does not fit the model's context window."""

    kind = "context_too_long"


class ContentFilterError(ModelError):
    """The provider's safety system blocked the input or the output."""

    kind = "content_filter"


class RefusalError(ModelError):
    """The model refused to answer."""

    kind = "refusal"


class RateLimitedError(ModelError):
    """Too many requests (429); `.retry_after` says how long to wait, where the provider does."""

    kind = "rate_limited"
    retryable = True


class QuotaExceededError(ModelError):
    """The account has no quota left; waiting does not help."""

    kind = "quota_exceeded"


class ServerError(ModelError):
    """The provider failed or is overloaded (5xx, 529)."""

    kind = "server_error"
    retryable = True


class ConnectError(ModelError, ConnectionError):
    """The host could not be reached."""

    kind = "connect"
    retryable = True


class TlsError(ModelError, ConnectionError):
    """The TLS handshake failed."""

    kind = "tls"


class StreamInterruptedError(ModelError):
    """The stream ended before its terminal event; nothing that it had begun was run."""

    kind = "stream_interrupted"
    retryable = True


class ProtocolError(ModelError):
    """The peer broke its protocol."""

    kind = "protocol"


class TooLargeError(ModelError):
    """A limit on size was exceeded."""

    kind = "too_large"


class IncompleteToolCallError(ModelError):
    """The output limit cut a tool call's arguments."""

    kind = "incomplete_tool_call"


class RunTimeoutError(AgentError, TimeoutError):
    """A deadline passed: connecting, the first byte, a silent stream, or the whole run."""

    kind = "timeout"
    retryable = True


class IterationCapError(AgentError):
    """The iteration cap was reached while tool calls were pending."""

    kind = "iteration_cap"


class BudgetExceededError(AgentError):
    """A budget is used up: tokens, cost, time, iterations or tool calls."""

    kind = "budget_exceeded"


class OverloadedError(AgentError):
    """A bounded queue is full."""

    kind = "overloaded"
    retryable = True


class DeniedError(AgentError):
    """Something that was not allowed: a permission that is missing, a call that nobody approved."""

    kind = "denied"


class ApprovalError(AgentError, ValueError):
    """An approval does not belong to what waits for one: an unknown call, other arguments, a second answer."""

    kind = "approval"


class InvalidOutputError(AgentError, ValueError):
    """The final output does not match the requested type."""

    kind = "invalid_output"


class RunCancelledError(AgentError):
    """The run was stopped. (A cancelled asyncio task sees `asyncio.CancelledError`, as always.)"""

    kind = "cancelled"


class ToolDefinitionError(AgentError):
    """A tool's description cannot be used (name, schema, two of one name)."""

    kind = "tool_definition"


class SchemaError(ToolDefinitionError, TypeError):
    """No JSON Schema can be made from a signature or a type: names what stands in the way, and what to do."""


class ToolError(AgentError):
    """A tool failed in a way the run cannot go on from."""

    kind = "tool"


class UnknownToolError(ToolError):
    """The model asked for a tool that does not exist."""

    kind = "unknown_tool"


class InvalidArgumentsError(ToolError):
    """The arguments do not match the tool's schema."""

    kind = "invalid_arguments"


class ArgumentError(InvalidArgumentsError, ValueError):
    """A JSON value does not fit the Python type it is meant for."""


class GuestError(AgentError):
    """Code of yours that the core called has failed."""

    kind = "guest"


class GuestExitedError(GuestError):
    """Code of yours raised SystemExit or KeyboardInterrupt; the original is the `__cause__`."""


class ContractError(AgentError, TypeError):
    """An object is not what its decorator promises, or a value cannot cross between the languages."""

    kind = "contract"
    guest: str | None = None
    """The decorator's kind, such as `tool`."""
    key: str | None = None
    """The key that the object was registered under."""
    method: str | None = None
    """The method that broke the contract."""


class RuntimeUnavailableError(AgentError, RuntimeError):
    """The runtime cannot be used here (closed loop, fork, shut down)."""

    kind = "runtime"


class NoEventLoopError(RuntimeUnavailableError):
    """There is no running event loop where one is needed."""


class LoopClosedError(RuntimeUnavailableError):
    """The event loop was closed while the work was under way."""


class RuntimeForkedError(RuntimeUnavailableError):
    """The runtime was started before this process was forked; start the work in a fresh process."""


class RuntimeShutDownError(RuntimeUnavailableError):
    """The interpreter is exiting and the runtime has stopped."""


class InternalError(AgentError):
    """A bug of this project; please report it."""


class RustPanicError(InternalError):
    """The native side failed in a way it did not foresee; the work is lost, the runtime is not."""


class ModelRetry(Exception):
    """Raise it in a tool: its text is what the model is told, word for word, so that it can try again better.

    Example:
        >>> from atomr_agents import ModelRetry, tool
        >>> @tool
        ... def seats(row: int) -> int:
        ...     '''Free seats of a row.'''
        ...     if row > 30:
        ...         raise ModelRetry("there are 30 rows; ask for a smaller one")
        ...     return 4
    """


def __getattr__(name: str) -> Any:
    # The table, and two functions of the native module, which is not loaded for the sake of the exceptions.
    if name in ("BY_KIND", "make"):
        from . import _error_kinds

        return getattr(_error_kinds, name)
    if name in ("kinds", "retryable"):
        from ._native import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
