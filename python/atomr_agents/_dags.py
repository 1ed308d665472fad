"""Steps that hand their results on along edges."""

from __future__ import annotations

from . import _checks
from ._graph_types import Command, Interrupt
from ._native.workflow import DagStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._native.workflow import DagOutcome, DagRunner
    from .callable_ import Callable
    from .callable_ import Step as Called

StepId = str
"""The name of a step."""

_callables: dict[str, Any] = {}
_predicates: dict[str, Any] = {}


class Given:
    """Where a step's input comes from: the run's input (`Given.input`), or what a step gave (`Given.step`)."""

    __slots__ = ("pointer", "step")

    def __init__(self, step: str | None, pointer: str) -> None:
        self.step = step
        self.pointer = pointer

    @staticmethod
    def input(pointer: str = "") -> Given:
        """The run's input, or the part of it that a JSON pointer names: `/user/name`."""
        return Given(None, pointer)

    @staticmethod
    def output(step: str, pointer: str = "") -> Given:
        """What a step gave that comes before, or a part of it; None if that step was not run."""
        return Given(step, pointer)


class Step:
    """A step of a `Dag`: it is given a JSON value and gives one."""

    __slots__ = ("native",)

    def __init__(self, native: DagStep) -> None:
        self.native = native

    @staticmethod
    def invoke(step: Called, *, effect: str = "none") -> Step:
        """Calls a function, an agent or any callable.

        Args:
            step: What is called.
            effect: What happens if the process ends while it runs: `none` and `idempotent`, it is called again;
                `once`, the run stops with an OutcomeUnknownError.
        """
        return Step(DagStep.invoke(_native(step), effect))

    @staticmethod
    def branch(predicate: Called, if_true: str, if_false: str) -> Step:
        """Goes to one of two steps; the other is not run. Both are given what this one was."""
        return Step(DagStep.branch(_native(predicate), if_true, if_false))

    @staticmethod
    def parallel(steps: Mapping[str, Step | Called], *, join: str = "all") -> Step:
        """Several steps at the same time, each given the input. `all` gives a dict of what each gave; `any` what the
        first gave, and the others are dropped."""
        _checks.one_of("all", "any")("join", join)
        return Step(DagStep.parallel([(name, _step(step).native) for name, step in steps.items()], join == "any"))

    @staticmethod
    def loop(body: Step | Called, again: Called, *, max_rounds: int = 100) -> Step:
        """A step again and again, each time given what it gave before, while `again` says so."""
        _checks.whole(1)("max_rounds", max_rounds)
        return Step(DagStep.repeat(_step(body).native, _native(again), max_rounds))

    @staticmethod
    def map(body: Step | Called, *, concurrency: int = 16) -> Step:
        """A step for each item of a list, at the same time; gives the list of what came of them."""
        _checks.whole(1)("concurrency", concurrency)
        return Step(DagStep.map(_step(body).native, concurrency))

    @staticmethod
    def human(prompt: str, context: Any = None) -> Step:
        """Asks somebody, and gives the answer."""
        return Step(DagStep.human(prompt, context))

    @property
    def kind(self) -> str:
        """`invoke`, `branch`, `parallel`, `loop`, `map` or `human`."""
        return self.native.kind

    def __repr__(self) -> str:
        return f"Step.{self.native!r}"


