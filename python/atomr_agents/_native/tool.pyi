"""Tools and the streaming call parser."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, final

__all__ = [
    "Grants",
    "NativeTool",
    "NativeToolMeta",
    "NativeToolSet",
    "NativeToolSetRegistry",
    "ParsedToolCall",
    "PermissionSpec",
    "Provider",
    "Reconciled",
    "ToolCallParser",
    "ToolControl",
    "ToolDescriptor",
    "ToolReturn",
]

_Permissions: TypeAlias = PermissionSpec | str | Sequence[str] | Mapping[str, str | Sequence[str] | None]

@final
class PermissionSpec:
    """What a tool needs to be allowed. A call that lacks one of these is refused.

    A permission is a name (`net.fetch`); behind a colon may stand what the call touches, with the argument that says it
    in braces: `fs.read:{path}`, `net:https://api.example.com/{page}`. A dict gives patterns to which a permission is
    limited whatever is granted: `{"fs.read:{path}": ["/data/**"]}`. In a pattern `*` stays within one piece of a path
    or address, `**` does not. With `requires_explicit_grant`, a grant with a `*` in its name does not count.
    `depends_on` is another word for `needs`.
    """

    def __new__(
        cls,
        needs: _Permissions | None = None,
        *,
        requires_explicit_grant: bool = False,
        depends_on: _Permissions | None = None,
    ) -> PermissionSpec: ...
    @property
    def needs(self) -> list[str]:
        """The permissions, as they are written."""
    @property
    def depends_on(self) -> list[str]:
        """The same as `needs`."""
    @property
    def limits(self) -> dict[str, list[list[str]]]:
        """The permissions that are limited, each with groups of patterns of which every group must fit."""
    @property
    def requires_explicit_grant(self) -> bool:
        """Whether one of them must be granted by its name."""
    def __and__(self, other: PermissionSpec, /) -> PermissionSpec:
        """What both need."""
    def __rand__(self, value: PermissionSpec, /) -> PermissionSpec: ...
    def __bool__(self) -> bool:
        """Whether anything is needed."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Grants:
    """What a run is allowed; whatever is below it can only narrow this.

    A grant is a name (`fs.read`), a family of names (`fs.*`) or `*`; behind a colon may stand a pattern of what it
    covers (`fs.read:/data/**`). What climbs (`..`) is covered by no pattern.
    """

    def __new__(cls, grants: Grants | str | Sequence[str] | None = None) -> Grants: ...
    @staticmethod
    def all() -> Grants:
        """Everything, except what must be granted by name."""
    def narrow(self, further: Grants | str | Sequence[str]) -> Grants:
        """What both allow."""
    def missing(self, permissions: _Permissions, arguments: dict[str, Any] | None = None) -> list[str]:
        """The permissions that a call with these arguments lacks."""
    @property
    def layers(self) -> list[list[str]]:
        """The grants as they were written, one list for each time they were narrowed; each must cover a call."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Reconciled:
    """What a `reconcile` function found out that is no result."""

    DID_NOT_HAPPEN: ClassVar[Reconciled]
    """The call did not happen: it is made now."""
    UNKNOWN: ClassVar[Reconciled]
    """It cannot be found out: a person must."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __int__(self, /) -> int: ...

@final
class ToolDescriptor:
    """Everything that is known of a tool."""

    def __new__(
        cls,
        name: str,
        description: str = "",
        schema: dict[str, Any] | None = None,
        *,
        version: str | None = None,
        permissions: _Permissions | None = None,
        tags: str | Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
        strict: bool = False,
        effect: str | None = None,
    ) -> ToolDescriptor: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of its arguments."""
    @property
    def strict(self) -> bool: ...
    @property
    def version(self) -> str:
        """The version of its behaviour; `0.0.0` where none was said."""
    @property
    def effect(self) -> str:
        """What happens when a call is made twice: `none`, `idempotent` or `once`."""
    @property
    def permissions(self) -> PermissionSpec: ...
    @property
    def tags(self) -> list[str]:
        """Words to find it by, sorted."""
    @property
    def metadata(self) -> dict[str, Any]:
        """Anything else; nothing acts on it."""
    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class NativeToolMeta:
    """What a tool is known by besides what the model is told."""

    def __new__(
        cls,
        version: str | None,
        permissions: _Permissions | None,
        tags: str | Sequence[str] | None,
        metadata: dict[str, Any] | None,
        effect: str | None = None,
    ) -> NativeToolMeta: ...

@final
class NativeToolSet:
    """A set of tools as the core keeps it."""

    def __new__(
        cls,
        id: str,
        version: str,
        tools: Sequence[NativeTool],
        dependencies: Sequence[tuple[str, str]],
        permissions: _Permissions | None,
    ) -> NativeToolSet: ...
    @staticmethod
    def together(sets: Sequence[NativeToolSet]) -> None:
        """Refuses sets that do not have all they need among them."""
    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def tools(self) -> list[NativeTool]:
        """The tools, each with the set's permissions, in order."""

