//! Runs that are kept: what is written, what another process goes on with, and what it refuses.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_core::{Amount, Budget, CallCtx, EventKind, Kind, Value};
use atomr_agents_harness::{
    Any, BoxedHarness, Ended, FnLoop, Harness, HarnessOptions, HarnessOutcome, HarnessSpec, IdempotencyKey,
    IterationCap, LoopStep, NoProgress, Settlement, StepEffect, TerminationStrategy,
};
use atomr_agents_state::{
    Around, Batch, Journal, JournalOptions, JournalScope, Key, Lease, MemoryStore, NewRun, RunReader, RunStatus, Store,
    StoreError,
};
use atomr_agents_strategy::StrategyError;
use serde_json::json;

/// What iterations do outside, by their keys, in the order in which they did it.
type Ledger = Arc<Mutex<Vec<String>>>;

/// Lets so many commits through and then fails, as a process that is killed writes nothing more.
#[derive(Debug)]
struct Dies {
    inner: MemoryStore,
    commits: AtomicU64,
}

impl Dies {
    fn after(inner: &MemoryStore, commits: u64) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), commits: AtomicU64::new(commits) })
    }

    fn dead(&self) -> bool {
        self.commits.load(Ordering::SeqCst) == 0
    }
}

#[async_trait]
impl Around for Dies {
    fn within(&self) -> &dyn Store {
        &self.inner
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Err(StoreError::Io { store: "dies".into(), message: "it is dead".into() });
        }
        self.inner.commit(batch).await
    }
}

/// Collects what it is given in a list that grows, spends ten tokens each time, and is done after `to` iterations.
fn collects(to: u64, ledger: &Ledger, effect: StepEffect) -> FnLoop {
    let ledger = Arc::clone(ledger);
    let step = FnLoop::new(move |state, ctx| {
        let ledger = Arc::clone(&ledger);
        async move {
            let key = ctx.get::<IdempotencyKey>().unwrap().to_string();
            ledger.lock().unwrap().push(format!("{} {key}", state.iteration + 1));
            let amount = Amount { tokens: 10, ..Amount::default() };
            ctx.meter().unwrap().reserve(Amount::default()).unwrap().settle(amount);
            let mut memory = (*state.working_memory).clone();
            let said = json!(format!("message {}", state.iteration));
            memory["said"].as_array_mut().unwrap().push(said);
            memory["last"] = json!(state.iteration);
            if state.iteration + 1 == to {
                return Ok(LoopStep::done(memory).labelled("last"));
            }
            Ok(LoopStep::proceed(memory).labelled(format!("step {}", state.iteration)))
        }
    });
    step.with_effect(effect)
}

fn input() -> Value {
    json!({"zeta": "kept in its place", "said": [], "last": null})
}

fn made(
    store: &Arc<dyn Store>,
    version: &str,
    body: FnLoop,
    termination: impl TerminationStrategy,
    budget: Budget,
) -> BoxedHarness {
    let spec = HarnessSpec::new("collect", version).with_budget(budget);
    let options = HarnessOptions { store: Some(Arc::clone(store)), ..HarnessOptions::default() };
    Harness::new(spec, body, termination).unwrap().with_options(options).into()
}

fn collecting(store: &Arc<dyn Store>, to: u64, ledger: &Ledger, effect: StepEffect) -> BoxedHarness {
    made(store, "1", collects(to, ledger, effect), IterationCap(500), Budget::default())
}

fn expected(to: u64) -> Value {
    let said: Vec<String> = (0..to).map(|at| format!("message {at}")).collect();
    json!({"zeta": "kept in its place", "said": said, "last": to - 1})
}

fn stored(store: &MemoryStore) -> Arc<dyn Store> {
    Arc::new(store.clone())
}

async fn status(store: &MemoryStore, run: &str) -> RunStatus {
    RunReader::open(stored(store), run).await.unwrap().record().status
}

