"""The errors of runs that are kept, and of what keeps them. `atomr_agents.errors` shows them as its own."""

from __future__ import annotations

from ._agent_error import AgentError


class StorageError(AgentError):
    """The store of runs failed or cannot be reached. What was acknowledged before is kept; resume when it is back."""

    __module__ = "atomr_agents.errors"
    kind = "storage"
    retryable = True


class StorageFullError(StorageError):
    """The store of runs has no room left. Nothing of the last write was kept; make room and resume."""

    __module__ = "atomr_agents.errors"
    kind = "storage_full"
    retryable = True


class CorruptError(StorageError):
    """What is stored is not what was written. The message names the run and the place."""

    __module__ = "atomr_agents.errors"
    kind = "corrupt"
    retryable = False


class UnsupportedFormatError(StorageError):
    """What is stored was written by a newer version of this package."""

    __module__ = "atomr_agents.errors"
    kind = "unsupported_format"
    retryable = False


class LockedError(AgentError):
    """Somebody else holds what can have one holder at a time: a run, a session, a store."""

    __module__ = "atomr_agents.errors"
    kind = "locked"
    retryable = True


class FencedError(AgentError):
    """Somebody else took over this run or session. Nothing of the last write was kept."""

    __module__ = "atomr_agents.errors"
    kind = "fenced"


class ConflictError(AgentError):
    """What is stored is not what was expected: a run of that id exists, a step is not there."""

    __module__ = "atomr_agents.errors"
    kind = "conflict"


class OutcomeUnknownError(AgentError):
    """A call that must not happen twice was begun before a crash, and nobody knows whether it happened.

    Find out, then say it with `runs(store).resolve(error.run_id, error.key, ...)`, or `Agent.resolve` where there is an
    agent at hand, and go on with the run.
    """

    __module__ = "atomr_agents.errors"
    kind = "outcome_unknown"

    run_id: str = ""
    """The run."""
    key: str = ""
    """The call: `step:path#index`."""
    tool: str = ""
    """The tool or node that was called."""


class IncompatibleError(AgentError):
    """A stored run does not fit what would go on with it, such as a graph that was changed."""

    __module__ = "atomr_agents.errors"
    kind = "incompatible"


class WorkflowError(AgentError):
    """A graph of steps that cannot be run, or a step that broke its rules."""

    __module__ = "atomr_agents.errors"
    kind = "workflow"


class StateError(AgentError):
    """A value that a channel of the state does not take."""

    __module__ = "atomr_agents.errors"
    kind = "state"
