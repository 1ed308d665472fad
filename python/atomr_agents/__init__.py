"""Agents in Python on a Rust core: it owns the loop, the stream and the clock; you write functions with type hints.

```python
from atomr_agents import Agent, tool


@tool
async def forecast(city: str) -> str:
    '''Tomorrow's weather.'''
    return "rain"


agent = Agent("openai:gpt-4o-mini", instructions="Answer in one line.", tools=[forecast])
print(agent.run_sync("What shall I wear in Oslo?").output)
```

Every name is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import agent as agent
    from . import cache as cache
    from . import core as core
    from . import errors as errors
    from . import guest as guest
    from . import harness as harness
    from . import ingest as ingest
    from . import memory as memory
    from . import middleware as middleware
    from . import observability as observability
    from . import state as state
    from . import testkit as testkit
    from . import workflow as workflow
    from ._builder import AgentBuilder as AgentBuilder
    from ._builder import AgentRef as AgentRef
    from ._context import LoopContext as LoopContext
    from ._context import RunContext as RunContext
    from ._context import StrategyContext as StrategyContext
    from ._graph_build import StateGraph as StateGraph
    from ._graph_types import END as END
    from ._graph_types import START as START
    from ._graph_types import Command as Command
    from ._graph_types import Send as Send
    from ._graph_types import interrupt as interrupt
    from ._handoffs import Handoff as Handoff
    from ._handoffs import handoff_tool as handoff_tool
    from ._native import __version__ as __version__
    from ._native.agent import ApprovalLedger as ApprovalLedger
    from ._native.agent import Decision as Decision
    from ._native.agent import InferenceClient as InferenceClient
    from ._native.agent import PendingCall as PendingCall
    from ._native.agent import PendingRun as PendingRun
    from ._native.cache import InMemoryLlmCache as InMemoryLlmCache
    from ._native.core import Budget as Budget
    from ._native.core import Document as Document
    from ._native.core import Event as Event
    from ._native.core import Message as Message
    from ._native.core import Span as Span
    from ._native.core import Usage as Usage
    from ._native.tool import Grants as Grants
    from ._native.tool import ParsedToolCall as ParsedToolCall
    from ._native.tool import PermissionSpec as PermissionSpec
    from ._native.tool import Provider as Provider
    from ._native.tool import ToolCallParser as ToolCallParser
    from ._native.tool import ToolControl as ToolControl
    from ._native.tool import ToolDescriptor as ToolDescriptor
    from ._native.tool import ToolReturn as ToolReturn
    from ._runs import RunResult as RunResult
    from ._runs import RunStream as RunStream
    from .agent import Agent as Agent
    from .callable_ import Callable as Callable
    from .callable_ import Pipeline as Pipeline
    from .callable_ import branch as branch
    from .callable_ import fan_out as fan_out
    from .callable_ import lambda_ as lambda_
    from .callable_ import passthrough as passthrough
    from .callable_ import with_config as with_config
    from .callable_ import with_fallbacks as with_fallbacks
    from .callable_ import with_retry as with_retry
    from .callable_ import with_timeout as with_timeout
    from .embed import Embedder as Embedder
    from .embed import InMemoryAnnIndex as InMemoryAnnIndex
    from .errors import AgentError as AgentError
    from .errors import ModelRetry as ModelRetry
    from .guest import ann_index as ann_index
    from .guest import callable_ as callable_
    from .guest import clear_factories as clear_factories
    from .guest import embedder as embedder
    from .guest import inference_client as inference_client
    from .guest import journal as journal
    from .guest import kv_cache as kv_cache
    from .guest import list_factories as list_factories
    from .guest import loader as loader
    from .guest import long_store as long_store
    from .guest import memory_store as memory_store
    from .guest import repair_model as repair_model
    from .guest import splitter as splitter
    from .guest import tracer as tracer
    from .harness import Harness as Harness
    from .harness import HarnessOutcome as HarnessOutcome
    from .harness import HarnessState as HarnessState
    from .middleware import AgentMiddleware as AgentMiddleware
    from .middleware import logging_middleware as logging_middleware
    from .middleware import rate_limit_middleware as rate_limit_middleware
    from .middleware import redaction_middleware as redaction_middleware
    from .middleware import retry_middleware as retry_middleware
    from .middleware import tool_error_recovery_middleware as tool_error_recovery_middleware
    from .observability import EventBus as EventBus
    from .observability import EventStream as EventStream
    from .parser import PartialJson as PartialJson
    from .parser import parser as parser
    from .retriever import Bm25Retriever as Bm25Retriever
    from .retriever import Filter as Filter
    from .retriever import HybridIndex as HybridIndex
    from .retriever import retriever as retriever
    from .state import Journal as Journal
    from .state import in_memory_journal as in_memory_journal
    from .strategy import Skill as Skill
    from .strategy import keyword_tool_strategy as keyword_tool_strategy
    from .strategy import static_tool_strategy as static_tool_strategy
    from .strategy import strategy as strategy
    from .tool import Tool as Tool
    from .tool import ToolSet as ToolSet
    from .tool import ToolSetRegistry as ToolSetRegistry
    from .tool import tool as tool

# Where each name lives; None where the name is that of the module itself.
_HOMES: dict[str, str | None] = {
    "Agent": "agent",
    "AgentBuilder": "_builder",
    "AgentError": "errors",
    "AgentMiddleware": "middleware",
    "AgentRef": "_builder",
    "ApprovalLedger": "agent",
    "Bm25Retriever": "retriever",
    "Budget": "core",
    "Callable": "callable_",
    "Command": "_graph_types",
    "Decision": "agent",
    "Document": "core",
    "END": "_graph_types",
    "Embedder": "embed",
    "Event": "core",
    "EventBus": "observability",
    "EventStream": "observability",
    "Filter": "retriever",
    "Grants": "tool",
    "Handoff": "_handoffs",
    "Harness": "harness",
    "HarnessOutcome": "harness",
    "HarnessState": "harness",
    "HybridIndex": "retriever",
    "InMemoryAnnIndex": "embed",
    "InMemoryLlmCache": "cache",
    "InferenceClient": "agent",
    "Journal": "state",
    "LoopContext": "_context",
    "Message": "core",
    "ModelRetry": "errors",
    "ParsedToolCall": "tool",
    "PartialJson": "parser",
    "PendingCall": "agent",
    "PendingRun": "agent",
    "PermissionSpec": "tool",
    "Pipeline": "callable_",
    "Provider": "tool",
    "RunContext": "_context",
    "RunResult": "_runs",
    "RunStream": "_runs",
    "START": "_graph_types",
    "Send": "_graph_types",
    "Skill": "strategy",
    "Span": "core",
    "StateGraph": "_graph_build",
    "StrategyContext": "_context",
    "Tool": "tool",
    "ToolCallParser": "tool",
    "ToolControl": "tool",
    "ToolDescriptor": "tool",
    "ToolReturn": "tool",
    "ToolSet": "tool",
    "ToolSetRegistry": "tool",
    "Usage": "core",
    "__version__": "_native",
    "agent": None,
    "ann_index": "guest",
    "branch": "callable_",
    "cache": None,
    "callable_": None,
    "clear_factories": "guest",
    "core": None,
    "embed": None,
    "embedder": "guest",
    "errors": None,
    "fan_out": "callable_",
    "guest": None,
    "handoff_tool": "_handoffs",
    "harness": None,
    "in_memory_journal": "state",
    "inference_client": "guest",
    "ingest": None,
    "interrupt": "_graph_types",
    "journal": "guest",
    "keyword_tool_strategy": "strategy",
    "lambda_": "callable_",
    "kv_cache": "guest",
    "list_factories": "guest",
    "loader": "guest",
    "logging_middleware": "middleware",
    "long_store": "guest",
    "memory": None,
    "memory_store": "guest",
    "middleware": None,
    "observability": None,
    "parser": None,
    "passthrough": "callable_",
    "rate_limit_middleware": "middleware",
    "redaction_middleware": "middleware",
    "repair_model": "guest",
    "retriever": None,
    "retry_middleware": "middleware",
    "splitter": "guest",
    "state": None,
    "static_tool_strategy": "strategy",
    "strategy": None,
    "testkit": None,
    "tool": None,
    "tool_error_recovery_middleware": "middleware",
    "tracer": "guest",
    "with_config": "callable_",
    "with_fallbacks": "callable_",
    "with_retry": "callable_",
    "with_timeout": "callable_",
    "workflow": None,
}

__all__ = [
    "END",
    "START",
    "Agent",
    "AgentBuilder",
    "AgentError",
    "AgentMiddleware",
    "AgentRef",
    "ApprovalLedger",
    "Bm25Retriever",
    "Budget",
    "Callable",
    "Command",
    "Decision",
    "Document",
    "Embedder",
    "Event",
    "EventBus",
    "EventStream",
    "Filter",
    "Grants",
    "Handoff",
    "Harness",
    "HarnessOutcome",
    "HarnessState",
    "HybridIndex",
    "InMemoryAnnIndex",
    "InMemoryLlmCache",
    "InferenceClient",
    "LoopContext",
    "Message",
    "ModelRetry",
    "ParsedToolCall",
    "PartialJson",
    "PendingCall",
    "PendingRun",
    "PermissionSpec",
    "Pipeline",
    "Provider",
    "RunContext",
    "RunResult",
    "RunStream",
    "Send",
    "Skill",
    "Span",
    "StateGraph",
    "StrategyContext",
    "Tool",
    "ToolCallParser",
    "ToolControl",
    "ToolDescriptor",
    "ToolReturn",
    "ToolSet",
    "ToolSetRegistry",
    "Usage",
    "__version__",
    "agent",
    "ann_index",
    "branch",
    "cache",
    "callable_",
    "clear_factories",
    "core",
    "embed",
    "embedder",
    "errors",
    "fan_out",
    "guest",
    "handoff_tool",
    "harness",
    "inference_client",
    "ingest",
    "interrupt",
    "journal",
    "keyword_tool_strategy",
    "kv_cache",
    "lambda_",
    "list_factories",
    "loader",
    "logging_middleware",
    "long_store",
    "memory",
    "memory_store",
    "middleware",
    "observability",
    "parser",
    "passthrough",
    "rate_limit_middleware",
    "redaction_middleware",
    "repair_model",
    "retriever",
    "retry_middleware",
    "splitter",
    "state",
    "static_tool_strategy",
    "strategy",
    "testkit",
    "tool",
    "tool_error_recovery_middleware",
    "tracer",
    "with_config",
    "with_fallbacks",
    "with_retry",
    "with_timeout",
    "workflow",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    # Not `importlib`: the import statement's own function is there already.
    module = __import__(f"{__name__}.{home or name}", fromlist=["__name__"])
    value = module if home is None else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOMES)