/// The iterations that were run more than once, with their keys.
fn repeated(ledger: &Ledger) -> Vec<String> {
    let all = ledger.lock().unwrap();
    let twice = |line: &&String| all.iter().filter(|other| other == line).count() > 1;
    let mut lines: Vec<String> = all.iter().filter(twice).cloned().collect();
    lines.dedup();
    lines
}

#[tokio::test]
async fn a_run_that_dies_at_any_commit_is_gone_on_with_after_the_last_iteration_that_was_written() {
    for commits in 0..12 {
        let (store, ledger) = (MemoryStore::new(), Ledger::default());
        let dies: Arc<dyn Store> = Dies::after(&store, commits);
        let failure = collecting(&dies, 10, &ledger, StepEffect::Idempotent).run_as("r", input(), CallCtx::new()).await;
        let written = match failure {
            Err(failure) => {
                assert_eq!(failure.kind(), Kind::Storage, "{failure}");
                failure.state.iteration
            }
            Ok(outcome) => panic!("{outcome:?} after {commits} commits"),
        };
        assert_eq!(written, commits.saturating_sub(1).min(10), "one commit begins the run, and each iteration is one");
        let again = collecting(&stored(&store), 10, &ledger, StepEffect::Idempotent);
        let outcome = if commits == 0 {
            assert_eq!(again.resume("r", CallCtx::new()).await.unwrap_err().kind(), Kind::Conflict, "it never began");
            again.run_as("r", input(), CallCtx::new()).await.unwrap()
        } else {
            again.resume("r", CallCtx::new()).await.unwrap()
        };
        assert_eq!((&outcome.output, outcome.iterations), (&expected(10), 10), "after {commits} commits");
        assert_eq!(outcome.output.to_string(), expected(10).to_string(), "also in the order of its fields");
        assert_eq!(outcome.ended, Ended::Done { label: "last".into() });
        assert_eq!(outcome.spent.tokens, 100, "what was spent before counts");
        // Only the one that was under way is run again, under the same key.
        let again = repeated(&ledger);
        assert!(again.len() <= 1, "after {commits} commits: {again:?}");
        assert_eq!(status(&store, "r").await, RunStatus::Finished);
    }
}

#[tokio::test]
async fn a_long_run_is_gone_on_with_from_its_last_base_with_history_input_and_spending() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let dies = Dies::after(&store, 301);
    let failure = {
        let dies: Arc<dyn Store> = dies.clone();
        collecting(&dies, 400, &ledger, StepEffect::None).run_as("r", input(), CallCtx::new()).await.unwrap_err()
    };
    assert!(dies.dead() && failure.state.iteration == 300);
    let seen = Arc::new(Mutex::new(None));
    let look = Arc::clone(&seen);
    let looks = FnLoop::new(move |state, _| {
        look.lock().unwrap().get_or_insert(state.clone());
        async move { Ok(LoopStep::done(json!(state.iteration))) }
    });
    made(&stored(&store), "1", looks, IterationCap(500), Budget::default()).resume("r", CallCtx::new()).await.unwrap();
    let mut seen = seen.lock().unwrap().take().unwrap();
    let (there, here) = (&mut *Box::new((*failure.state).clone()), &mut seen);
    (there.elapsed, there.remaining) = (here.elapsed, here.remaining);
    there.spent = here.spent; // the failed attempt of iteration 301 was counted when the failure was told
    // The history that is read is at least that since the last base.
    let last = |state: &atomr_agents_harness::HarnessState| state.history.back().cloned();
    assert_eq!(last(there), last(here));
    assert_eq!(*there.working_memory, *here.working_memory);
    assert_eq!((&there.input, there.iteration), (&here.input, here.iteration));
    assert!(here.history.len() >= 100 && here.spent.tokens >= 3_000, "{} {:?}", here.history.len(), here.spent);
}

