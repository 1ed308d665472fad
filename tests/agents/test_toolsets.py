"""What tools need to be allowed, what is known of them, and sets of them."""

from typing import Any

import pytest

from atomr_agents import (
    Agent,
    Grants,
    PermissionSpec,
    RunContext,
    Tool,
    ToolDescriptor,
    ToolSet,
    ToolSetRegistry,
    guest,
    tool,
)
from atomr_agents.errors import (
    ConfigError,
    DeniedError,
    InvalidArgumentsError,
    RunTimeoutError,
    ToolDefinitionError,
    ToolSetError,
)
from atomr_agents.testkit import ScriptedModel

TEXT = [{"type": "text", "text": "text of /data/a"}]


def reader(**options: Any) -> tuple[Tool[..., Any], list[str]]:
    """A tool that reads, and what it was called with."""
    called: list[str] = []

    @tool(name="read", **options)
    async def read(path: str) -> str:
        """Reads a file."""
        called.append(path)
        return f"text of {path}"

    return read, called


# --- permissions ---


async def test_an_agent_without_grants_is_refused_what_needs_one_and_the_model_is_told():
    read, called = reader(permissions="fs.read:{path}")
    model = ScriptedModel().tool_calls(("read", {"path": "/data/a"})).text("I may not.")
    result = await Agent(model, tools=[read]).run("Read it.")
    part = result.messages[2].parts[0]
    assert part["is_error"] and called == []
    assert part["parts"][0]["text"] == "read is not allowed: it lacks the permission fs.read:/data/a"


async def test_a_call_is_run_only_with_its_grants():
    read, called = reader(permissions="fs.read:{path}")
    for grants in (None, "net", "fs.read:/etc/**", [], Grants.all().narrow("net")):
        with pytest.raises(DeniedError, match="fs.read:/data/a"):
            await read.execute({"path": "/data/a"}, grants=grants)
    with pytest.raises(DeniedError):
        await read.execute({"path": "/data/../etc/passwd"}, grants="fs.read:/data/**")
    assert called == []
    for grants in ("fs.read", ["net", "fs.read:/data/**"], Grants("fs.*"), Grants.all()):
        assert (await read.execute({"path": "/data/a"}, grants=grants))["parts"] == TEXT
    assert called == ["/data/a"] * 4


async def test_permissions_may_be_limited_and_may_want_an_explicit_grant():
    limited, _ = reader(permissions={"fs.read:{path}": ["/data/**", "/scratch/*"]})
    assert (await limited.execute({"path": "/data/a"}, grants="*"))["parts"] == TEXT
    with pytest.raises(DeniedError):
        await limited.execute({"path": "/etc/a"}, grants="*")
    careful, _ = reader(permissions=PermissionSpec("fs.read", requires_explicit_grant=True))
    with pytest.raises(DeniedError):
        await careful.execute({"path": "/data/a"}, grants=["*", "fs.*"])
    assert (await careful.execute({"path": "/data/a"}, grants="fs.read"))["parts"] == TEXT


def test_specs_and_grants_are_values():
    spec = PermissionSpec(["net", "fs.read:{path}"])
    assert spec == PermissionSpec(depends_on=["net", "fs.read:{path}"]) and bool(spec) and not PermissionSpec()
    assert spec.needs == spec.depends_on == ["net", "fs.read:{path}"]
    both = PermissionSpec("net") & PermissionSpec({"fs.read:{path}": "/data/**"}, requires_explicit_grant=True)
    assert both.needs == spec.needs and both.limits == {"fs.read:{path}": [["/data/**"]]}
    assert both.requires_explicit_grant and not spec.requires_explicit_grant
    assert repr(spec) == 'PermissionSpec(["net", "fs.read:{path}"])'
    grants = Grants(["fs.*:/data/**"]).narrow(["fs.read"])
    assert grants.layers == [["fs.*:/data/**"], ["fs.read"]]
    assert grants.missing(spec, {"path": "/data/a"}) == ["net"]
    assert Grants("net") == Grants(["net"]) != Grants()
    assert repr(grants) == 'Grants(["fs.*:/data/**"]).narrow(["fs.read"])'


@pytest.mark.parametrize(
    "wrong", ["a b", "fs.*", "fs:{a}{b}", ["ok", ""], {"fs": ["/data"]}, {"fs:{path}": ["***"]}, 3, {1: None}]
)
def test_a_permission_that_cannot_be_read_is_refused_when_the_tool_is_made(wrong: Any):
    with pytest.raises(ConfigError):
        reader(permissions=wrong)


def test_a_permission_on_an_argument_that_is_not_there_is_refused():
    with pytest.raises(ToolDefinitionError, match=r"fs:\{file\} of read"):
        reader(permissions="fs:{file}")


