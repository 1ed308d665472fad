//! What the terminations say of a loop, iteration by iteration.

use atomr_agents_core::{Amount, CallCtx, Money, Value};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::StepEvent;

/// What a termination says before each iteration of a loop with these working memories.
async fn said(termination: &dyn TerminationStrategy, memories: &[Value]) -> Vec<Verdict> {
    let (mut state, mut notes) = (HarnessState::new(memories[0].clone()), Value::Null);
    let mut all = Vec::new();
    for (at, memory) in memories.iter().enumerate() {
        if at > 0 {
            let event = StepEvent { iteration: at as u64, ..StepEvent::default() };
            state.spent = Amount { tokens: 10 * at as u64, cost: Money::from_micro_usd(at as u64), ..state.spent };
            state.elapsed = Duration::from_secs(at as u64);
            state.advance(event, Some(Arc::new(memory.clone())));
        }
        // As when another process goes on: the notes have been written and read.
        notes = serde_json::from_str(&notes.to_string()).unwrap();
        all.push(termination.should_terminate(&state, &mut notes, &CallCtx::new()).await.unwrap());
    }
    all
}

/// Before which iteration it stops, from 0, and why.
async fn stops(termination: impl TerminationStrategy, memories: &[Value]) -> Option<(usize, String)> {
    let all = said(&termination, memories).await;
    all.into_iter().enumerate().find_map(|(at, verdict)| match verdict {
        Verdict::Stop(reason) => Some((at, reason)),
        Verdict::Continue => None,
    })
}

fn numbers() -> Vec<Value> {
    (0..6).map(Value::from).collect()
}

#[tokio::test]
async fn each_limit_ends_the_loop_when_it_is_reached() {
    assert_eq!(stops(IterationCap(2), &numbers()).await, Some((2, "iteration_cap".into())));
    assert_eq!(stops(TokenLimit(25), &numbers()).await, Some((3, "token_limit".into())));
    assert_eq!(stops(CostLimit(Money::from_micro_usd(1)), &numbers()).await, Some((1, "cost_limit".into())));
    assert_eq!(stops(TimeLimit(Duration::from_secs(5)), &numbers()).await, Some((5, "time_limit".into())));
    assert_eq!(
        stops(Predicate::new("four", |state| *state.working_memory == 4), &numbers()).await,
        Some((4, "four".into()))
    );
    assert_eq!(stops(Never, &numbers()).await, None);
}

#[tokio::test]
async fn no_progress_counts_iterations_in_a_row_and_begins_anew_after_a_change() {
    let memories =
        [json!(1), json!(1), json!(2), json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), json!({"a": 1, "b": 2})];
    assert_eq!(stops(NoProgress::new(1), &memories).await, Some((1, "no_progress".into())));
    assert_eq!(stops(NoProgress::new(2), &memories).await, Some((5, "no_progress".into())));
    assert_eq!(stops(NoProgress::new(3), &memories).await, None);
    let by_parity = NoProgress::by(2, |state| json!(state.working_memory.as_u64().unwrap_or(0) / 3));
    assert_eq!(stops(by_parity, &numbers()).await, Some((2, "no_progress".into())));
}

#[tokio::test]
async fn combined_terminations_give_each_part_notes_of_its_own() {
    let twice = |value: i64| (0..6).map(move |at| json!([value, at / 2])).collect::<Vec<_>>();
    let any = Any::new().with(IterationCap(4)).with(NoProgress::new(1));
    assert_eq!(stops(any, &twice(0)).await, Some((1, "no_progress".into())));
    let all = All::new().with(IterationCap(2)).with(NoProgress::new(1));
    assert_eq!(stops(all, &twice(0)).await, Some((3, "iteration_cap and no_progress".into())));
    let changed = Not::new("changed", NoProgress::new(1));
    let said = said(&changed, &twice(0)).await;
    let stopped: Vec<bool> = said.into_iter().map(|verdict| verdict != Verdict::Continue).collect();
    assert_eq!(stopped, [true, false, true, false, true, false]);
    assert_eq!(stops(Any::new(), &numbers()).await, None);
    assert_eq!(stops(All::new(), &numbers()).await, None);
}

#[test]
fn what_ends_every_loop_is_known_of_the_parts() {
    let (cap, idle) = (IterationCap::default(), NoProgress::new(1));
    assert!(cap.ends_every_loop() && TimeLimit(Duration::ZERO).ends_every_loop());
    assert!(!idle.ends_every_loop() && !TokenLimit(1).ends_every_loop() && !Never.ends_every_loop());
    assert!(Any::new().with(idle.clone()).with(cap).ends_every_loop());
    assert!(!All::new().with(idle).with(cap).ends_every_loop() && !All::new().ends_every_loop());
    assert!(All::new().with(cap).with(cap).ends_every_loop());
    assert!(!Not::new("not", cap).ends_every_loop());
}