#[tokio::test]
async fn events_are_written_with_what_they_tell_and_go_on_in_number_and_order() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let dies: Arc<dyn Store> = Dies::after(&store, 3);
    collecting(&dies, 4, &ledger, StepEffect::None).run_as("r", input(), CallCtx::new()).await.unwrap_err();
    let events = async || RunReader::open(stored(&store), "r").await.unwrap().events(0, 100).await.unwrap();
    let told = |events: Vec<atomr_agents_core::Event>| -> Vec<(&'static str, u64)> {
        assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq && pair[0].run == pair[1].run));
        let line = |event: &atomr_agents_core::Event| match event.kind {
            EventKind::HarnessStarted { iteration, .. }
            | EventKind::HarnessIteration { iteration, .. }
            | EventKind::HarnessFinished { iteration, .. } => (event.kind.name(), iteration),
            _ => (event.kind.name(), 0),
        };
        events.iter().map(line).collect()
    };
    let before = [("harness_started", 0), ("harness_iteration", 1), ("harness_iteration", 2)];
    assert_eq!(told(events().await), before, "the third was told to nobody, as it was not written");
    collecting(&stored(&store), 4, &ledger, StepEffect::None).resume("r", CallCtx::new()).await.unwrap();
    let after = [("harness_started", 2), ("harness_iteration", 3), ("harness_iteration", 4), ("harness_finished", 4)];
    assert_eq!(told(events().await), [&before[..], &after[..]].concat());
}

#[tokio::test]
async fn a_growing_list_is_not_written_again_each_time() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    collecting(&stored(&store), 100, &ledger, StepEffect::None).run_as("r", input(), CallCtx::new()).await.unwrap();
    let entries = store.read(&Key::new("run", "r").unwrap(), 0, 1_000).await.unwrap();
    let sizes: Vec<usize> = entries.iter().map(|entry| entry.body.len()).collect();
    assert!(sizes[90] < sizes[10] + 40, "{} bytes for the tenth iteration, {} for the ninetieth", sizes[10], sizes[90]);
}

#[tokio::test]
async fn working_memory_of_every_shape_comes_back_as_it_was() {
    let shapes = [
        json!(null),
        json!([1, 2]),
        json!([1, 2, 3]),
        json!([3]),
        json!({"b": [1], "a": {"x": 1}}),
        json!({"b": [1, 2], "a": {"x": 1}, "c": "long".repeat(400)}),
        json!({"c": "long".repeat(400), "b": 5}),
        json!({"c": [], "b": [5]}),
        json!({}),
        json!("text"),
        json!([{"k": "long".repeat(400)}]),
        json!({"memory": 1, "input": 2, "output": 3}),
    ];
    for cut in 1..=shapes.len() as u64 {
        let store = MemoryStore::new();
        let walk = |to: u64| {
            let shapes = shapes.clone();
            FnLoop::new(move |state, _| {
                let shapes = shapes.clone();
                async move {
                    let at = usize::try_from(state.iteration).unwrap();
                    if state.iteration == to {
                        return Ok(LoopStep::done(json!([*state.working_memory, *state.input])));
                    }
                    Ok(LoopStep::proceed(shapes[at].clone()))
                }
            })
        };
        let dies: Arc<dyn Store> = Dies::after(&store, cut + 1);
        let harness = made(&dies, "1", walk(99), IterationCap(500), Budget::default());
        // Where the store is still there after the last shape, the closure panics: a failure like any other.
        harness.run_as("r", json!({"in": 1}), CallCtx::new()).await.unwrap_err();
        let harness = made(&stored(&store), "1", walk(cut), IterationCap(500), Budget::default());
        let output = harness.resume("r", CallCtx::new()).await.unwrap().output;
        let shape = &shapes[usize::try_from(cut).unwrap() - 1];
        assert_eq!(output.to_string(), json!([shape, {"in": 1}]).to_string(), "cut after {cut}");
    }
}

