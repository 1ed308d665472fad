"""What is given to an agent as its strategies, and what strategies written in Python answer with."""

from __future__ import annotations

from . import _checks as checks
from ._guests import name_of, registered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._native.strategy import (
        InstructionStrategyHandle,
        MemoryStrategyHandle,
        SkillStrategyHandle,
        ToolStrategyHandle,
    )
    from ._native.tool import NativeTool
    from .tool import Tool

METHODS = {
    "instruction": "render",
    "tool": "select",
    "memory": "retrieve",
    "skill": "applicable",
    "loop": "step",
    "termination": "should_terminate",
}
"""The families, and the method by which an object is a strategy of each."""


class Strategies:
    """The strategies of an agent, as the core takes them."""

    __slots__ = ("instructions", "memory", "names", "skills", "tools")

    instructions: str | InstructionStrategyHandle
    tools: Sequence[NativeTool] | ToolStrategyHandle
    memory: MemoryStrategyHandle | None
    skills: SkillStrategyHandle | None
    names: list[str] | None
    """The names of the tools, where they are known before a run."""


def of(instructions: Any, tools: Any, memory: Any, skills: Any) -> Strategies:
    """The strategies of an agent, from what was given as them."""
    made = Strategies()
    made.instructions = instructions if isinstance(instructions, str) else _instructions(instructions)
    made.names = None
    if _selects(tools):
        made.tools = handle("tool", tools)
    else:
        listed = several(tools, "a list of tools or functions, or what selects some (see atomr_agents.strategy)")
        made.tools = [each.native for each in listed]
        if skills == ():
            made.names = [each.name for each in listed]
    made.memory = None if memory is None else memory_of(memory)
    made.skills = None if skills == () else _skills(skills)
    return made


def several(given: Any, wanted: str = "a list of tools or functions") -> list[Tool[..., Any]]:
    """The tools that were given as a list."""
    from ._toolsets import flattened
    from .tool import as_tool

    if hasattr(given, "__next__"):
        given = list(given)
    return [as_tool(each) for each in flattened(checks.items("tools", wanted, given))]


def handle(family: str, given: Any) -> Any:
    """The strategy of the core that this is, or that stands for this object written in Python."""
    if family in ("loop", "termination"):
        from . import _loops

        return _loops.loop(given) if family == "loop" else _loops.termination(given)
    from ._native import strategy

    handles: dict[str, Any] = {
        "instruction": strategy.InstructionStrategyHandle,
        "tool": strategy.ToolStrategyHandle,
        "memory": strategy.MemoryStrategyHandle,
        "skill": strategy.SkillStrategyHandle,
    }
    wanted = handles[family]
    if isinstance(given, wanted):
        return given
    key, target = registered(f"strategy:{family}", given) or (name_of(given), given)
    return wanted.guest(target, key)


def from_factory(family: str, key: str) -> Any:
    """The strategy that was registered under this key; a KeyError lists what there is."""
    from ._native import guest

    checks.one_of(*METHODS)("the kind of a strategy", family)
    return handle(family, guest.target(f"strategy:{family}", key))


def _asks(family: str, given: Any) -> bool:
    """Whether it is something that can be asked."""
    from ._native import strategy

    known = (
        strategy.InstructionStrategyHandle,
        strategy.ToolStrategyHandle,
        strategy.MemoryStrategyHandle,
        strategy.SkillStrategyHandle,
    )
    if isinstance(given, known):
        # One of another family has another method.
        return hasattr(given, METHODS[family])
    return callable(given) or hasattr(given, METHODS[family])


def _instructions(given: Any) -> Any:
    if not _asks("instruction", given):
        checks.fail("instructions", "text, a function of the context, or an object with `render`", given)
    return handle("instruction", given)


def memory_of(given: Any) -> MemoryStrategyHandle:
    """What `Agent(memory=...)` takes, as the core takes it."""
    if not _asks("memory", given):
        checks.fail("memory", "a function of the context, or an object with `retrieve`", given)
    made: MemoryStrategyHandle = handle("memory", given)
    return made


def _skills(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        from ._native.strategy import SkillStrategyHandle

        return SkillStrategyHandle.fixed(skills_of(given))  # pyright: ignore[reportUnknownArgumentType]
    if not _asks("skill", given):
        checks.fail("skills", "a list of Skills, a function of the context, or an object with `applicable`", given)
    return handle("skill", given)


def _selects(given: Any) -> bool:
    """Whether it selects tools. A plain function does only when it says so: it may be a tool that lacks its list."""
    if isinstance(given, (list, tuple)):
        return False
    return hasattr(given, "select") or registered("strategy:tool", given) is not None


def tools_of(answer: Any) -> list[NativeTool]:
    """What `select` answered."""
    return [tool.native for tool in several(answer)]


def skills_of(answer: Any) -> list[tuple[str, str, list[NativeTool]]]:
    """What `applicable` answered, or what was given as skills."""
    from .strategy import Skill

    wanted = "a list of Skills"
    listed = checks.items("skills", wanted, answer)
    for each in listed:
        if not isinstance(each, Skill):
            checks.fail("each of skills", "a Skill", each)
    return [(each.name, each.instructions, [tool.native for tool in each.tools]) for each in listed]
