//! What happens in a run, as one ordered stream.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Kind, Money, RunId, Usage};

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The run.
    #[serde(rename = "run_id")]
    pub run: RunId,
    /// Position in the run, from 1. Deltas share the number of the event they follow.
    pub seq: u64,
    /// Position among the deltas that follow event `seq`, from 1; 0 for events that are no deltas.
    #[serde(default)]
    pub index: u32,
    /// Where in the tree of agents and steps it happened; empty at the root.
    pub path: Arc<str>,
    /// The run that started this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// The agent's name.
        agent: String,
        /// The model it was given.
        model: String,
    },
    /// A run ended well.
    RunFinished {
        /// Tokens of all its model calls.
        usage: Box<Usage>,
        /// What they cost, where the price is known.
        cost: Option<Money>,
        /// Wall time in milliseconds.
        elapsed_ms: u64,
    },
    /// A run ended in an error.
    RunFailed {
        /// What went wrong.
        error: Kind,
        /// In words.
        message: String,
        /// Wall time in milliseconds.
        elapsed_ms: u64,
    },
    /// A model is called.
    ModelRequested {
        /// The model.
        model: String,
        /// Position of the call in the run, from 1.
        iteration: u32,
        /// How many messages it is sent.
        messages: usize,
        /// How many tools it is offered.
        tools: usize,
        /// Where prompts are watched, a hash of this one as the provider will read it, in hex: equal prompts have equal
        /// hashes, in every process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt_hash: Option<String>,
    },
    /// The model is called again from the start: deltas since the last `model_requested` are void.
    ModelRetried {
        /// The attempt that begins after the wait.
        attempt: u32,
        /// Milliseconds until then.
        wait_ms: u64,
        /// Why.
        reason: String,
    },
    /// The model wrote text.
    TextDelta {
        /// The piece.
        text: String,
    },
    /// The model thought.
    ThinkingDelta {
        /// The piece.
        text: String,
    },
    /// The model refuses.
    RefusalDelta {
        /// The piece.
        text: String,
    },
    /// The model is writing a tool call. The first one of a call has empty `arguments`.
    ToolCallStreamed {
        /// Position among the calls of this answer, from 0.
        call_index: u32,
        /// The provider's id for the call.
        call_id: Arc<str>,
        /// The tool's name.
        name: Arc<str>,
        /// A piece of JSON text, cut anywhere.
        arguments: String,
    },
    /// The model's answer is complete.
    ModelFinished {
        /// Why it ended, in the provider's own word.
        finish: String,
        /// Tokens of this call.
        usage: Box<Usage>,
        /// How many tools it asked for.
        tool_calls: usize,
        /// Wall time in milliseconds, retries included.
        elapsed_ms: u64,
    },
    /// The provider itself ran a tool.
    ServerToolUsed {
        /// The tool and which side of it this is, in the provider's word.
        name: String,
    },
    /// A model call failed and goes to the next model of a chain.
    ModelFallback {
        /// The model that failed.
        from: String,
        /// The model that is asked next.
        to: String,
        /// Why.
        reason: String,
    },
    /// A model call was answered from a cache.
    CacheHit {
        /// The cache.
        cache: String,
    },
    /// The beginning of the prompt is not that of the last call, so the provider's prompt cache does not serve it.
    PromptPrefixChanged {
        /// The first byte that differs, counted over the parts of the prompt in the order the provider reads them.
        byte: usize,
        /// Which part it lies in, e.g. `tools[2] forecast`.
        owner: String,
    },
    /// The answer did not have the shape that was asked for; the model is told so.
    OutputRejected {
        /// How often that has happened in this run.
        attempt: u32,
        /// What is wrong with it.
        message: String,
    },
    /// A part of the budget was set aside for a model call.
    BudgetReserved {
        /// Tokens, counted here.
        tokens: u64,
        /// What they cost, where the price is known.
        cost: Option<Money>,
    },
    /// What a model call used was taken from the budget.
    BudgetSpent {
        /// Tokens, as the provider counted them.
        tokens: u64,
        /// What they cost, where the price is known.
        cost: Option<Money>,
    },
    /// A tool call waits for somebody's word.
    ApprovalRequested {
        /// Position among the calls of this answer, from 0.
        call_index: u32,
        /// The provider's id for the call.
        call_id: Arc<str>,
        /// The tool's name.
        name: Arc<str>,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// Somebody said whether a tool call may be made.
    ApprovalResolved {
        /// Position among the calls of this answer, from 0.
        call_index: u32,
        /// The provider's id for the call.
        call_id: Arc<str>,
        /// The tool's name.
        name: Arc<str>,
        /// Whether it may.
        approved: bool,
    },
    /// Another agent goes on with the conversation.
    HandedOff {
        /// The agent that had it.
        from: String,
        /// The agent that has it now.
        to: String,
    },
    /// The run waits for people and ends until somebody resumes it.
    RunSuspended {
        /// How many tool calls wait for somebody's word.
        pending: usize,
        /// Wall time in milliseconds.
        elapsed_ms: u64,
    },
    /// A step of a graph begins.
    NodeStarted {
        /// The step.
        node: Arc<str>,
        /// The super-step, from 1.
        step: u64,
    },
    /// A step of a graph ended.
    NodeFinished {
        /// The step.
        node: Arc<str>,
        /// The super-step, from 1.
        step: u64,
        /// Whether it succeeded.
        ok: bool,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Kind>,
        /// Wall time in milliseconds, waits for answers included.
        elapsed_ms: u64,
    },
    /// A step of a graph failed and is tried again.
    NodeRetried {
        /// The step.
        node: Arc<str>,
        /// The attempt that begins after the wait.
        attempt: u32,
        /// Milliseconds until then.
        wait_ms: u64,
        /// Why.
        reason: String,
    },
    /// The state after a super-step is in the store.
    CheckpointSaved {
        /// The super-step; 0 for the input.
        step: u64,
        /// Why it was made: `input`, `step`, `update`, `goto`.
        source: String,
    },
    /// Somebody wrote to the state of a run from outside.
    StateWritten {
        /// The super-step that this counts as.
        step: u64,
        /// The channels.
        channels: Vec<Arc<str>>,
    },
    /// A step of a graph asks somebody, and waits.
    InterruptRaised {
        /// What an answer names.
        interrupt: String,
        /// The step.
        node: Arc<str>,
    },
    /// Somebody answered what a step asked.
    InterruptResumed {
        /// What the answer named.
        interrupt: String,
    },
    /// A tool starts.
    ToolStarted {
        /// Position among the calls of this answer, from 0.
        #[serde(default)]
        call_index: u32,
        /// The provider's id for the call.
        call_id: Arc<str>,
        /// The tool's name.
        name: Arc<str>,
        /// The arguments as the model wrote them.
        arguments: String,
    },
    /// A tool ran, or could not be run.
    ToolInvoked {
        /// Position among the calls of this answer, from 0.
        #[serde(default)]
        call_index: u32,
        /// The provider's id for the call.
        call_id: Arc<str>,
        /// The tool's name.
        name: Arc<str>,
        /// Whether it succeeded.
        ok: bool,
        /// What went wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Kind>,
        /// The text the model sees.
        result: String,
        /// Wall time in milliseconds.
        elapsed_ms: u64,
    },
    /// A harness begins to loop, or goes on where it was left.
    HarnessStarted {
        /// The harness.
        harness: String,
        /// How many iterations have ended before.
        iteration: u64,
    },
    /// An iteration of a harness has ended; where the run is kept in a store, it is there.
    HarnessIteration {
        /// The harness.
        harness: String,
        /// Which, from 1.
        iteration: u64,
        /// What the strategy called it; may be empty.
        label: String,
        /// The tokens that it used.
        tokens: u64,
        /// The tokens that are left; `None` without a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remaining_tokens: Option<u64>,
        /// Wall time in milliseconds.
        elapsed_ms: u64,
    },
    /// A harness has ended.
    HarnessFinished {
        /// The harness.
        harness: String,
        /// How many iterations it took.
        iteration: u64,
        /// Why it was ended; `None` for one that has reached what it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Wall time in milliseconds, over all processes that have worked on it.
        elapsed_ms: u64,
    },
    /// The listener was too slow: so many events were dropped before this one. Only that listener sees it.
    Lagged {
        /// How many.
        missed: u64,
    },
}

