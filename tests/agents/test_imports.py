"""What an import costs, and that its order does not matter."""

import subprocess
import sys
from pathlib import Path

import pytest

import atomr_agents

HEAVY = ("asyncio", "pydantic", "numpy", "dataclasses", "inspect", "typing", "re", "json", "importlib.metadata")


def python(code: str) -> str:
    """Runs code in an interpreter of its own, without `site` and its imports."""
    path = str(Path(atomr_agents.__file__).parents[1])
    start = f"import sys; sys.path.insert(0, {path!r})\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_loads_nothing_heavy():
    loaded = python("before = set(sys.modules)\nfrom atomr_agents import Agent, tool\nprint(*sys.modules)").split()
    assert "atomr_agents._native" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_import_takes_less_than_20_milliseconds_of_cpu():
    code = (
        "import time\nstart = time.process_time()\nfrom atomr_agents import Agent, tool\n"
        "print(time.process_time() - start)"
    )
    assert min(float(python(code)) for _ in range(5)) < 0.020


DECORATE = """
@tool
def add(a: int, b: int) -> int:
    return a + b
assert add(1, 2) == 3 and add.name == "add", add
assert tool(name="other")(lambda: None).name == "other"
"""

ORDERS = {
    "decorator": "from atomr_agents import tool",
    "submodule first": "import atomr_agents.tool\nfrom atomr_agents import tool",
    "decorator first": "from atomr_agents import tool\nimport atomr_agents.tool",
    "from the submodule": "from atomr_agents.tool import tool",
    "through another": "from atomr_agents import Agent\nfrom atomr_agents import guest\nfrom atomr_agents import tool",
    "as an attribute": "import atomr_agents\ntool = atomr_agents.tool",
    "from guest": "import atomr_agents.tool\nfrom atomr_agents.guest import tool",
    "after the submodule": "from atomr_agents import tool as before\nimport atomr_agents.tool as tool",
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_tool_decorator_works_in_every_order_of_imports(order: str):
    python(ORDERS[order] + DECORATE)


STEP = """
@callable_
def double(n):
    return 2 * n
assert double(2) == 4
from atomr_agents import Callable, guest
assert guest.list_factories("callable_") == ["double"]
assert Callable.from_factory("double").call_sync(4) == 8
"""


@pytest.mark.parametrize(
    "order",
    [
        "from atomr_agents import callable_",
        "import atomr_agents.callable_\nfrom atomr_agents import callable_",
        "from atomr_agents import callable_\nimport atomr_agents.callable_",
        "from atomr_agents.guest import callable_",
        "from atomr_agents import Pipeline, callable_",
    ],
)
def test_the_callable_decorator_works_in_every_order_of_imports(order: str):
    python(order + STEP)


CHOICE = """
@strategy(kind="memory")
def notes(ctx):
    return []
from atomr_agents import guest
assert guest.list_factories("strategy:memory") == ["notes"]
"""


@pytest.mark.parametrize(
    "order",
    [
        "from atomr_agents import strategy",
        "import atomr_agents.strategy\nfrom atomr_agents import strategy",
        "from atomr_agents import strategy\nimport atomr_agents.strategy",
        "from atomr_agents.guest import strategy",
        "from atomr_agents import Skill, strategy",
    ],
)
def test_the_strategy_decorator_works_in_every_order_of_imports(order: str):
    python(order + CHOICE)


def test_the_same_statement_gives_the_same_module():
    for first in ("", "import atomr_agents.guest\n", "import atomr_agents._native.guest\n"):
        python(
            f"{first}from atomr_agents import guest\nassert guest.__name__ == 'atomr_agents.guest', guest\nguest.tool"
        )


def test_modules_are_both_callable_and_modules():
    code = """
import inspect, pickle, types
import atomr_agents.tool as tool
import atomr_agents.callable_ as callable_
assert isinstance(tool, types.ModuleType) and callable(tool)
assert tool.Tool and tool.toolset("none") == []
assert callable_.Pipeline
assert "retries" in inspect.signature(tool).parameters
assert tool.__doc__.startswith("Tools")
"""
    python(code)


def test_every_name_can_be_had_and_nothing_else():
    code = """
import atomr_agents
for name in atomr_agents.__all__:
    assert getattr(atomr_agents, name) is not None, name
assert set(atomr_agents.__all__) <= set(dir(atomr_agents))
try:
    atomr_agents.nonsense
except AttributeError as error:
    assert "nonsense" in str(error)
else:
    raise AssertionError
print(atomr_agents.__version__)
"""
    assert python(code)[0].isdigit()


def test_star_import_works():
    python("from atomr_agents import *\nassert Agent and tool and callable_ and EventBus")


def test_errors_need_nothing_native():
    loaded = python("import atomr_agents.errors\nprint(*sys.modules)").split()
    assert "atomr_agents._native" not in loaded
