"""What graphs and their callers say to each other."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

START = "__start__"
"""Where a run begins."""
END = "__end__"
"""Where a run ends."""

_UNSAID: Any = object()


class Send:
    """A step that is sent something of its own to work on, instead of the whole state.

    Args:
        node: The step.
        arg: What it is given: a JSON value.
    """

    __slots__ = ("arg", "node")

    node: str
    arg: Any

    def __init__(self, node: str, arg: Any) -> None:
        self.node = node
        self.arg = arg

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and (self.node, self.arg) == (other.node, other.arg)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Send(node={self.node!r}, arg={self.arg!r})"


class Command:
    """What a step answers that decides where the run goes; and what is said to a run that stands still.

    Args:
        update: What is written to channels: a dict.
        goto: Where the run goes: the name of a step, a `Send`, or a list of these.
        resume: The answer to the interrupt that the run waits for; or a dict of answers by the ids of interrupts.
            Only for callers.
    """

    __slots__ = ("answers", "goto", "resume", "update")

    update: Any
    goto: Any
    resume: Any

    def __init__(
        self, *, update: Any = None, goto: str | Send | Sequence[str | Send] = (), resume: Any = _UNSAID
    ) -> None:
        self.update = update
        self.goto = goto
        self.answers = resume is not _UNSAID
        self.resume = None if resume is _UNSAID else resume

    def __class_getitem__(cls, item: Any) -> Any:
        """`Command[Literal["a", "b"]]`, as the answer of a step, says where it may go."""
        import types

        return types.GenericAlias(cls, item)

    @property
    def by_id(self) -> bool:
        """Whether the answers are given by the ids of interrupts."""
        import re

        resume: Any = self.resume
        keys = [str(key) for key in resume] if hasattr(resume, "keys") else []
        # The form of an id: super-step, path, and the number of the question.
        return bool(keys) and all(re.fullmatch(r"\d+:.+#\d+", key) for key in keys)

    def __repr__(self) -> str:
        said = [("update", self.update), ("goto", self.goto), ("resume", self.resume)]
        return f"Command({', '.join(f'{name}={value!r}' for name, value in said if value not in (None, ()))})"


class Interrupt(NamedTuple):
    """Something that a run waits for."""

    value: Any
    """What the step asked; None at a breakpoint."""
    id: str
    """What an answer names; the same after a restart."""
    path: str = ""
    """The step that asked: `review`, `worker[3]`, or `outer/2.inner` in a graph inside a step."""
    kind: str = "asked"
    """`asked`, or, at a breakpoint, `before` or `after`."""


class Interrupted(BaseException):
    """Ends a step that asked with `interrupt`, until there is an answer. Let it through."""


class RetryPolicy(NamedTuple):
    """How often a step is tried again after an error that may pass."""

    max_attempts: int = 3
    """How often it is run at most."""
    initial_interval: float = 0.5
    """How long the first wait is, in seconds."""
    backoff_factor: float = 2.0
    """By what each wait is longer than the one before."""
    max_interval: float = 128.0
    """How long a wait is at most, in seconds."""
    retry_on: type[BaseException] | Sequence[type[BaseException]] | Callable[[BaseException], bool] | None = None
    """Which errors may pass: classes, or a function. By default all but mistakes in the program."""


class CachePolicy(NamedTuple):
    """For how long the answers of a step are kept for equal inputs, in the memory of the compiled graph."""

    ttl: float | None = None
    """In seconds. None for as long as there is room."""


class StateSnapshot(NamedTuple):
    """Where a thread stood."""

    values: dict[str, Any]
    """The channels that held something."""
    next: tuple[str, ...]
    """The steps that were due."""
    config: dict[str, Any]
    """What names this place: pass it as `config` to go on from here."""
    metadata: dict[str, Any]
    """`source` (`input`, `step`, `update`, `goto`, `fork`), `step` and `status`."""
    created_at: str | None
    """When, in ISO 8601, in UTC."""
    parent_config: dict[str, Any] | None
    """What names the place before."""
    interrupts: tuple[Interrupt, ...]
    """What the run waits for; only where it stands now."""


def interrupt(value: Any) -> Any:
    """Asks whoever called the graph, and gives the answer.

    The step ends here, and the run is suspended. When it is resumed with `Command(resume=answer)` the step runs again
    from its beginning, and this call gives the answer; what must not happen twice goes after it, or into
    `ctx.effect`. An async step that says `await ctx.interrupt(value)` instead goes on where it stands, for as long as
    its process lives.

    Args:
        value: What is asked: a JSON value, in `result["__interrupt__"]`.
    """
    from ._native.workflow import current_node

    node = current_node()
    if node is None:
        from .errors import WorkflowError

        raise WorkflowError("interrupt() asks from within a step of a graph; this is outside of one")
    answer = node.ask(value)
    if answer is None:
        raise Interrupted
    return answer[0]


def get_stream_writer() -> Callable[[Any], None]:
    """What writes to the stream of the run (`stream_mode="custom"`), from within a step."""
    from ._native.workflow import current_node

    node = current_node()
    if node is None:
        from .errors import WorkflowError

        raise WorkflowError("get_stream_writer() is for a step of a graph; this is outside of one")
    return node.write


def fields_of(answer: Any) -> dict[str, Any] | None:
    """The fields of an instance of a class that describes a state: of a model, those that were set."""
    import dataclasses

    if isinstance(answer, type):
        return None
    if dataclasses.is_dataclass(answer):
        return {field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}
    model: Any = answer
    if hasattr(model, "model_fields_set"):
        return {name: getattr(model, name) for name in model.model_fields_set}
    return None
