"""The kinds of events, for annotations. Loaded when it is asked for: it needs `typing`."""

from __future__ import annotations

from typing import Literal

EventKind = Literal[
    "run_started",
    "run_finished",
    "run_failed",
    "run_suspended",
    "node_started",
    "node_finished",
    "node_retried",
    "checkpoint_saved",
    "state_written",
    "interrupt_raised",
    "interrupt_resumed",
    "model_requested",
    "model_retried",
    "model_fallback",
    "model_finished",
    "cache_hit",
    "prompt_prefix_changed",
    "text_delta",
    "thinking_delta",
    "refusal_delta",
    "server_tool_used",
    "output_rejected",
    "budget_reserved",
    "budget_spent",
    "tool_call_streamed",
    "tool_started",
    "tool_invoked",
    "approval_requested",
    "approval_resolved",
    "handed_off",
    "harness_started",
    "harness_iteration",
    "harness_finished",
    "lagged",
]