@final
class NativeToolSetRegistry:
    """The published sets, named by id and version."""

    def __new__(cls) -> NativeToolSetRegistry: ...
    def publish(self, set: NativeToolSet) -> None: ...
    def get(self, id: str, version: str) -> tuple[str, str]: ...
    def latest(self, id: str) -> tuple[str, str]: ...
    def listed(self) -> list[tuple[str, list[str]]]: ...
    def resolve(self, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str]]: ...

@final
class NativeTool:
    """A tool written in Python, as the core runs it."""

    def __new__(
        cls,
        target: object,
        name: str,
        description: str,
        parameters: dict[str, Any],
        *,
        takes_context: bool,
        raw: bool,
        decode: object | None,
        timeout: float | None,
        retries: int,
        strict: bool,
        key: str,
        meta: NativeToolMeta,
        requires_approval: bool = False,
        max_concurrency: int = 0,
        reconcile: object | None = None,
    ) -> NativeTool:
        """`target` is a function, a class or an instance; `decode` turns the arguments dict into keyword
        arguments and may be `None`; with `raw`, the target gets the arguments as one dict; `reconcile` is a function of
        an idempotency key and the arguments."""
    @staticmethod
    def handoff(target: str, description: str) -> NativeTool:
        """A tool that hands the conversation to the agent of this name."""
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def retries(self) -> int: ...
    @property
    def requires_approval(self) -> bool: ...
    @property
    def effect(self) -> str: ...
    @property
    def max_concurrency(self) -> int: ...
    def descriptor(self) -> ToolDescriptor: ...
    def execute(
        self, arguments: dict[str, Any], grants: Grants | str | Sequence[str] | None, deps: object
    ) -> Coroutine[Any, Any, dict[str, Any]]: ...

@final
class Provider:
    """Whose stream a parser reads."""

    def __new__(cls, name: str) -> Provider: ...
    @staticmethod
    def openai() -> Provider: ...
    @staticmethod
    def openai_responses() -> Provider: ...
    @staticmethod
    def anthropic() -> Provider: ...
    @staticmethod
    def gemini() -> Provider: ...
    @property
    def name(self) -> str: ...

@final
class ParsedToolCall:
    """A call that was read to its end."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def arguments_raw(self) -> str: ...
    def arguments(self) -> Any:
        """The arguments as Python values; empty text means `{}`."""

@final
class ToolCallParser:
    """Puts tool calls together from the deltas of a stream."""

    def __new__(cls, provider: Provider) -> ToolCallParser: ...
    def feed(self, delta: str | bytes | dict[str, Any]) -> None: ...
    def feed_sse(self, read: bytes) -> None:
        """Takes a raw read of the event stream, cut anywhere."""
    def finish(self) -> list[ParsedToolCall]: ...

@final
class ToolReturn:
    """What a tool gives back besides a plain value."""

    @staticmethod
    def content(value: object) -> ToolReturn:
        """What the model sees: text, a part as a dict (`{"type": ...}`), a list of these, or any JSON value."""
    @staticmethod
    def content_and_artifact(content: object, artifact: object) -> ToolReturn:
        """The same, and data that only the caller finds in the tool result."""
    @staticmethod
    def command(control: ToolControl) -> ToolReturn:
        """An order to the loop. The `ToolControl` itself may be returned as well."""
    def to_dict(self) -> dict[str, Any]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class ToolControl:
    """What a tool can tell the loop that runs it."""

    @staticmethod
    def handoff(target: str, payload: object | None = None) -> ToolControl:
        """Another agent goes on with the conversation."""
    @staticmethod
    def done(value: object) -> ToolControl:
        """The run is done; this is its output."""
    @staticmethod
    def update(*content: object, **values: object) -> ToolControl:
        """The model sees the content, the caller finds the values in `RunResult.values`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