class Dag:
    """Steps that hand their results on along edges, without cycles.

    Example:
        >>> from atomr_agents.workflow import Dag, Step, WorkflowRunner
        >>> dag = Dag("sums").step("one", lambda n: n + 1).step("large", Step.branch(lambda n: n > 10, "less", "more"))
        >>> dag = dag.step("less", lambda n: n - 100).step("more", lambda n: n + 100).edge("one", "large")
        >>> runner = WorkflowRunner(dag)
        >>> runner.run_sync(1), runner.run_sync(20)
        (102, -79)
    """

    __slots__ = ("_edges", "_entry", "_steps", "name")

    def __init__(self, name: str = "dag") -> None:
        _checks.filled("name", name)
        self.name = name
        self._steps: list[tuple[str, DagStep, Any, bool, str]] = []
        self._edges: list[tuple[str, str]] = []
        self._entry: str | None = None

    def step(
        self,
        name: str,
        step: Step | Called,
        *,
        input: Given | Mapping[str, Any] | None = None,
        join: str = "all",
        version: str = "",
    ) -> Dag:
        """Adds a step.

        Args:
            name: What it is called.
            step: A `Step`, or what `Step.invoke` takes.
            input: What it is given: `Given.input(...)`, `Given.output(...)`, or a dict of these and of values. Left
                out, it is what came along its edges: of several, a dict by the names of the steps.
            join: With `any` it runs when the first of the steps before it has run.
            version: What you call this version of it.
        """
        _checks.one_of("all", "any")("join", join)
        parts = None
        if isinstance(input, Given):
            parts = [_part(None, input)]
        elif input is not None:
            parts = [_part(key, value) for key, value in input.items()]
        self._steps.append((name, _step(step).native, parts, join == "any", version))
        return self

    def edge(self, start: str, end: str) -> Dag:
        """What `start` gives goes to `end`. The arms of a branch need no edge."""
        self._edges.append((start, end))
        return self

    def entry(self, name: str) -> Dag:
        """The step that a run begins with; otherwise every step that nothing leads to."""
        self._entry = name
        return self

    def __repr__(self) -> str:
        return f"<Dag {self.name} of {len(self._steps)} steps>"


class WorkflowState:
    """How a call of a run of a dag was left."""

    __slots__ = ("_native",)

    def __init__(self, native: DagOutcome) -> None:
        self._native = native

    @property
    def run_id(self) -> str:
        """The run."""
        return self._native.run_id

    @property
    def status(self) -> str:
        """`finished` or `suspended`."""
        return self._native.status

    @property
    def output(self) -> Any:
        """What the last step gave, or a dict of what each gave, where several were last. None before the end."""
        return self._native.output

    @property
    def outputs(self) -> dict[str, Any]:
        """What each step gave that ran."""
        outputs: dict[str, Any] = self._native.outputs
        return outputs

    @property
    def ran(self) -> list[str]:
        """The steps that ran, in order."""
        return self._native.ran

    @property
    def interrupts(self) -> list[Interrupt]:
        """What the run waits for."""
        return [Interrupt(value, id, path, kind) for id, path, kind, value in self._native.interrupts()]

    def __repr__(self) -> str:
        return f"<WorkflowState of {self.run_id!r}: {self.status}>"


