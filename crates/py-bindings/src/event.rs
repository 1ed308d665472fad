//! Events as Python sees them: one class, one getter for each field that any kind has.

use std::sync::Arc;

use atomr_agents_core::{self as core, EventKind, Kind, Money};
use atomr_agents_py_bridge::json;
use pyo3::prelude::*;

use crate::core::{Reduced, Usage, reduced, to_py};
use crate::errors::config;

#[pyclass(frozen, module = "atomr_agents._native.core")]
pub(crate) struct Event(pub(crate) Arc<core::Event>);

/// The class's methods: those written out below it, and a getter for each line of the table. A line says which kinds
/// have the field; for all others it is `None`. A field that is not in the table fails `tests/agents/test_stream.py`.
macro_rules! event_class {
    ({ $($methods:tt)* } $($field:ident: $type:ty = $($pattern:pat => $value:expr),+;)+) => {
        #[pymethods]
        impl Event {
            $($methods)*

            $(
                #[getter]
                fn $field(&self) -> Option<$type> {
                    match &self.0.kind {
                        $($pattern => $value,)+
                        _ => None,
                    }
                }
            )+
        }
    };
}

use EventKind as E;

event_class! {
    {
        #[staticmethod]
        fn from_dict(value: &Bound<'_, PyAny>) -> PyResult<Self> {
            serde_json::from_value(json::from_py(value)?)
                .map(|event| Self(Arc::new(event)))
                .map_err(|error| config(format!("this is no event: {error}")))
        }

        #[getter]
        fn kind(&self) -> &'static str {
            self.0.kind.name()
        }

        #[getter]
        fn run_id(&self) -> String {
            self.0.run.to_string()
        }

        #[getter]
        fn parent_run_id(&self) -> Option<String> {
            self.0.parent.map(|run| run.to_string())
        }

        #[getter]
        fn seq(&self) -> u64 {
            self.0.seq
        }

        #[getter]
        fn index(&self) -> u32 {
            self.0.index
        }

        #[getter]
        fn path(&self) -> &str {
            &self.0.path
        }

        #[getter]
        fn time_ms(&self) -> u64 {
            self.0.time_ms
        }

        fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            to_py(py, &*self.0)
        }

        fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
            reduced(slf.as_any())
        }

        fn __repr__(&self) -> String {
            format!("Event({}, seq={}, index={})", self.0.kind.name(), self.0.seq, self.0.index)
        }
    }
    agent: &str = E::RunStarted { agent, .. } => Some(agent);
    approved: bool = E::ApprovalResolved { approved, .. } => Some(*approved);
    arguments: &str = E::ToolCallStreamed { arguments, .. } | E::ToolStarted { arguments, .. }
        | E::ApprovalRequested { arguments, .. } => Some(arguments);
    attempt: u32 = E::ModelRetried { attempt, .. } | E::OutputRejected { attempt, .. }
        | E::NodeRetried { attempt, .. } => Some(*attempt);
    byte: usize = E::PromptPrefixChanged { byte, .. } => Some(*byte);
    cache: &str = E::CacheHit { cache } => Some(cache);
    call_id: &str = E::ToolCallStreamed { call_id, .. } | E::ToolStarted { call_id, .. }
        | E::ToolInvoked { call_id, .. } | E::ApprovalRequested { call_id, .. }
        | E::ApprovalResolved { call_id, .. } => Some(call_id);
    call_index: u32 = E::ToolCallStreamed { call_index, .. } | E::ToolStarted { call_index, .. }
        | E::ToolInvoked { call_index, .. } | E::ApprovalRequested { call_index, .. }
        | E::ApprovalResolved { call_index, .. } => Some(*call_index);
    channels: Vec<String> = E::StateWritten { channels, .. } =>
        Some(channels.iter().map(ToString::to_string).collect());
    cost: f64 = E::RunFinished { cost, .. } | E::BudgetReserved { cost, .. } | E::BudgetSpent { cost, .. } =>
        cost.map(Money::usd);
    elapsed_ms: u64 = E::RunFinished { elapsed_ms, .. } | E::RunFailed { elapsed_ms, .. }
        | E::RunSuspended { elapsed_ms, .. } | E::ModelFinished { elapsed_ms, .. }
        | E::HarnessIteration { elapsed_ms, .. } | E::HarnessFinished { elapsed_ms, .. }
        | E::NodeFinished { elapsed_ms, .. }
        | E::ToolInvoked { elapsed_ms, .. } => Some(*elapsed_ms);
    error: &'static str = E::ToolInvoked { error, .. } | E::NodeFinished { error, .. } => error.map(Kind::as_str),
        E::RunFailed { error, .. } => Some(error.as_str());
    finish: &str = E::ModelFinished { finish, .. } => Some(finish);
    from_: &str = E::ModelFallback { from, .. } | E::HandedOff { from, .. } => Some(from);
    harness: &str = E::HarnessStarted { harness, .. } | E::HarnessIteration { harness, .. }
        | E::HarnessFinished { harness, .. } => Some(harness);
    interrupt: &str = E::InterruptRaised { interrupt, .. } | E::InterruptResumed { interrupt } => Some(interrupt);
    iteration: u64 = E::ModelRequested { iteration, .. } => Some(u64::from(*iteration)),
        E::HarnessStarted { iteration, .. } | E::HarnessIteration { iteration, .. }
        | E::HarnessFinished { iteration, .. } => Some(*iteration);
    label: &str = E::HarnessIteration { label, .. } => Some(label);
    message: &str = E::RunFailed { message, .. } | E::OutputRejected { message, .. }
        | E::ModelRetried { reason: message, .. } | E::ModelFallback { reason: message, .. }
        | E::NodeRetried { reason: message, .. } => Some(message);
    messages: usize = E::ModelRequested { messages, .. } => Some(*messages);
    missed: u64 = E::Lagged { missed } => Some(*missed);
    model: &str = E::RunStarted { model, .. } | E::ModelRequested { model, .. } => Some(model);
    name: &str = E::ToolCallStreamed { name, .. } | E::ToolStarted { name, .. } | E::ToolInvoked { name, .. }
        | E::ApprovalRequested { name, .. } | E::ApprovalResolved { name, .. } => Some(name),
        E::ServerToolUsed { name } | E::RunStarted { agent: name, .. } => Some(name);
    node: &str = E::NodeStarted { node, .. } | E::NodeFinished { node, .. } | E::NodeRetried { node, .. }
        | E::InterruptRaised { node, .. } => Some(node);
    ok: bool = E::ToolInvoked { ok, .. } | E::NodeFinished { ok, .. } => Some(*ok);
    owner: &str = E::PromptPrefixChanged { owner, .. } => Some(owner);
    pending: usize = E::RunSuspended { pending, .. } => Some(*pending);
    reason: &str = E::ModelRetried { reason, .. } | E::ModelFallback { reason, .. }
        | E::NodeRetried { reason, .. } => Some(reason),
        E::HarnessFinished { reason, .. } => reason.as_deref();
    remaining_tokens: u64 = E::HarnessIteration { remaining_tokens, .. } => *remaining_tokens;
    result: &str = E::ToolInvoked { result, .. } => Some(result);
    source: &str = E::CheckpointSaved { source, .. } => Some(source);
    step: u64 = E::NodeStarted { step, .. } | E::NodeFinished { step, .. } | E::CheckpointSaved { step, .. }
        | E::StateWritten { step, .. } => Some(*step);
    text: &str = E::TextDelta { text } | E::ThinkingDelta { text } | E::RefusalDelta { text } => Some(text);
    to: &str = E::ModelFallback { to, .. } | E::HandedOff { to, .. } => Some(to);
    tokens: u64 = E::BudgetReserved { tokens, .. } | E::BudgetSpent { tokens, .. }
        | E::HarnessIteration { tokens, .. } => Some(*tokens);
    tool_calls: usize = E::ModelFinished { tool_calls, .. } => Some(*tool_calls);
    prompt_hash: &str = E::ModelRequested { prompt_hash, .. } => prompt_hash.as_deref();
    tools: usize = E::ModelRequested { tools, .. } => Some(*tools);
    usage: Usage = E::RunFinished { usage, .. } | E::ModelFinished { usage, .. } => Some(Usage((**usage).clone()));
    wait_ms: u64 = E::ModelRetried { wait_ms, .. } | E::NodeRetried { wait_ms, .. } => Some(*wait_ms);
}
