//! One event of each kind, for those who test what reads events.

use std::sync::Arc;

use crate::{EventKind, Kind, Money, Usage};

impl EventKind {
    /// One of each kind, with something in every field. What prints, stores or shows events is tested with these, so
    /// that no kind is forgotten; the order has no meaning.
    #[must_use]
    pub fn samples() -> Vec<EventKind> {
        [of_runs(), of_graphs(), of_models(), of_budgets(), of_tools(), of_harnesses()].concat()
    }
}

fn usage() -> Box<Usage> {
    Box::new(Usage { input_tokens: 120, output_tokens: 30, ..Usage::default() })
}

fn of_runs() -> Vec<EventKind> {
    vec![
        EventKind::RunStarted { agent: "planner".into(), model: "gpt-4o-mini".into() },
        EventKind::HandedOff { from: "planner".into(), to: "writer".into() },
        EventKind::RunSuspended { pending: 1, elapsed_ms: 20 },
        EventKind::RunFinished { usage: usage(), cost: Some(Money::from_micro_usd(36)), elapsed_ms: 1_200 },
        EventKind::RunFailed { error: Kind::Timeout, message: "no answer in time".into(), elapsed_ms: 1_200 },
        EventKind::Lagged { missed: 7 },
    ]
}

fn of_graphs() -> Vec<EventKind> {
    let (node, interrupt): (Arc<str>, _) = ("review".into(), "3:review/interrupt#0".to_owned());
    let (called, reason) = (|| Arc::clone(&node), "overloaded".to_owned());
    vec![
        EventKind::NodeStarted { node: called(), step: 3 },
        EventKind::NodeRetried { node: called(), attempt: 2, wait_ms: 250, reason },
        EventKind::InterruptRaised { interrupt: interrupt.clone(), node: called() },
        EventKind::InterruptResumed { interrupt },
        EventKind::NodeFinished { node: called(), step: 3, ok: false, error: Some(Kind::Timeout), elapsed_ms: 400 },
        EventKind::StateWritten { step: 4, channels: vec!["notes".into()] },
        EventKind::CheckpointSaved { step: 4, source: "update".into() },
    ]
}

fn of_models() -> Vec<EventKind> {
    vec![
        EventKind::ModelRequested {
            model: "gpt-4o-mini".into(),
            iteration: 1,
            messages: 2,
            tools: 3,
            prompt_hash: Some("cbf29ce484222325".into()),
        },
        EventKind::ModelRetried { attempt: 2, wait_ms: 250, reason: "rate limited".into() },
        EventKind::ModelFallback { from: "gpt-4o".into(), to: "gpt-4o-mini".into(), reason: "overloaded".into() },
        EventKind::CacheHit { cache: "memory".into() },
        EventKind::PromptPrefixChanged { byte: 1_024, owner: "tools[2] forecast".into() },
        EventKind::ThinkingDelta { text: "The user asks".into() },
        EventKind::TextDelta { text: "Light rain".into() },
        EventKind::RefusalDelta { text: "I cannot".into() },
        EventKind::ServerToolUsed { name: "web_search_call".into() },
        EventKind::ModelFinished { finish: "tool_calls".into(), usage: usage(), tool_calls: 1, elapsed_ms: 800 },
        EventKind::OutputRejected { attempt: 1, message: "`city` is missing".into() },
    ]
}

fn of_budgets() -> Vec<EventKind> {
    vec![
        EventKind::BudgetReserved { tokens: 500, cost: Some(Money::from_micro_usd(90)) },
        EventKind::BudgetSpent { tokens: 150, cost: Some(Money::from_micro_usd(36)) },
    ]
}

fn of_tools() -> Vec<EventKind> {
    let (call_index, call_id, name): (u32, Arc<str>, Arc<str>) = (1, "call_1".into(), "forecast".into());
    let arguments = "{\"city\": \"Oslo\"}".to_owned();
    let (id, called) = (|| Arc::clone(&call_id), || Arc::clone(&name));
    vec![
        EventKind::ToolCallStreamed { call_index, call_id: id(), name: called(), arguments: "{\"city".into() },
        EventKind::ApprovalRequested { call_index, call_id: id(), name: called(), arguments: arguments.clone() },
        EventKind::ApprovalResolved { call_index, call_id: id(), name: called(), approved: true },
        EventKind::ToolStarted { call_index, call_id: id(), name: called(), arguments },
        EventKind::ToolInvoked {
            call_index,
            call_id: id(),
            name: called(),
            ok: false,
            error: Some(Kind::Timeout),
            result: "no answer in time".into(),
            elapsed_ms: 400,
        },
    ]
}

fn of_harnesses() -> Vec<EventKind> {
    let harness = || "research".to_owned();
    vec![
        EventKind::HarnessStarted { harness: harness(), iteration: 2 },
        EventKind::HarnessIteration {
            harness: harness(),
            iteration: 3,
            label: "search".into(),
            tokens: 150,
            remaining_tokens: Some(850),
            elapsed_ms: 900,
        },
        EventKind::HarnessFinished {
            harness: harness(),
            iteration: 3,
            reason: Some("iteration_cap".into()),
            elapsed_ms: 2_700,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_is_forgotten() {
        // serde knows every variant, and lists them when it is asked for one that does not exist.
        let unknown = serde_json::from_str::<EventKind>("{\"kind\": \"?\"}").unwrap_err().to_string();
        let mut expected: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
        let samples = EventKind::samples();
        let mut names: Vec<&str> = samples.iter().map(EventKind::name).collect();
        expected.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, expected);
    }
}
