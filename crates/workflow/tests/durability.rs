//! What survives: crashes, failing siblings, effects, versions, forks, two processes.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atomr_agents_core::{Kind, Value};
use atomr_agents_state::{EffectClass, RunLogError, RunReader, RunStatus, Store, When};
use atomr_agents_workflow::{
    Command, END, Existing, Graph, NodeCall, NodeError, NodeOptions, OnChange, RunOptions, RunnerOptions, START,
    StatefulRunner, Update, WorkflowError,
};
use common::{Count, empty, log, over, says, schema, store};
use serde_json::json;

/// A step that fails while it is told to.
fn failing(fails: &Arc<AtomicBool>) -> impl Fn(NodeCall) -> std::future::Ready<Result<Update, NodeError>> + use<> {
    let fails = Arc::clone(fails);
    move |_| {
        std::future::ready(match fails.load(Ordering::SeqCst) {
            true => Err(NodeError::failed(Kind::Connect, "down")),
            false => Ok(Update::new().write("log", json!(["mended"]))),
        })
    }
}

#[tokio::test]
async fn a_failing_step_loses_nothing_of_its_siblings_and_a_resume_runs_only_what_has_no_outcome() {
    let (fails, count) = (Arc::new(AtomicBool::new(true)), Count::default());
    let counted = count.clone();
    let sibling = move |_call: NodeCall| {
        counted.up();
        async { Ok(Update::new().write("log", json!(["sibling"]))) }
    };
    let failing = failing(&fails);
    let waits = move |call: NodeCall| {
        let done = failing(call);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            done.await
        }
    };
    let graph = Graph::builder("siblings", schema())
        .node("sibling", sibling)
        .node("fails", waits)
        .edge(START, "sibling")
        .edge(START, "fails")
        .build()
        .unwrap();
    let store = store();
    let error = over(&graph, &store).run(empty(), RunOptions::named("r")).await.unwrap_err();
    assert!(error.to_string().contains("step \"fails\" of run \"r\" failed in super-step 1: down"), "{error}");
    let runner = over(&graph, &store);
    assert_eq!(runner.get_state("r").await.unwrap().status, RunStatus::Failed);
    fails.store(false, Ordering::SeqCst);
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!((log(&outcome.state), count.get()), (vec!["mended".to_owned(), "sibling".to_owned()], 1));
}

#[tokio::test]
async fn a_failing_step_ends_its_siblings_but_not_an_effect_that_must_not_be_cut_off() {
    let done = Count::default();
    let counted = done.clone();
    let sibling = move |call: NodeCall| {
        let done = counted.clone();
        async move {
            let paid: bool = call
                .ctx
                .effect("pay", EffectClass::Once, |_| async {
                    tokio::time::sleep(Duration::from_millis(80)).await;
                    done.up();
                    Ok(true)
                })
                .await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Update::new().write("answer", paid))
        }
    };
    let fails = failing(&Arc::new(AtomicBool::new(true)));
    let graph = Graph::builder("cut", schema())
        .node("pays", sibling)
        .node("fails", fails)
        .edge(START, "pays")
        .edge(START, "fails")
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    runner.run(empty(), RunOptions::named("r")).await.unwrap_err();
    assert_eq!(done.get(), 1);
    // It is recorded: the next attempt does not pay again.
    let resumed = runner.resume("r", [Command::Continue], RunOptions::default());
    let _ = tokio::time::timeout(Duration::from_millis(300), resumed).await;
    assert_eq!(done.get(), 1);
}