@pytest.mark.parametrize("wrong", ["a b", "*.a", "fs:", 3, [3]])
def test_a_grant_that_cannot_be_read_is_refused(wrong: Any):
    with pytest.raises(ConfigError):
        Grants(wrong)


# --- running a tool without a model ---


async def test_execute_checks_arguments_applies_the_timeout_and_raises_what_the_tool_raised():
    import asyncio

    @tool(timeout=0.05)
    async def work(n: int, ctx: Any = None) -> int:
        """Works."""
        if n == 0:
            raise LookupError("nothing")
        await asyncio.sleep(0 if n == 1 else 60)
        return n

    with pytest.raises(InvalidArgumentsError):
        await work.execute({"n": "one"})
    with pytest.raises(LookupError, match="nothing"):
        await work.execute({"n": 0})
    with pytest.raises(RunTimeoutError):
        await work.execute({"n": 2})
    assert await work.execute({"n": 1}) == {"kind": "content", "parts": [{"type": "text", "text": "1"}]}


async def test_execute_passes_the_dependencies():
    @tool
    async def who(ctx: RunContext[str]) -> str:
        """Who?"""
        return ctx.deps

    assert (await who.execute(deps="Ann"))["parts"][0]["text"] == "Ann"


# --- descriptors ---


def test_a_decorated_tool_has_a_descriptor():
    made, _ = reader(version="1.2.0", permissions=["fs.read:{path}"], tags=["files", "data"], metadata={"owner": "ann"})
    descriptor = made.descriptor()
    assert (descriptor.name, descriptor.description, descriptor.version) == ("read", "Reads a file.", "1.2.0")
    assert descriptor.schema == made.parameters and not descriptor.strict
    assert (descriptor.tags, descriptor.metadata) == (["data", "files"], {"owner": "ann"})
    assert descriptor.permissions == PermissionSpec("fs.read:{path}")
    assert descriptor.to_dict() == {
        "name": "read",
        "description": "Reads a file.",
        "schema": made.parameters,
        "strict": False,
        "version": "1.2.0",
        "permissions": [{"permission": "fs.read:{path}"}],
        "tags": ["data", "files"],
        "metadata": {"owner": "ann"},
    }
    same = ToolDescriptor(
        "read",
        "Reads a file.",
        made.parameters,
        version="1.2.0",
        permissions="fs.read:{path}",
        tags=["files", "data"],
        metadata={"owner": "ann"},
    )
    assert same == descriptor
    assert repr(same) == 'ToolDescriptor("read", version="1.2.0")'
    assert reader()[0].descriptor().version == "0.0.0"


@pytest.mark.parametrize("wrong", [{"version": "1"}, {"version": 1}, {"tags": 3}, {"metadata": []}])
def test_what_a_descriptor_cannot_hold_is_refused(wrong: dict[str, Any]):
    with pytest.raises(ConfigError):
        reader(**wrong)


# --- sets ---


def named(*names: str) -> list[Tool[..., Any]]:
    return [tool(name=name)(lambda: "") for name in names]


async def test_an_agent_takes_the_tools_of_a_set():
    numbers = ToolSet("numbers", "1.0.0", named("one", "two"))
    words = ToolSet("words", "1.0.0", named("three"))
    model = ScriptedModel().text("done").text("done")
    agent = Agent(model, tools=[numbers, named("four")[0], words])
    await agent.run("?")
    assert [each["name"] for each in model.requests[0]["tools"]] == ["one", "two", "four", "three"]
    with pytest.raises(ToolDefinitionError, match='two tools are named "one"'):
        Agent(model, tools=[numbers, *named("one")])


async def test_the_permissions_of_a_set_hold_for_each_of_its_tools_and_not_outside_of_it():
    free, called = reader()
    files = ToolSet("files", "1.0.0", [free], permissions="fs")
    (guarded,) = files.tools
    assert guarded.descriptor().permissions.needs == ["fs"] and not free.descriptor().permissions
    with pytest.raises(DeniedError):
        await guarded.execute({"path": "/data/a"})
    model = ScriptedModel().tool_calls(("read", {"path": "/data/a"})).text("No.")
    result = await Agent(model, tools=[files]).run("?")
    assert result.messages[2].parts[0]["is_error"] and called == []
    assert (await guarded.execute({"path": "/data/a"}, grants="fs"))["parts"] == TEXT
    assert (await free.execute({"path": "/data/a"}))["parts"] == TEXT


def test_a_set_is_a_collection_that_says_what_it_is():
    tools = named("one", "two")
    numbers = ToolSet("numbers", "1.0.0", tools, description="Numbers.", author="ann", dependencies={"math": "^1"})
    assert list(numbers) == tools and len(numbers) == 2 and numbers["two"] is tools[1]
    assert (numbers.id, numbers.version, numbers.description, numbers.author) == ("numbers", "1.0.0", "Numbers.", "ann")
    assert numbers.dependencies == {"math": "^1"} and repr(numbers) == "<ToolSet numbers 1.0.0: one, two>"
    with pytest.raises(KeyError, match="one, two"):
        numbers["three"]


