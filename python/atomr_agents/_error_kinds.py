"""Which exception stands for which kind of error. `atomr_agents.errors` shows what is here as its own."""

from __future__ import annotations

from .errors import (
    AgentError,
    ApprovalError,
    AuthenticationError,
    BudgetExceededError,
    ConfigError,
    ConflictError,
    ConnectError,
    ContentFilterError,
    ContextTooLongError,
    ContractError,
    CorruptError,
    DeniedError,
    FencedError,
    GuestError,
    IncompatibleError,
    IncompleteToolCallError,
    InternalError,
    InvalidArgumentsError,
    InvalidOutputError,
    InvalidRequestError,
    IterationCapError,
    LockedError,
    NotFoundError,
    OutcomeUnknownError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitedError,
    RefusalError,
    RunCancelledError,
    RunTimeoutError,
    RuntimeUnavailableError,
    ServerError,
    StateError,
    StorageError,
    StorageFullError,
    StreamInterruptedError,
    TlsError,
    TooLargeError,
    ToolDefinitionError,
    ToolError,
    UnknownToolError,
    UnsupportedFormatError,
    WorkflowError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BY_KIND: dict[str, type[AgentError]] = {
    error.kind: error
    for error in (
        ConfigError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        InvalidRequestError,
        ContextTooLongError,
        ContentFilterError,
        RefusalError,
        RateLimitedError,
        QuotaExceededError,
        ServerError,
        ConnectError,
        TlsError,
        RunTimeoutError,
        StreamInterruptedError,
        ProtocolError,
        TooLargeError,
        IncompleteToolCallError,
        IterationCapError,
        BudgetExceededError,
        OverloadedError,
        DeniedError,
        ApprovalError,
        InvalidOutputError,
        ToolDefinitionError,
        ToolError,
        UnknownToolError,
        InvalidArgumentsError,
        ContractError,
        GuestError,
        StorageError,
        StorageFullError,
        CorruptError,
        UnsupportedFormatError,
        LockedError,
        FencedError,
        ConflictError,
        OutcomeUnknownError,
        IncompatibleError,
        WorkflowError,
        StateError,
        RunCancelledError,
        RuntimeUnavailableError,
        InternalError,
    )
}
"""The class of each kind."""


def make(kind: str, message: str, fields: Mapping[str, object]) -> AgentError:
    """The error of a kind, with the fields that are known. The native side raises through this one table.

    Example:
        >>> error = make("rate_limited", "slow down", {"status": 429, "retry_after": 2.0, "code": None})
        >>> error, error.status, error.retry_after, error.code
        (RateLimitedError('slow down'), 429, 2.0, None)
    """
    error = BY_KIND.get(kind, InternalError)(message)
    error.__dict__.update({name: value for name, value in fields.items() if value is not None})
    return error