impl EventKind {
    /// Whether this is a piece of something whose whole is told later.
    #[must_use]
    pub fn is_delta(&self) -> bool {
        matches!(
            self,
            EventKind::TextDelta { .. }
                | EventKind::ThinkingDelta { .. }
                | EventKind::RefusalDelta { .. }
                | EventKind::ToolCallStreamed { .. }
        )
    }

    /// The name users see, in snake case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::RunStarted { .. } => "run_started",
            EventKind::RunFinished { .. } => "run_finished",
            EventKind::RunFailed { .. } => "run_failed",
            EventKind::ModelRequested { .. } => "model_requested",
            EventKind::ModelRetried { .. } => "model_retried",
            EventKind::TextDelta { .. } => "text_delta",
            EventKind::ThinkingDelta { .. } => "thinking_delta",
            EventKind::RefusalDelta { .. } => "refusal_delta",
            EventKind::ToolCallStreamed { .. } => "tool_call_streamed",
            EventKind::ModelFinished { .. } => "model_finished",
            EventKind::ServerToolUsed { .. } => "server_tool_used",
            EventKind::ModelFallback { .. } => "model_fallback",
            EventKind::CacheHit { .. } => "cache_hit",
            EventKind::PromptPrefixChanged { .. } => "prompt_prefix_changed",
            EventKind::OutputRejected { .. } => "output_rejected",
            EventKind::BudgetReserved { .. } => "budget_reserved",
            EventKind::BudgetSpent { .. } => "budget_spent",
            EventKind::ApprovalRequested { .. } => "approval_requested",
            EventKind::ApprovalResolved { .. } => "approval_resolved",
            EventKind::HandedOff { .. } => "handed_off",
            EventKind::RunSuspended { .. } => "run_suspended",
            EventKind::NodeStarted { .. } => "node_started",
            EventKind::NodeFinished { .. } => "node_finished",
            EventKind::NodeRetried { .. } => "node_retried",
            EventKind::CheckpointSaved { .. } => "checkpoint_saved",
            EventKind::StateWritten { .. } => "state_written",
            EventKind::InterruptRaised { .. } => "interrupt_raised",
            EventKind::InterruptResumed { .. } => "interrupt_resumed",
            EventKind::ToolStarted { .. } => "tool_started",
            EventKind::ToolInvoked { .. } => "tool_invoked",
            EventKind::HarnessStarted { .. } => "harness_started",
            EventKind::HarnessIteration { .. } => "harness_iteration",
            EventKind::HarnessFinished { .. } => "harness_finished",
            EventKind::Lagged { .. } => "lagged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_json_and_says_its_name() {
        let event = Event {
            run: RunId::new(),
            seq: 3,
            index: 1,
            path: Arc::from("a/b"),
            parent: None,
            time_ms: 5,
            kind: EventKind::TextDelta { text: "x".into() },
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["kind"], event.kind.name());
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