#[tokio::test]
async fn a_once_iteration_that_may_have_happened_is_not_run_again_until_somebody_says_so() {
    let prepared = async || {
        let (store, ledger) = (MemoryStore::new(), Ledger::default());
        // The run, two iterations with an intent and an outcome each, and the intent of the third.
        let dies: Arc<dyn Store> = Dies::after(&store, 6);
        let harness = collecting(&dies, 4, &ledger, StepEffect::Once);
        assert_eq!(harness.run_as("r", input(), CallCtx::new()).await.unwrap_err().state.iteration, 2);
        assert_eq!(ledger.lock().unwrap().len(), 3);
        let harness = collecting(&stored(&store), 4, &ledger, StepEffect::Once);
        let failure = harness.resume("r", CallCtx::new()).await.unwrap_err();
        assert_eq!((failure.kind(), failure.state.iteration), (Kind::OutcomeUnknown, 2), "{failure}");
        assert!(failure.to_string().contains("iteration 3 of collect"), "{failure}");
        assert_eq!(ledger.lock().unwrap().len(), 3, "nothing was run");
        assert_eq!(status(&store, "r").await, RunStatus::OutcomeUnknown);
        (store, ledger, harness)
    };
    let (_, ledger, harness) = prepared().await;
    let outcome = harness.resume_with("r", Settlement::RunAgain, CallCtx::new()).await.unwrap();
    assert_eq!((outcome.output, repeated(&ledger).len()), (expected(4), 1));

    let (store, ledger, harness) = prepared().await;
    let was = Settlement::Was(LoopStep::proceed(json!({"said": ["found out"], "last": 2})));
    let outcome = harness.resume_with("r", was.clone(), CallCtx::new()).await.unwrap();
    assert_eq!(outcome.output["said"], json!(["found out", "message 3"]));
    assert_eq!((repeated(&ledger).len(), ledger.lock().unwrap().len()), (0, 4));
    assert_eq!(status(&store, "r").await, RunStatus::Finished);

    // A word about an iteration that is not in doubt is refused.
    let dies: Arc<dyn Store> = Dies::after(&store, 3);
    let harness = collecting(&dies, 9, &ledger, StepEffect::Idempotent);
    harness.run_as("other", input(), CallCtx::new()).await.unwrap_err();
    let harness = collecting(&stored(&store), 9, &ledger, StepEffect::Idempotent);
    assert_eq!(harness.resume_with("other", was, CallCtx::new()).await.unwrap_err().kind(), Kind::Config);
}

#[tokio::test]
async fn a_once_iteration_that_raised_may_have_happened_too() {
    let store = MemoryStore::new();
    let raises = FnLoop::new(|_, _| async {
        let message = "the answer was lost".into();
        Err(StrategyError::Failed { family: "loop", kind: Kind::Guest, message, source: None })
    });
    let raises = raises.with_effect(StepEffect::Once);
    let harness = made(&stored(&store), "1", raises, IterationCap(5), Budget::default());
    assert_eq!(harness.run_as("r", json!(1), CallCtx::new()).await.unwrap_err().kind(), Kind::Guest);
    assert_eq!(status(&store, "r").await, RunStatus::Failed);
    assert_eq!(harness.resume("r", CallCtx::new()).await.unwrap_err().kind(), Kind::OutcomeUnknown);
}