def reason(call: Any) -> str:
    with pytest.raises(ToolSetError) as raised:
        call()
    assert isinstance(raised.value, ConfigError) and raised.value.kind == "config"
    return raised.value.reason


def test_what_no_set_can_be_is_refused():
    with pytest.raises(ToolDefinitionError, match='two tools are named "a"'):
        ToolSet("numbers", "1.0.0", named("a", "a"))
    assert reason(lambda: ToolSet("a b", "1.0.0")) == "id"
    assert reason(lambda: ToolSet("a", "1.0")) == "version"
    assert reason(lambda: ToolSet("a", "1.0.0", dependencies={"b": "newest"})) == "requirement"
    assert reason(lambda: ToolSet("a", "1.0.0", dependencies={"a": "*"})) == "cycle"
    wrong: Any
    for wrong in (3, "text", {"a": 1}):
        with pytest.raises(ConfigError):
            ToolSet("a", "1.0.0", wrong)
        with pytest.raises(ConfigError):
            ToolSet("a", "1.0.0", dependencies=wrong)


def test_a_set_without_what_it_needs_is_refused_by_the_agent():
    shop = ToolSet("shop", "1.0.0", named("buy"), dependencies={"web": "^1.2"})
    old, web = (ToolSet("web", version, named("fetch")) for version in ("1.1.0", "1.3.0"))
    model = ScriptedModel()
    assert reason(lambda: Agent(model, tools=[shop])) == "missing"
    assert reason(lambda: Agent(model, tools=[shop, old])) == "conflict"
    Agent(model, tools=[shop, web])


def test_the_registry_keeps_what_was_published():
    registry = ToolSetRegistry()
    first = ToolSet("web", "1.0.0")
    registry.publish(first)
    registry.publish(ToolSet("web", "2.0.0-rc.1"))
    assert reason(lambda: registry.publish(ToolSet("web", "1.0.0"))) == "already_published"
    assert registry.get("web", "1.0.0") is first is registry.latest("web")
    assert registry.list() == {"web": ["1.0.0", "2.0.0-rc.1"]}
    assert reason(lambda: registry.get("web", "1.1.0")) == "missing"
    assert reason(lambda: registry.latest("wed")) == "missing"
    assert reason(lambda: registry.get("web", "one")) == "version"
    wrong: Any = "web"
    with pytest.raises(ConfigError):
        registry.publish(wrong)


async def test_what_is_resolved_can_be_given_to_an_agent():
    registry = ToolSetRegistry()
    for version in ("1.2.0", "1.3.0", "2.0.0"):
        registry.publish(ToolSet("web", version, named("fetch")))
    registry.publish(ToolSet("shop", "1.0.0", named("buy"), dependencies={"web": "^1"}))
    registry.publish(ToolSet("news", "1.0.0", named("read"), dependencies={"web": "<1.3"}))
    found = registry.resolve({"shop": "*", "news": "^1"})
    assert [(each.id, each.version) for each in found] == [("web", "1.2.0"), ("shop", "1.0.0"), ("news", "1.0.0")]
    model = ScriptedModel().text("done")
    await Agent(model, tools=found).run("?")
    assert [each["name"] for each in model.requests[0]["tools"]] == ["fetch", "buy", "read"]


def test_what_stands_against_a_resolution_is_named():
    registry = ToolSetRegistry()
    for id, needs in {"a": {"c": "^1"}, "b": {"c": "^2"}, "d": {"gone": "*"}, "x": {"y": "*"}, "y": {"x": "*"}}.items():
        registry.publish(ToolSet(id, "1.0.0", dependencies=needs))
    for version in ("1.0.0", "2.0.0"):
        registry.publish(ToolSet("c", version))
    assert reason(lambda: registry.resolve({"a": "*", "b": "*"})) == "conflict"
    assert reason(lambda: registry.resolve("d")) == "missing"
    assert reason(lambda: registry.resolve("x")) == "cycle"
    with pytest.raises(ToolSetError, match="x 1.0.0 -> y 1.0.0 -> x 1.0.0"):
        registry.resolve("x")


def test_a_set_of_registered_tools():
    one, two = named("one", "two")
    numbers = guest.build_guest_toolset("numbers", "1.0.0", ["two", "one"])
    assert list(numbers) == [two, one]
    assert list(guest.build_guest_toolset("all", "1.0.0")) == [one, two]
    with pytest.raises(KeyError, match="one, two"):
        guest.build_guest_toolset("numbers", "1.0.0", ["three"])
