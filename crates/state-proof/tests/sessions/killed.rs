//! Sessions that several processes serve, which are killed and made to stand still.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_agent::{AgentError, Policy, Sending, SessionOptions, Sessions};
use atomr_agents_core::CallCtx;
use atomr_agents_state::{RunLogError, RunReader, StoreError};
use atomr_agents_tool::{FnTool, Tool};
use serde_json::json;

use crate::place::{Home, store};
use crate::processes::{Process, say, told};
use crate::support::{agent, options, texts, waiting, within};

const LEASE: Duration = Duration::from_millis(300);
const BRIEF: Duration = Duration::from_millis(20);

/// In each process: a tool that tells that it runs, and ends after a while.
async fn served(what: &str, takes: Duration) -> Sessions {
    let tool = FnTool::new("wait", "Waits.", json!({"type": "object"}), move |_, _| async move {
        say("runs");
        tokio::time::sleep(takes).await;
        Ok(json!("waited"))
    });
    let tool: Arc<dyn Tool> = Arc::new(tool);
    let agent = agent(waiting().by_conversation(), vec![tool], Some(&store(what).await));
    Sessions::new(agent, SessionOptions { lease: LEASE, ..options(Policy::Queue) }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests below"]
async fn child_drains() {
    let Some(what) = told() else { return };
    let session = served(&what[0], BRIEF).await.session("u1").unwrap();
    match session.drain(&CallCtx::new()).await {
        Ok(_) => say("done"),
        Err(error) => say(format!("failed: {error}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests below"]
async fn child_sends() {
    let Some(what) = told() else { return };
    let session = served(&what[0], Duration::from_secs(20)).await.session("u1").unwrap();
    match session.send("From the one that stands still.", CallCtx::new()).await {
        Ok(_) => say("done"),
        Err(error) => match &error.error {
            AgentError::Log(RunLogError::Store(StoreError::Fenced { .. })) => say("fenced"),
            error => say(format!("failed: {error:?}")),
        },
    }
}

/// Every input is taken once and in its order, whenever whoever runs its turn is killed.
async fn every_input_once(what: &str) {
    let session = served(what, BRIEF).await.session("u1").unwrap();
    let inputs: Vec<String> = (0..6).map(|n| format!("Input {n}.")).collect();
    for (n, input) in inputs.iter().enumerate() {
        let sending = || Sending { id: Some(format!("m{n}")), ..Sending::default() };
        session.post(input.clone(), sending()).await.unwrap();
        session.post(input.clone(), sending()).await.unwrap();
    }
    let mut seed = 7_u64;
    for _ in 0..8 {
        let mut child = Process::start("killed::child_drains", &[what]);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let turns = 1 + (seed >> 33) % 2;
        (0..turns).for_each(|_| drop(child.hear()));
        tokio::time::sleep(Duration::from_millis((seed >> 40) % 25)).await;
        child.kill();
    }
    within(session.drain(&CallCtx::new())).await.unwrap();
    // What the last one had begun.
    within(session.send("The last.", CallCtx::new())).await.unwrap();
    let said = texts(&session.messages().await.unwrap());
    let heard: Vec<&String> = said.iter().filter(|text| text.starts_with("Input")).collect();
    assert_eq!(heard, inputs.iter().collect::<Vec<_>>(), "{said:?}");
    assert_eq!(said.len(), 14, "every input has one answer: {said:?}");
}

/// A process that stands still for longer than its lease lasts writes nothing more when it wakes up.
async fn one_that_stands_still(what: &str) {
    let mut child = Process::start("killed::child_sends", &[what]);
    assert_eq!(child.hear().as_deref(), Some("runs"));
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &child.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    let session = served(what, BRIEF).await.session("u1").unwrap();
    let result = within(session.send("From here.", CallCtx::new())).await.unwrap();
    signal("-CONT");
    assert_eq!(child.hear().as_deref(), Some("fenced"));
    child.kill();
    let said = ["From the one that stands still.", "Answer 0.", "From here.", "Answer 1."];
    assert_eq!(texts(&result.messages), said);
    assert_eq!(texts(&session.messages().await.unwrap()), said);
    let reader = RunReader::open(store(what).await, "u1").await.unwrap();
    let frames = reader.frames().await.unwrap();
    let epochs: Vec<u64> = frames.iter().map(|placed| placed.frame.epoch).collect();
    assert!(epochs.is_sorted() && epochs.first() < epochs.last(), "{epochs:?}");
}

#[tokio::test]
async fn every_input_is_taken_once_however_often_its_process_is_killed_on_sqlite() {
    every_input_once(&Home::sqlite().what).await;
}

#[tokio::test]
async fn every_input_is_taken_once_however_often_its_process_is_killed_on_postgres() {
    let Some(home) = Home::postgres().await else { return };
    every_input_once(&home.what).await;
    home.close().await;
}

#[tokio::test]
async fn a_process_that_stood_still_is_told_that_it_is_fenced_on_sqlite() {
    one_that_stands_still(&Home::sqlite().what).await;
}

#[tokio::test]
async fn a_process_that_stood_still_is_told_that_it_is_fenced_on_postgres() {
    let Some(home) = Home::postgres().await else { return };
    one_that_stands_still(&home.what).await;
    home.close().await;
}
