//! What a run tells: its events, which are kept, and the parts of its stream.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use atomr_agents_core::Event;
use atomr_agents_observability::EventBus;
use atomr_agents_state::{RunReader, RunStatus};
use atomr_agents_workflow::{Command, Graph, NodeCall, Part, RunOptions, RunnerOptions, START, StatefulRunner, Update};
use common::{empty, log, says, schema, store};
use futures_util::StreamExt;
use serde_json::json;

fn graph() -> Graph {
    let asks = |call: NodeCall| async move {
        call.ctx.write(json!("asking"));
        let answer = call.ctx.interrupt("?").await?;
        Ok(Update::new().write("log", json!([answer])))
    };
    let graph = Graph::builder("g", schema()).node("a", says("a")).node("asks", asks);
    graph.edge(START, "a").edge("a", "asks").build().unwrap()
}

fn said(events: &[Arc<Event>]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.seq, event.kind.name())).collect()
}

#[tokio::test]
async fn events_are_told_in_order_and_can_be_read_again_by_their_numbers() {
    let (bus, store) = (EventBus::new(), store());
    let mut told = bus.subscribe();
    let options = RunnerOptions { buses: vec![bus], ..RunnerOptions::default() };
    let runner = StatefulRunner::with_store(graph(), Arc::clone(&store), options);
    runner.run(empty(), RunOptions::named("r")).await.unwrap();
    runner.resume("r", [Command::Answer(json!("yes"))], RunOptions::default()).await.unwrap();
    let told = told.try_recv_batch(1_000).unwrap().events;
    let kinds: Vec<&str> = told.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        kinds,
        [
            "run_started",
            "checkpoint_saved",
            "node_started",
            "node_finished",
            "checkpoint_saved",
            "node_started",
            "interrupt_raised",
            "run_suspended",
            "run_started",
            "interrupt_resumed",
            "node_finished",
            "checkpoint_saved",
            "run_finished",
        ]
    );
    assert!(told.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(&*told[6].path, "asks");
    let reader = RunReader::open(store, "r").await.unwrap();
    let kept: Vec<Arc<Event>> = reader.events(0, 100).await.unwrap().into_iter().map(Arc::new).collect();
    assert_eq!(said(&kept), said(&told));
    assert_eq!(reader.events(kept[11].seq, 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stream_drives_the_run_and_shows_its_states_answers_and_questions() {
    let runner = StatefulRunner::new(graph());
    let mut stream = runner.stream(empty(), RunOptions::named("r"));
    let mut seen = Vec::new();
    while let Some(part) = stream.next().await {
        seen.push(match part {
            Part::State { step, state } => format!("state {step} {:?}", log(&state)),
            Part::Update { path, step, .. } => format!("update {step} {path}"),
            Part::Custom { path, value } => format!("custom {path} {value}"),
            Part::Interrupts(interrupts) => format!("asks {}", interrupts[0].id),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(
        seen,
        ["state 0 []", "update 1 a", "state 1 [\"a\"]", "custom asks \"asking\"", "asks 2:asks/interrupt#0"]
    );
    assert_eq!(stream.outcome().unwrap().unwrap().status, RunStatus::Suspended);
    let mut stream = runner.stream_resume("r", [Command::Answer(json!("yes"))], RunOptions::default());
    assert!(matches!(stream.next().await, Some(Part::Update { .. })));
    while stream.next().await.is_some() {}
    assert_eq!(log(&stream.outcome().unwrap().unwrap().state), ["a", "yes"]);
    assert!(stream.outcome().is_none());
}