#[tokio::test]
async fn an_effect_whose_outcome_nobody_knows_stops_the_run() {
    let store = store();
    let graph = |hangs: bool| {
        let node = move |call: NodeCall| async move {
            let done = call.ctx.effect("pay", EffectClass::Once, |_| async {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(json!("paid"))
            });
            Ok(Update::new().write("answer", done.await?))
        };
        Graph::builder("pays", schema()).node("a", node).edge(START, "a").build().unwrap()
    };
    // The process ends while the effect is under way.
    let runner = over(&graph(true), &store);
    let run = runner.run(empty(), RunOptions::named("r"));
    let _ = tokio::time::timeout(Duration::from_millis(50), run).await;
    let runner = over(&graph(false), &store);
    let mut tries = 0;
    let error = loop {
        match runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap_err() {
            // The lease of the dropped run is let go a moment later.
            error if error.kind() == Kind::Locked && tries < 200 => tries += 1,
            error => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}");
    assert_eq!(runner.get_state("r").await.unwrap().status, RunStatus::OutcomeUnknown);
}

#[tokio::test]
async fn time_chance_and_effects_are_the_same_when_a_step_is_run_again() {
    let store = store();
    let seen: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let told = Arc::clone(&seen);
    let node = move |call: NodeCall| {
        let told = Arc::clone(&told);
        async move {
            let ctx = &call.ctx;
            let key: String =
                ctx.effect("key", EffectClass::Idempotent, |call| async { Ok(call.idempotency_key) }).await?;
            let drawn = json!([ctx.now_ms()?, ctx.random()?, ctx.random()?, ctx.uuid()?.to_string(), key]);
            told.lock().unwrap().push(drawn.clone());
            ctx.interrupt("?").await?;
            Ok(Update::new().write("answer", drawn))
        }
    };
    let graph = Graph::builder("drawn", schema()).node("a", node).edge(START, "a").build().unwrap();
    over(&graph, &store).run(empty(), RunOptions::named("r")).await.unwrap();
    let outcome = over(&graph, &store).resume("r", [Command::Answer(json!(0))], RunOptions::default()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!((seen.len(), &seen[0]), (2, &seen[1]));
    assert_ne!(seen[0][1], seen[0][2]);
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), seen[0]);
}

#[tokio::test]
async fn a_run_of_another_graph_is_refused_with_what_is_different_unless_it_is_accepted() {
    let store = store();
    let graph = |second: &'static str, version: &str| {
        let options = NodeOptions { version: version.to_owned(), ..NodeOptions::default() };
        let asks = |call: NodeCall| async move {
            call.ctx.interrupt("?").await?;
            Ok(Update::new().write("log", json!(["a"])))
        };
        Graph::builder("g", schema())
            .node_with("a", asks, options)
            .node(second, says(second))
            .edge(START, "a")
            .edge("a", second)
            .build()
            .unwrap()
    };
    over(&graph("b", ""), &store).run(empty(), RunOptions::named("r")).await.unwrap();
    let newer = over(&graph("c", "2"), &store);
    let error = newer.resume("r", [Command::Answer(json!(0))], RunOptions::default()).await.unwrap_err();
    let WorkflowError::Changed { difference, .. } = &error else { panic!("{error}") };
    assert_eq!(difference.added, ["edge a -> c", "step c"]);
    assert_eq!(difference.removed, ["edge a -> b", "step b"]);
    assert_eq!(difference.changed, ["step a"]);
    assert_eq!(error.kind(), Kind::Incompatible);
    assert_eq!(newer.check_compat("r").await.unwrap().as_ref(), Some(difference));
    assert_eq!(over(&graph("b", ""), &store).check_compat("r").await.unwrap(), None);
    let accept = RunOptions { on_change: OnChange::Accept, ..RunOptions::default() };
    let outcome = newer.resume("r", [Command::Answer(json!(0))], accept).await.unwrap();
    assert_eq!(log(&outcome.state), ["a", "c"]);
    let other = Graph::builder("other", schema()).node("a", says("a")).edge(START, "a").build().unwrap();
    let error = over(&other, &store).resume("r", [Command::Continue], RunOptions::default()).await.unwrap_err();
    assert!(matches!(error, WorkflowError::OtherGraph { .. }), "{error}");
}

fn three() -> Graph {
    let mut builder = Graph::builder("three", schema()).edge(START, "s1").edge("s3", END);
    for (name, next) in [("s1", Some("s2")), ("s2", Some("s3")), ("s3", None)] {
        builder = builder.node(name, says(name));
        if let Some(next) = next {
            builder = builder.edge(name, next);
        }
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn a_fork_begins_at_a_step_with_edits_through_the_reducers_and_the_first_run_stays() {
    let runner = StatefulRunner::new(three());
    runner.run(json!({"log": ["x".repeat(2_000)]}), RunOptions::named("r")).await.unwrap();
    let name = runner.fork("r", 1, json!({"log": "edited", "answer": 7}), Some("f")).await.unwrap();
    assert_eq!(name, "f");
    let snapshot = runner.get_state("f").await.unwrap();
    assert_eq!((snapshot.next, snapshot.status), (vec!["s2".to_owned()], RunStatus::Paused));
    let outcome = runner.resume("f", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state)[1..], ["s1", "edited", "s2", "s3"]);
    assert_eq!(outcome.state.get::<u32>("answer").unwrap(), 7);
    let first = runner.get_state("r").await.unwrap();
    assert_eq!(log(&first.state)[1..], ["s1", "s2", "s3"]);
    let error = runner.fork("r", 17, empty(), None).await.unwrap_err();
    assert!(error.to_string().contains("has no step 17: it has 0 to 3"), "{error}");
    let error = runner.fork("r", 17, json!({"log": 1}), None).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::NoSuchStep { .. })), "{error}");
    let error = runner.fork("r", 1, empty(), Some("f")).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::Exists { .. })), "{error}");
}

