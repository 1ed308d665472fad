"""The faces and the native module belong together."""

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import atomr_agents
from atomr_agents import _native, errors

INTERNAL = {
    # The faces hold these, or decorators make them.
    "harness": {"HarnessCore"},
    "agent": {
        "AgentCore",
        "CallNext",
        "NativeMiddleware",
        "PartialOutput",
        "RunHandle",
        "RunOutcome",
        "SessionCore",
        "Sessions",
    },
    "state": {"NativeEvents", "NativeJournal", "NativeRuns", "guest_store"},
    "embed": {"NativeAnnIndex", "NativeEmbedder", "NativeOnnxSetup", "nearest_tools"},
    "ingest": {
        "NativeAsyncSplitter",
        "NativeKvCache",
        "NativeLoader",
        "NativePipeline",
        "NativeSplitter",
        "cached",
        "code_language",
        "load_csv",
        "load_directory",
        "load_docx",
        "load_json",
        "load_json_lines",
        "load_pdf",
        "load_texts",
        "load_web",
    },
    "memory": {"chained", "recall", "recency", "summarizing", "tools"},
    "parser": {"NativeAsyncParser", "NativeParser", "NativeRepairModel"},
    "retriever": {"NativeCompressor", "NativeIndex", "NativeReranker", "NativeRetriever"},
    "testkit": {"NativeScript", "NativeReplayServer", "NativeReplay", "conformance_of", "store_conformance"},
    "tool": {"NativeTool", "NativeToolMeta", "NativeToolSet", "NativeToolSetRegistry"},
    "workflow": {
        "DagOutcome",
        "DagRunner",
        "DagStep",
        "Graph",
        "GraphRunner",
        "Outcome",
        "RunParts",
        "RunSnapshot",
        "current_node",
    },
}
# Faces of their own stand for these.
WRAPPED = {"callable_": {"Callable", "Pipeline"}, "observability": {"EventBus", "JsonlTracer", "TracerHandle"}}


def natives() -> list[str]:
    return [name for name, value in vars(_native).items() if isinstance(value, ModuleType) and not name.startswith("_")]


def public(module: ModuleType) -> set[str]:
    return {name for name in vars(module) if not name.startswith("_")}


def test_there_are_submodules():
    assert set(natives()) == {
        "agent",
        "cache",
        "callable_",
        "cli",
        "core",
        "embed",
        "errors",
        "guest",
        "harness",
        "ingest",
        "memory",
        "observability",
        "parser",
        "retriever",
        "state",
        "strategy",
        "testkit",
        "tool",
        "workflow",
    }


@pytest.mark.parametrize("name", natives())
def test_every_native_name_is_in_its_mirror(name: str):
    native = importlib.import_module(f"atomr_agents._native.{name}")
    mirror = importlib.import_module(f"atomr_agents.{name}")
    for member in public(native) - INTERNAL.get(name, set()):
        face = getattr(mirror, member)
        if inspect.isclass(face) and member not in WRAPPED.get(name, set()):
            assert face is getattr(native, member), member


@pytest.mark.parametrize("name", natives())
def test_what_is_called_internal_exists(name: str):
    native = importlib.import_module(f"atomr_agents._native.{name}")
    assert INTERNAL.get(name, set()) <= public(native)


def test_every_kind_has_one_class_that_agrees():
    assert sorted(errors.BY_KIND) == sorted(errors.kinds())
    for kind, error in errors.BY_KIND.items():
        assert (error.kind, error.retryable) == (kind, errors.retryable(kind))
        assert (error.__module__, getattr(errors, error.__name__)) == ("atomr_agents.errors", error)
    assert len(set(errors.BY_KIND.values())) == len(errors.BY_KIND)


def modules() -> list[str]:
    found = pkgutil.walk_packages(atomr_agents.__path__, "atomr_agents.")
    return ["atomr_agents", *(module.name for module in found if "._native" not in module.name)]


def test_the_walk_finds_the_modules():
    assert {"atomr_agents.agent", "atomr_agents.testkit", "atomr_agents.testkit.pytest_plugin"} <= set(modules())


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_the_docstrings_run(name: str):
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for test in finder.find(module, name, globs=dict(vars(module))) if test.examples]
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        runner.run(test)
        atomr_agents.clear_factories()
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", [name for name in modules() if not name.rpartition(".")[2].startswith("_")])
def test_every_public_object_says_what_it_is(name: str):
    module = importlib.import_module(name)
    assert module.__doc__
    for member in getattr(module, "__all__", ()):
        value = getattr(module, member)
        if not (inspect.isclass(value) or inspect.isfunction(value)) or "_native" in value.__module__:
            continue
        assert value.__doc__, f"{name}.{member}"
        for method, function in vars(value).items() if inspect.isclass(value) else ():
            if not method.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                assert function.__doc__, f"{name}.{member}.{method}"


def test_the_fixtures_for_users_work(scripted_model, replay_server):
    server = replay_server()
    assert server.base_url.startswith("http://127.0.0.1:")
    agent = atomr_agents.Agent(scripted_model.text("Rain."))
    assert agent.run_sync("?").output == "Rain."
    assert repr(scripted_model) == "<ScriptedModel, asked 1 times>"


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert files("atomr_agents").joinpath("py.typed").is_file()
    for name in natives():
        assert files("atomr_agents").joinpath("_native", f"{name}.pyi").is_file()