#[tokio::test]
async fn what_cannot_be_resumed_says_why() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let harness = collecting(&stored(&store), 2, &ledger, StepEffect::None);
    let outcome: HarnessOutcome = harness.run_as("r", input(), CallCtx::new()).await.unwrap();
    let over = harness.resume("r", CallCtx::new()).await.unwrap_err();
    assert_eq!((over.kind(), over.to_string().contains("nothing to resume")), (Kind::Conflict, true), "{over}");
    let exists = harness.run_as("r", input(), CallCtx::new()).await.unwrap_err();
    assert_eq!(exists.kind(), Kind::Conflict);
    assert!(exists.to_string().contains("exists"), "{exists}");
    assert_eq!(harness.resume("nobody", CallCtx::new()).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(outcome.run, "r");

    let dies: Arc<dyn Store> = Dies::after(&store, 2);
    collecting(&dies, 9, &ledger, StepEffect::None).run_as("s", input(), CallCtx::new()).await.unwrap_err();
    let newer = made(&stored(&store), "2", collects(9, &ledger, StepEffect::None), IterationCap(9), Budget::default());
    let changed = newer.resume("s", CallCtx::new()).await.unwrap_err();
    assert_eq!(changed.kind(), Kind::Incompatible);
    assert!(changed.to_string().contains("version \"1\"") && changed.to_string().contains("\"2\" now"), "{changed}");
    let nowhere =
        Harness::new(HarnessSpec::new("collect", "1"), collects(9, &ledger, StepEffect::None), IterationCap(9));
    assert_eq!(nowhere.unwrap().resume("s", CallCtx::new()).await.unwrap_err().kind(), Kind::Config);
    // After all that, the right one still can.
    collecting(&stored(&store), 9, &ledger, StepEffect::None).resume("s", CallCtx::new()).await.unwrap();
}

#[tokio::test]
async fn budgets_and_terminations_go_on_where_they_were() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let budget = Budget { tokens: Some(55), ..Budget::default() };
    let harness = |store: &Arc<dyn Store>, budget| {
        made(store, "1", collects(99, &ledger, StepEffect::None), IterationCap(50), budget)
    };
    let dies: Arc<dyn Store> = Dies::after(&store, 4);
    harness(&dies, budget).run_as("r", input(), CallCtx::new()).await.unwrap_err();
    let outcome = harness(&stored(&store), budget).resume("r", CallCtx::new()).await.unwrap();
    assert!(outcome.ended.reason().unwrap().starts_with("budget: "), "{:?}", outcome.ended);
    assert_eq!((outcome.iterations, outcome.spent.tokens), (6, 60), "ten of it in six iterations, the last overran");

    // Two iterations without progress in one process, and the third in the next.
    let idle = || FnLoop::new(|state, _| async move { Ok(LoopStep::proceed((*state.working_memory).clone())) });
    let ends = || Any::new().with(IterationCap(50)).with(NoProgress::new(4));
    let dies: Arc<dyn Store> = Dies::after(&store, 3);
    made(&dies, "1", idle(), ends(), Budget::default()).run_as("i", json!(1), CallCtx::new()).await.unwrap_err();
    let harness = made(&stored(&store), "1", idle(), ends(), Budget::default());
    let outcome = harness.resume("i", CallCtx::new()).await.unwrap();
    assert_eq!((outcome.iterations, outcome.ended), (4, Ended::terminated("no_progress")));
}

#[tokio::test]
async fn of_two_who_work_on_one_run_one_is_kept_out() {
    let store = MemoryStore::new();
    let (go, gone) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let waits = {
        let (go, gone) = (Arc::clone(&go), Arc::clone(&gone));
        FnLoop::new(move |_, _| {
            let (go, gone) = (Arc::clone(&go), Arc::clone(&gone));
            async move {
                gone.notify_one();
                go.notified().await;
                Ok(LoopStep::done(json!("first")))
            }
        })
    };
    let harness = made(&stored(&store), "1", waits, IterationCap(9), Budget::default());
    let first = harness.run_as("r", json!(1), CallCtx::new());
    let second = async {
        gone.notified().await;
        let held = harness.resume("r", CallCtx::new()).await.unwrap_err();
        let exists = harness.run_as("r", json!(2), CallCtx::new()).await.unwrap_err();
        go.notify_one();
        (held.kind(), exists.kind())
    };
    let (first, kinds) = tokio::join!(first, second);
    assert_eq!((first.unwrap().output, kinds), (json!("first"), (Kind::Locked, Kind::Conflict)));
}

