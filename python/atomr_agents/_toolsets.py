"""Sets of tools with a version, and where they are published."""

from __future__ import annotations

from ._native.tool import NativeToolSet, NativeToolSetRegistry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from builtins import list as List
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from ._native.tool import PermissionSpec
    from .tool import Tool

    Permissions: TypeAlias = PermissionSpec | str | Sequence[str] | Mapping[str, str | Sequence[str] | None]


class ToolSet:
    """A named, versioned set of tools, and the other sets that it needs. An agent takes it among its tools.

    Example:
        >>> from atomr_agents import tool
        >>> @tool
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> numbers = ToolSet("numbers", "1.0.0", [add], permissions="math")
        >>> numbers, len(numbers), numbers["add"].descriptor().permissions.needs
        (<ToolSet numbers 1.0.0: add>, 1, ['math'])
    """

    __slots__ = ("author", "dependencies", "description", "id", "native", "permissions", "tools", "version")

    id: str
    """Its id."""
    version: str
    """Its semantic version."""
    tools: tuple[Tool[..., Any], ...]
    """Its tools, in order; each needs the set's permissions besides its own."""
    description: str
    """What it is for."""
    author: str | None
    """Who made it."""
    dependencies: dict[str, str]
    """The sets that it needs, and which versions of them will do."""
    permissions: Permissions | None
    """What each of its tools needs to be allowed, as it was given."""
    native: NativeToolSet
    """The set as the core keeps it."""

    def __init__(
        self,
        id: str,
        version: str,
        tools: Sequence[Any] = (),
        *,
        description: str = "",
        author: str | None = None,
        dependencies: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Makes a set of tools, or of what becomes one.

        Raises:
            ToolDefinitionError: two tools of one name, or one that providers would not accept.
            ToolSetError: the id, the version or a range of versions cannot be used.
        """
        from . import _checks
        from .tool import as_tool

        _checks.text("id", id)
        _checks.text("version", version)
        _checks.text("description", description)
        _checks.optional(_checks.text)("author", author)
        self.dependencies = _ranges("dependencies", {} if dependencies is None else dependencies)
        made = [as_tool(each) for each in _checks.items("tools", "a list of tools or functions", tools)]
        natives = [each.native for each in made]
        self.native = NativeToolSet(id, version, natives, list(self.dependencies.items()), permissions)
        self.id, self.version = self.native.id, self.native.version
        if permissions is not None:
            made = [each.as_native(native) for each, native in zip(made, self.native.tools, strict=True)]
        self.tools = tuple(made)
        self.description, self.author, self.permissions = description, author, permissions

    def __len__(self) -> int:
        return len(self.tools)

    def __iter__(self) -> Iterator[Tool[..., Any]]:
        return iter(self.tools)

    def __getitem__(self, name: str) -> Tool[..., Any]:
        """The tool of this name."""
        for each in self.tools:
            if each.name == name:
                return each
        there = ", ".join(each.name for each in self.tools) or "none"
        raise KeyError(f"the tool set {self.id} has no tool named {name!r}; the tools are: {there}")

    def __repr__(self) -> str:
        return f"<ToolSet {self.id} {self.version}: {', '.join(each.name for each in self.tools)}>"


class ToolSetRegistry:
    """Where sets of tools are published. A published version never changes and never goes away.

    Example:
        >>> registry = ToolSetRegistry()
        >>> for version in ("1.9.0", "1.10.0", "2.0.0-rc.1"):
        ...     registry.publish(ToolSet("web", version))
        >>> registry.publish(ToolSet("shop", "1.0.0", dependencies={"web": "^1"}))
        >>> registry.latest("web"), registry.list()
        (<ToolSet web 1.10.0: >, {'shop': ['1.0.0'], 'web': ['1.9.0', '1.10.0', '2.0.0-rc.1']})
        >>> registry.resolve("shop")
        [<ToolSet web 1.10.0: >, <ToolSet shop 1.0.0: >]
    """

    __slots__ = ("_lock", "_native", "_sets")

    def __init__(self) -> None:
        from threading import Lock

        self._native = NativeToolSetRegistry()
        self._sets: dict[tuple[str, str], ToolSet] = {}
        self._lock = Lock()

    def publish(self, toolset: ToolSet) -> None:
        """Publishes a set. What it needs may be published later.

        Raises:
            ToolSetError: this version is there already (`already_published`).
        """
        if not isinstance(toolset, ToolSet):  # pyright: ignore[reportUnnecessaryIsInstance]
            from . import _checks

            _checks.fail("toolset", "a ToolSet", toolset)
        with self._lock:
            self._native.publish(toolset.native)
            self._sets[toolset.id, toolset.version] = toolset

    def get(self, id: str, version: str) -> ToolSet:
        """The set of exactly this version.

        Raises:
            ToolSetError: there is none (`missing`); the message lists the versions there are.
        """
        with self._lock:
            return self._sets[self._native.get(id, version)]

    def latest(self, id: str) -> ToolSet:
        """The newest version of a set; a pre-release only where there is nothing else.

        Raises:
            ToolSetError: there is none (`missing`).
        """
        with self._lock:
            return self._sets[self._native.latest(id)]

    def list(self) -> dict[str, List[str]]:
        """Every id with its versions, oldest first."""
        return dict(self._native.listed())

    def resolve(self, wanted: str | Mapping[str, str]) -> List[ToolSet]:
        """A set, or several with the versions that will do, and all that they need: the newest that suit everybody.

        Each set comes after those that it needs; the list can be given to an agent as its tools.

        Raises:
            ToolSetError: a set is not there (`missing`), no version of one suits all (`conflict`), or they need each
                other in a circle (`cycle`).
            ToolDefinitionError: two of the sets have a tool of one name.
        """
        ranges = {wanted: "*"} if isinstance(wanted, str) else _ranges("wanted", wanted)
        found = self._native.resolve(list(ranges.items()))
        with self._lock:
            return [self._sets[key] for key in found]

    def __repr__(self) -> str:
        return f"<ToolSetRegistry: {', '.join(self.list())}>"


def flattened(given: Sequence[Any]) -> list[Any]:
    """The entries of a list of tools, with the tools of a set in place of the set. The sets must have all that they
    need among them."""
    sets = [each for each in given if isinstance(each, ToolSet)]
    if not sets:
        return list(given)
    NativeToolSet.together([each.native for each in sets])
    return [tool for each in given for tool in (each.tools if isinstance(each, ToolSet) else (each,))]


def _ranges(name: str, given: Any) -> dict[str, str]:
    """Ids of sets with their ranges of versions."""
    from . import _checks

    _checks.dictionary(name, given)
    for id, versions in given.items():
        _checks.text(f"an id in {name}", id)
        _checks.text(f"the versions of {id} in {name}", versions)
    return dict(given)
