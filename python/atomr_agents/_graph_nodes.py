"""What is given to a graph as a step or a router, and what can be read from it."""

from __future__ import annotations

from ._guests import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._native.workflow import NodeContext
    from .agent import Agent


def step_of(target: Any) -> tuple[str, Any]:
    """The name of what is given as a step, and what the core runs: a graph, or a function of the state."""
    from ._graph_run import CompiledGraph
    from .agent import Agent
    from .callable_ import Callable

    if isinstance(target, CompiledGraph):
        return target.name, target.native
    if isinstance(target, Agent):
        agent: Agent[Any, Any] = target  # pyright: ignore[reportUnknownVariableType]
        return agent.name, of_agent(agent)
    if isinstance(target, Callable):
        return target.label, target.call
    if isinstance(target, type) or not callable(target):
        for method in ("ainvoke", "invoke"):
            if hasattr(target, method) and not isinstance(target, type):
                return name_of(target), getattr(target, method)
        given: Any = target
        if hasattr(given, "as_callable"):
            return step_of(given.as_callable())
        from . import _checks

        _checks.fail("a step", "a function of the state, an agent, a compiled graph or a callable", target)
    return name_of(target), target


def of_agent(agent: Agent[Any, Any]) -> Callable[[Any], Any]:
    """An agent as a step: it reads the channel `messages`, and writes what it says to it."""

    async def speak(state: Any) -> dict[str, Any]:
        from ._native.core import Message
        from .errors import ContractError

        said: list[Any] | None = state["messages"] if hasattr(state, "keys") else getattr(state, "messages", None)
        if not said:
            raise ContractError(
                f"agent {agent.name} as a step reads the channel `messages`, which is empty or not there; "
                "call the agent in a function of the state where its input is something else"
            )
        messages = [one if isinstance(one, Message) else _message(one) for one in said]
        result = await agent.run(messages[-1], history=messages[:-1])
        return {"messages": [message.to_dict() for message in result.new_messages[1:]]}

    return speak


def _message(said: dict[str, Any]) -> Any:
    from ._native.core import Message

    if "content" in said and "parts" not in said:
        return Message(said["role"], said["content"])
    return Message.from_dict({key: value for key, value in said.items() if key != "id"})


def takes(function: Any) -> str:
    """What a function takes after the state: `context`, `config`, or nothing."""
    import inspect

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    after = [each for each in parameters if each.kind in kinds][1:]
    if not after:
        return ""
    second = after[0]
    if second.name == "config" or "Config" in str(second.annotation):
        return "config"
    known = second.name in ("ctx", "context", "runtime") or "NodeContext" in str(second.annotation)
    return "context" if known or second.default is second.empty else ""


def goes(function: Any) -> list[str] | None:
    """Where a function may send the run by its own answer: what `-> Command[Literal[...]]` says; anywhere (`*`) if it
    makes commands without saying."""
    hint = _returns(function)
    names = _literals(hint)
    if names:
        return names
    code = getattr(getattr(function, "func", function), "__code__", None)
    if code is None:
        code = getattr(type(function).__dict__.get("__call__"), "__code__", None)
    makes = "Command" in str(hint) or (code is not None and _names(code) & {"Command"})
    return ["*"] if makes else None


def routes(function: Any) -> list[str] | None:
    """Where a router goes, as its hint says: `-> Literal["a", "b"]`."""
    return _literals(_returns(function)) or None


def effect(node: NodeContext, name: str, perform: Callable[..., Any], kind: str) -> Any:
    """Does something in the world, once: waited for in a plain step, awaited in an asynchronous one."""
    import asyncio

    from ._guests import _required

    takes_key = bool(_required(perform))
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return node._perform_sync(name, perform, kind, takes_key)
    return node._perform(name, perform, kind, takes_key)


def _returns(function: Any) -> Any:
    import inspect
    import typing

    target = function
    if not inspect.isroutine(function):
        target = getattr(function, "func", None) or type(function).__dict__.get("__call__")
    try:
        return typing.get_type_hints(target).get("return")
    except Exception:  # a hint that cannot be resolved here says nothing
        return getattr(target, "__annotations__", {}).get("return")


def _literals(hint: Any) -> list[str]:
    """The texts of the literals in a hint, however deep."""
    import typing

    if typing.get_origin(hint) is typing.Literal:
        return [each for each in typing.get_args(hint) if isinstance(each, str)]
    return [name for inner in typing.get_args(hint) for name in _literals(inner)]


def _names(code: Any) -> set[str]:
    """The names that a function and those inside it use."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            found |= _names(constant)
    return found