#[tokio::test]
async fn a_run_that_is_taken_over_stops() {
    let store = MemoryStore::new();
    let steals = {
        let store = store.clone();
        FnLoop::new(move |state, _| {
            let store = store.clone();
            async move {
                if state.iteration == 1 {
                    // The lease is gone and somebody else takes it, as after a long pause of the process.
                    let key = Key::new("run", "r").unwrap();
                    let gone = Lease { key: key.clone(), owner: String::new(), token: 1, until_ms: 0 };
                    store.release(&gone).await.unwrap();
                    store.acquire(&key, "somebody else", Duration::from_secs(30)).await.unwrap();
                }
                Ok(LoopStep::proceed(json!(state.iteration)))
            }
        })
    };
    let harness = made(&stored(&store), "1", steals, IterationCap(9), Budget::default());
    let failure = harness.run_as("r", json!(1), CallCtx::new()).await.unwrap_err();
    assert_eq!((failure.kind(), failure.state.iteration), (Kind::Fenced, 1), "{failure}");
}

#[tokio::test]
async fn cancelling_is_written_and_the_run_can_be_gone_on_with() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let stops = FnLoop::new(move |state, _| {
        let cancel = cancel.clone();
        async move {
            if state.iteration == 1 {
                cancel.cancel();
                std::future::pending::<()>().await;
            }
            Ok(LoopStep::proceed(input()))
        }
    });
    let harness = made(&stored(&store), "1", stops, IterationCap(9), Budget::default());
    assert_eq!(harness.run_as("r", json!(1), ctx).await.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(status(&store, "r").await, RunStatus::Cancelled);
    let outcome = collecting(&stored(&store), 3, &ledger, StepEffect::None).resume("r", CallCtx::new()).await.unwrap();
    assert_eq!(outcome.iterations, 3);
}

#[tokio::test]
async fn a_harness_in_a_kept_run_is_kept_in_that_run() {
    let (store, ledger) = (MemoryStore::new(), Ledger::default());
    let harness: BoxedHarness =
        Harness::new(HarnessSpec::new("collect", "1"), collects(5, &ledger, StepEffect::None), IterationCap(9))
            .unwrap()
            .into();
    let new = || NewRun { name: "outer".into(), kind: "workflow".into(), target: "w".into(), ..NewRun::default() };
    // The outer run and two iterations; then the process dies.
    let dies: Arc<dyn Store> = Dies::after(&store, 3);
    let journal = Journal::begin(dies, new(), JournalOptions::default(), &json!(0)).await.unwrap();
    let ctx = CallCtx::new().with(JournalScope::new(journal.clone(), 7, "node"));
    let failure = harness.run(input(), ctx).await.unwrap_err();
    assert_eq!((failure.kind(), failure.state.iteration, failure.run.as_str()), (Kind::Storage, 2, "outer"));
    journal.release().await.unwrap();
    let journal = Journal::resume(stored(&store), "outer", JournalOptions::default()).await.unwrap();
    let scope = JournalScope::new(journal, 7, "node");
    let meter = atomr_agents_core::Meter::new(Budget::default());
    let ctx = CallCtx::new().with(scope.clone()).with_meter(meter.clone());
    let outcome = harness.run(input(), ctx).await.unwrap();
    assert_eq!((&outcome.output, outcome.iterations), (&expected(5), 5));
    assert_eq!((outcome.spent.tokens, meter.spent().tokens), (50, 50), "what was spent before counts above, too");
    assert_eq!(repeated(&ledger).len(), 1, "the one whose outcome was not written");
    // Another one in the same work is another one.
    let outcome = harness.run(input(), CallCtx::new().with(scope)).await.unwrap();
    assert_eq!((outcome.iterations, ledger.lock().unwrap().len()), (5, 5 + 1 + 5));
}
