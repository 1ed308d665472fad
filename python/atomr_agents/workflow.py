"""Graphs of steps over the channels of a state, whose runs survive whatever happens to their process.

Example:
    >>> from typing import TypedDict
    >>> from atomr_agents.workflow import END, START, Command, StateGraph, interrupt
    >>> class Letter(TypedDict):
    ...     to: str
    ...     sent: bool
    >>> def send(state: Letter):
    ...     return {"sent": interrupt(f"Write to {state['to']}?") == "yes"}
    >>> graph = StateGraph(Letter).add_node(send).add_edge(START, "send").add_edge("send", END)
    >>> from atomr_agents.state import in_memory_checkpointer
    >>> app = graph.compile(in_memory_checkpointer())
    >>> thread = {"configurable": {"thread_id": "1"}}
    >>> app.invoke({"to": "Ada"}, thread)["__interrupt__"][0].value
    'Write to Ada?'
    >>> app.invoke(Command(resume="yes"), thread)
    {'to': 'Ada', 'sent': True}
"""

from __future__ import annotations

from ._dags import (
    Dag,
    Given,
    Step,
    StepId,
    WorkflowRunner,
    WorkflowState,
    clear_workflow_registries,
    register_workflow_callable,
    register_workflow_predicate,
)
from ._graph_build import StateGraph
from ._graph_run import CompiledGraph, Drawing, Incompatible
from ._graph_types import (
    END,
    START,
    CachePolicy,
    Command,
    Interrupt,
    RetryPolicy,
    Send,
    StateSnapshot,
    get_stream_writer,
    interrupt,
)
from ._native.workflow import NodeContext

__all__ = [
    "END",
    "START",
    "CachePolicy",
    "Command",
    "CompiledGraph",
    "Dag",
    "Drawing",
    "Given",
    "Incompatible",
    "Interrupt",
    "NodeContext",
    "RetryPolicy",
    "Send",
    "StateGraph",
    "StateSnapshot",
    "Step",
    "StepId",
    "WorkflowRunner",
    "WorkflowState",
    "clear_workflow_registries",
    "get_stream_writer",
    "interrupt",
    "register_workflow_callable",
    "register_workflow_predicate",
]