#[tokio::test]
async fn two_processes_do_not_go_on_with_one_run_at_the_same_time() {
    let store = store();
    let entered = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&entered);
    let graph = Graph::builder("held", schema())
        .node("a", move |_call: NodeCall| {
            let told = Arc::clone(&told);
            async move {
                told.notify_one();
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(Update::new().write("log", json!(["a"])))
            }
        })
        .edge(START, "a")
        .build()
        .unwrap();
    let (one, two) = (over(&graph, &store), over(&graph, &store));
    let second = async {
        entered.notified().await;
        two.resume("r", [Command::Continue], RunOptions::default()).await
    };
    let (first, second) = tokio::join!(one.run(empty(), RunOptions::named("r")), second);
    assert_eq!(log(&first.unwrap().state), ["a"]);
    assert_eq!(second.unwrap_err().kind(), Kind::Locked);
}

#[tokio::test]
async fn a_step_of_one_node_is_one_commit_and_a_fan_out_is_few() {
    let entries = async |store: &Arc<dyn Store>, run: &str| {
        store.end(&atomr_agents_state::Key::new("run", run).unwrap()).await.unwrap()
    };
    let store = store();
    let runner = over(&three(), &store);
    runner.run(empty(), RunOptions::named("r")).await.unwrap();
    // The input, and three steps, the last of which ends the run.
    assert_eq!(entries(&store, "r").await, 4);
    let fan = Graph::builder("fan", schema())
        .node("worker", says("w"))
        .node("collect", says("c"))
        .branch(
            START,
            atomr_agents_workflow::Router::new(|_| {
                atomr_agents_workflow::dispatch_fan_out("worker", (0..100).map(Value::from))
            }),
            ["worker"],
        )
        .edge("worker", "collect")
        .build()
        .unwrap();
    let outcome = over(&fan, &store).run(empty(), RunOptions::named("f")).await.unwrap();
    assert_eq!(log(&outcome.state).len(), 101);
    let commits = entries(&store, "f").await;
    assert!(commits < 20, "{commits} commits");
}

#[tokio::test]
async fn what_is_written_at_the_end_only_is_written_at_the_end() {
    let store = store();
    let options = RunnerOptions { when: When::Exit, ..RunnerOptions::default() };
    let runner = StatefulRunner::with_store(three(), Arc::clone(&store), options);
    runner.run(empty(), RunOptions::named("r")).await.unwrap();
    assert_eq!(store.end(&atomr_agents_state::Key::new("run", "r").unwrap()).await.unwrap(), 2);
    assert_eq!(over(&three(), &store).history("r", 100).await.unwrap().len(), 4);
    let options = RunnerOptions { when: When::Async, ..RunnerOptions::default() };
    let runner = StatefulRunner::with_store(three(), Arc::clone(&store), options);
    runner.run(empty(), RunOptions::named("s")).await.unwrap();
    assert_eq!(over(&three(), &store).history("s", 100).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_thread_of_many_turns_is_read_from_its_last_whole_state() {
    let store = store();
    let runner = over(&three(), &store);
    for turn in 0..60 {
        let options = RunOptions { existing: Existing::NextTurn, ..RunOptions::named("thread") };
        let outcome = runner.run(json!({"count": turn}), options).await.unwrap();
        assert_eq!((outcome.step, log(&outcome.state).len()), (turn * 4 + 3, (turn as usize + 1) * 3));
    }
    let reader = RunReader::open(Arc::clone(&store), "thread").await.unwrap();
    let (all, last) = (reader.frames().await.unwrap().len(), reader.frames_from_base().await.unwrap().len());
    assert!(all == 240 && last < 220, "{last} of {all}");
    assert_eq!(runner.get_state("thread").await.unwrap().state.get::<u64>("count").unwrap(), 59);
}
