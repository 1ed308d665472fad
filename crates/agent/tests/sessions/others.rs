//! Several processes, as far as the store can tell: each has sessions of its own on one store.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_agent::{AgentError, Policy, SessionOptions};
use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_state::{Journal, JournalOptions, Key, MemoryStore, RunLogError, Store, StoreError};

use crate::support::{Gate, agent, arrived, options, sessions, talking, texts, waiting, within};

#[tokio::test]
async fn an_input_of_another_process_waits_for_the_lease_and_the_history_is_one_line() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::new();
    let here = sessions(&agent(waiting(), vec![gate.tool()], Some(&store)), options(Policy::Queue));
    let there = sessions(&agent(talking(), vec![], Some(&store)), options(Policy::Queue));
    let (here, there) = (here.session("u1").unwrap(), there.session("u1").unwrap());
    let first = async { here.send("0", CallCtx::new()).await.unwrap() };
    let second = async {
        gate.runs().await;
        let mut sent = Box::pin(there.send("1", CallCtx::new()));
        tokio::select! {
            biased;
            _ = &mut sent => panic!("it waits"),
            () = arrived(Some(&store), 1) => gate.open(),
        }
        sent.await.unwrap()
    };
    let (_, second) = within(async { tokio::join!(first, second) }).await;
    assert_eq!(texts(&second.messages), ["0", "Answer 0.", "1", "Answer 0."]);
}

#[tokio::test]
async fn an_input_of_another_process_steers_the_turn_and_its_sender_has_the_result() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::new();
    let here = sessions(&agent(waiting(), vec![gate.tool()], Some(&store)), options(Policy::Steer));
    let there = sessions(&agent(talking(), vec![], Some(&store)), options(Policy::Steer));
    let (here, there) = (here.session("u1").unwrap(), there.session("u1").unwrap());
    let first = async { here.send("Go.", CallCtx::new()).await.unwrap() };
    let second = async {
        gate.runs().await;
        let mut sent = Box::pin(there.send("But slowly.", CallCtx::new()));
        tokio::select! {
            biased;
            _ = &mut sent => panic!("it waits"),
            () = arrived(Some(&store), 1) => gate.open(),
        }
        sent.await.unwrap()
    };
    let (first, second) = within(async { tokio::join!(first, second) }).await;
    assert_eq!(texts(&first.messages), ["Go.", "But slowly.", "Answer 0."]);
    assert_eq!((first.run, first.messages), (second.run, second.messages));
}

#[tokio::test]
async fn an_input_of_another_process_interrupts_the_turn() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::new();
    let here = sessions(&agent(waiting(), vec![gate.tool()], Some(&store)), options(Policy::Interrupt));
    let there = sessions(&agent(talking(), vec![], Some(&store)), options(Policy::Interrupt));
    let (here, there) = (here.session("u1").unwrap(), there.session("u1").unwrap());
    let first = async { here.send("Go.", CallCtx::new()).await.unwrap_err() };
    let second = async {
        gate.runs().await;
        there.send("Stop that.", CallCtx::new()).await.unwrap()
    };
    let (first, second) = within(async { tokio::join!(first, second) }).await;
    assert_eq!(first.kind(), Kind::Cancelled);
    assert_eq!(texts(&second.messages), ["Go.", "Stop that.", "Answer 0."]);
}

#[tokio::test]
async fn who_lost_the_lease_is_told_that_it_is_fenced_and_writes_nothing_more() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::new();
    let brief = SessionOptions { lease: Duration::from_secs(3600), ..options(Policy::Queue) };
    let here = sessions(&agent(waiting(), vec![gate.tool()], Some(&store)), brief.clone()).session("u1").unwrap();
    let first = async { here.send("Go.", CallCtx::new()).await.unwrap_err() };
    let taken = async {
        gate.runs().await;
        // The lease is taken away: as when its holder stood still for longer than it lasts.
        let key = Key::new("run", "u1").unwrap();
        let brief = Duration::from_millis(1);
        let Err(StoreError::Held { owner, .. }) = store.acquire(&key, "thief", brief).await else {
            panic!("the turn has it")
        };
        // Its owner's own name takes it again, with a higher token.
        store.acquire(&key, &owner, brief).await.unwrap();
        gate.open();
    };
    let (error, ()) = within(async { tokio::join!(first, taken) }).await;
    assert!(
        matches!(&error.error, AgentError::Log(RunLogError::Store(StoreError::Fenced { .. }))),
        "{:?}",
        error.error
    );
    let again = Gate::new();
    again.open();
    let there = sessions(&agent(talking(), vec![again.tool()], Some(&store)), brief).session("u1").unwrap();
    let result = within(there.send("And?", CallCtx::new())).await.unwrap();
    assert_eq!(texts(&result.messages).last().map(String::as_str), Some("Answer 1."));
    let journal = Journal::resume(store, "u1", JournalOptions::default()).await.unwrap();
    let epochs: Vec<u64> = journal.frames().iter().map(|placed| placed.frame.epoch).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
}