class WorkflowRunner:
    """Runs a dag: many runs, one after the other and at the same time.

    Args:
        dag: What is run; it is checked here.
        store: Where runs are kept: a store, a checkpointer, a path. Left out, they end with the process.

    Raises:
        WorkflowError: Everything that is wrong with the dag: a cycle, a step that is not there or cannot be reached.
    """

    __slots__ = ("_native",)

    def __init__(self, dag: Dag, store: Any = None) -> None:
        from ._native.workflow import DagRunner

        plan = {"steps": dag._steps, "edges": dag._edges, "entry": dag._entry, "store": store, "max_steps": None}
        self._native: DagRunner = DagRunner(dag.name, plan)

    @staticmethod
    def from_dict(spec: Mapping[str, Any], store: Any = None) -> WorkflowRunner:
        """A dag described by data.

        Args:
            spec: `{"id", "entry", "steps": {name: {"kind": "invoke", "callable_key"} or {"kind": "branch",
                "predicate_key", "if_true", "if_false"}}, "edges": [[from, to]]}`. Keys name what was registered with
                `register_workflow_callable`, `register_workflow_predicate` or `@callable_`.
            store: As the constructor has it.
        """
        dag = Dag(str(spec.get("id", "dag")))
        for name, step in spec["steps"].items():
            dag.step(name, _of_spec(name, step))
        for start, end in spec.get("edges", ()):
            dag.edge(start, end)
        if spec.get("entry") is not None:
            dag.entry(spec["entry"])
        return WorkflowRunner(dag, store)

    async def run(self, input: Any = None, *, run_id: str | None = None) -> Any:
        """Runs to the end, and gives what the last step gave.

        Raises:
            ConflictError: There is a run of that name.
            WorkflowError: The run waits for somebody: `begin` it instead, and `resume` it with the answer.
            AgentError: What went wrong. What a function raised comes back as itself.
        """
        state = await self.begin(input, run_id=run_id)
        if state.status != "finished":
            from .errors import WorkflowError

            asked = ", ".join(one.id for one in state.interrupts)
            raise WorkflowError(f"run {state.run_id!r} waits for {asked}: resume it with the answer")
        return state.output

    def run_sync(self, input: Any = None, *, run_id: str | None = None) -> Any:
        """As `run`, where no event loop runs."""
        from ._sync import run

        return run(lambda: self.run(input, run_id=run_id), "run_sync()", "`await runner.run(...)`")

    async def begin(self, input: Any = None, *, run_id: str | None = None) -> WorkflowState:
        """Runs until the end, or until the run waits for somebody."""
        return WorkflowState(await self._native.run(input, run_id))

    async def resume(self, run_id: str, command: Command | None = None) -> WorkflowState:
        """Goes on with a run that waits, failed, or whose process ended: `resume(run_id, Command(resume=answer))`."""
        return WorkflowState(await self._native.resume(run_id, command))

    def as_callable(self) -> Callable:
        """The dag as a step of a pipeline."""
        from .callable_ import Callable

        return Callable(self._native.as_callable())

    def draw_mermaid(self) -> str:
        """As a flowchart in the language of Mermaid."""
        return self._native.mermaid()

    def draw_svg(self) -> str:
        """As an SVG document that needs nothing else."""
        return self._native.svg()

    def __repr__(self) -> str:
        return f"<WorkflowRunner {self._native.name}>"


def register_workflow_callable(key: str, target: Any) -> None:
    """Makes a function, an agent or a callable known under a key, for `WorkflowRunner.from_dict`."""
    _checks.filled("key", key)
    _callables[key] = target


def register_workflow_predicate(key: str, target: Any) -> None:
    """Makes a predicate known under a key, for `WorkflowRunner.from_dict`."""
    _checks.filled("key", key)
    _predicates[key] = target


def clear_workflow_registries() -> int:
    """Forgets what was registered here; gives how many there were."""
    count = len(_callables) + len(_predicates)
    _callables.clear()
    _predicates.clear()
    return count


def _of_spec(name: str, spec: Mapping[str, Any]) -> Step:
    kind = spec.get("kind")
    if kind == "invoke":
        return Step.invoke(_known(_callables, spec["callable_key"]))
    if kind == "branch":
        return Step.branch(_known(_predicates, spec["predicate_key"]), spec["if_true"], spec["if_false"])
    from .errors import ConfigError

    raise ConfigError(f"step {name!r}: the kind of a step in data is invoke or branch, not {kind!r}")


def _known(registry: dict[str, Any], key: str) -> Any:
    if key in registry:
        return registry[key]
    from .callable_ import Callable

    return Callable.from_factory(key)


def _native(step: Any) -> Any:
    from .callable_ import Callable

    return Callable.from_callable(step).native


def _step(step: Any) -> Step:
    return step if isinstance(step, Step) else Step.invoke(step)


def _part(key: str | None, value: Any) -> tuple[str | None, str, str, Any]:
    if not isinstance(value, Given):
        return key, "value", "", value
    if value.step is None:
        return key, "input", "", value.pointer
    return key, "step", value.step, value.pointer
