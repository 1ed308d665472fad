//! Pipelines, fan-outs and decorators, alone and inside one another.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers outside the test functions

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atomr_agents_callable::{
    Branch, Callable, CallableError, CallableHandle, Fallbacks, FanOut, FnCallable, Passthrough, Pipeline, Retry,
    RetryPolicy, RunConfig, Timeout, WithConfig, conformance, predicate,
};
use atomr_agents_core::{CallCtx, CancellationToken, Kind, Value};
use proptest::prelude::*;
use serde_json::json;
use tokio::time::{Instant, sleep};

fn add(n: i64) -> FnCallable {
    FnCallable::new(
        format!("add {n}"),
        move |input: Value, _| async move { Ok(json!(input.as_i64().unwrap_or(0) + n)) },
    )
}

fn failing(label: &str, kind: Kind) -> FnCallable {
    let owned = label.to_owned();
    FnCallable::new(label, move |_, _| {
        std::future::ready(Err(CallableError::failed(owned.clone(), kind, std::io::Error::other("no"))))
    })
}

fn sleeping(millis: u64, answer: Value) -> FnCallable {
    FnCallable::new("sleeping", move |_, _| {
        let answer = answer.clone();
        async move {
            sleep(Duration::from_millis(millis)).await;
            Ok(answer)
        }
    })
}

fn handle(callable: impl Callable) -> CallableHandle {
    Arc::new(callable)
}

/// Sleeps for ever and counts how often it was begun, how often its future was dropped, and keeps its token.
#[derive(Clone, Default)]
struct Watched {
    begun: Arc<AtomicU32>,
    dropped: Arc<AtomicU32>,
    token: Arc<std::sync::Mutex<Option<CancellationToken>>>,
}

impl Watched {
    fn callable(&self) -> FnCallable {
        struct Guard(Arc<AtomicU32>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let watched = self.clone();
        FnCallable::new("watched", move |_, ctx: CallCtx| {
            let guard = Guard(Arc::clone(&watched.dropped));
            watched.begun.fetch_add(1, Ordering::Relaxed);
            *watched.token.lock().unwrap() = Some(ctx.cancel);
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        })
    }

    fn assert_ended(&self) {
        assert_eq!((self.begun.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed)), (1, 1));
        assert!(self.token.lock().unwrap().as_ref().unwrap().is_cancelled(), "its token is cancelled");
    }
}

#[tokio::test]
async fn a_pipeline_runs_in_order_and_can_be_built_again() {
    let builder = Pipeline::from(add(1)).then(add(10)).assign("next", add(1)).passthrough();
    let first = builder.build().unwrap();
    let longer =
        builder.fan_out_with([("b", handle(Passthrough)), ("a", handle(add(5)))]).named("long").build().unwrap();
    let short = first.call(json!(1), CallCtx::new()).await.unwrap();
    assert_eq!(short, json!({"input": 12, "next": 13}));
    for _ in 0..2 {
        let long = longer.call(json!(1), CallCtx::new()).await.unwrap();
        assert_eq!(long, json!({"b": {"input": 12, "next": 13}, "a": 5}));
    }
    assert_eq!((first.label(), longer.label()), ("pipeline", "long"));
}

#[tokio::test]
async fn assign_keeps_an_object_and_replaces_its_key() {
    let length =
        FnCallable::new("length", |v: Value, _| async move { Ok(json!(v.as_object().map_or(0, |o| o.len()))) });
    let pipeline = Pipeline::from(Passthrough).assign("n", length).build().unwrap();
    let object = pipeline.call(json!({"z": 1, "n": "old"}), CallCtx::new()).await.unwrap();
    assert_eq!(object, json!({"z": 1, "n": 2}));
}

#[tokio::test]
async fn a_pipeline_stops_at_an_error_and_before_the_stage_after_a_cancel() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = {
        let calls = Arc::clone(&calls);
        FnCallable::new("counted", move |v, _| {
            calls.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(v))
        })
    };
    let counted = handle(counted);
    let broken = Pipeline::from(failing("broken", Kind::Guest)).then(Arc::clone(&counted)).build().unwrap();
    assert_eq!(broken.call(json!(1), CallCtx::new()).await.unwrap_err().label(), Some("broken"));
    let cancels = FnCallable::new("cancels", |v, ctx: CallCtx| {
        ctx.cancel.cancel();
        std::future::ready(Ok(v))
    });
    let cancelled = Pipeline::from(cancels).then(counted).named("p").build().unwrap();
    let error = cancelled.call(json!(1), CallCtx::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.label()), (Kind::Cancelled, Some("p")));
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_used_twice_is_refused() {
    let twice = || [("a", handle(Passthrough)), ("a", handle(Passthrough))];
    let error = FanOut::new(twice()).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let built = Pipeline::from(Passthrough).fan_out_with(twice()).then(add(1)).build().unwrap_err();
    assert_eq!(built.to_string(), "branches is wrong: the name `a` is used twice; each branch needs its own");
}

#[tokio::test(start_paused = true)]
async fn branches_of_a_fan_out_wait_at_the_same_time_and_know_their_path() {
    let path = FnCallable::new("path", |_, ctx: CallCtx| async move {
        sleep(Duration::from_secs(1)).await;
        Ok(json!(ctx.path()))
    });
    let path = handle(path);
    let names: Vec<String> = (0..50).map(|n| format!("b{n}")).collect();
    let fan_out = FanOut::new(names.iter().map(|name| (name.clone(), Arc::clone(&path)))).unwrap();
    let begin = Instant::now();
    let answer = fan_out.call(json!(null), CallCtx::new().child("root")).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert_eq!(answer["b7"], "root/b7");
    let empty = FanOut::new(Vec::<(String, CallableHandle)>::new()).unwrap();
    assert_eq!(empty.call(json!(1), CallCtx::new()).await.unwrap(), json!({}));
}

#[tokio::test(start_paused = true)]
async fn the_first_error_of_a_fan_out_ends_the_others() {
    let watched = Watched::default();
    let late = Pipeline::from(sleeping(5, json!(1))).then(failing("late", Kind::Guest)).build().unwrap();
    let fan_out = FanOut::new([("w", handle(watched.callable())), ("late", handle(late))]).unwrap();
    let ctx = CallCtx::new();
    assert_eq!(fan_out.call(json!(1), ctx.clone()).await.unwrap_err().label(), Some("late"));
    watched.assert_ended();
    assert!(!ctx.cancel.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn dropping_or_cancelling_a_fan_out_ends_its_branches() {
    let watched = Watched::default();
    let fan_out = FanOut::new([("w", handle(watched.callable()))]).unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(5), fan_out.call(json!(1), CallCtx::new())).await;
    assert!(dropped.is_err());
    watched.assert_ended();

    let watched = Watched::default();
    let fan_out = FanOut::new([("w", handle(watched.callable()))]).unwrap();
    let ctx = CallCtx::new();
    let (answer, ()) = tokio::join!(fan_out.call(json!(1), ctx.clone()), async { ctx.cancel.cancel() });
    assert_eq!(answer.unwrap_err().kind(), Kind::Cancelled);
    watched.assert_ended();
}

/// A callable of a user's own, which panics.
struct Panics;

impl Callable for Panics {
    fn label(&self) -> &str {
        "panics"
    }

    fn call(&self, _: Value, _: CallCtx) -> atomr_agents_callable::BoxFuture<'_, Result<Value, CallableError>> {
        std::panic::panic_any("oh")
    }
}

#[tokio::test]
async fn a_panicking_branch_is_an_error_and_ends_the_others() {
    let watched = Watched::default();
    let fan_out = FanOut::new([("w", handle(watched.callable())), ("p", handle(Panics))]).unwrap();
    let error = fan_out.call(json!(1), CallCtx::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "p panicked: oh");
    watched.assert_ended();
}

/// Fails with these kinds in turn, then answers; counts the calls.
fn flaky(kinds: Vec<Kind>) -> (FnCallable, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let callable = FnCallable::new("flaky", move |v, _| {
        let at = counter.fetch_add(1, Ordering::Relaxed) as usize;
        let error = |kind| CallableError::failed("flaky", kind, std::io::Error::other("later"));
        std::future::ready(kinds.get(at).map_or(Ok(v), |kind| Err(error(*kind))))
    });
    (callable, calls)
}

#[tokio::test(start_paused = true)]
async fn programming_errors_are_not_retried_unless_a_predicate_says_so() {
    let (callable, calls) = flaky(vec![Kind::InvalidRequest]);
    let retry = Retry::new(callable, RetryPolicy::default()).unwrap();
    assert_eq!(retry.call(json!(1), CallCtx::new()).await.unwrap_err().kind(), Kind::InvalidRequest);
    assert_eq!(calls.load(Ordering::Relaxed), 1);

    let (callable, calls) = flaky(vec![Kind::InvalidRequest]);
    let retry = Retry::new(callable, RetryPolicy::default()).unwrap();
    let retry = retry.also_when(|error| error.to_string().contains("later"));
    assert_eq!(retry.call(json!(1), CallCtx::new()).await.unwrap(), json!(1));
    assert_eq!(calls.load(Ordering::Relaxed), 2);

    let (callable, calls) = flaky(vec![Kind::Cancelled]);
    let retry = Retry::new(callable, RetryPolicy::default()).unwrap().also_when(|_| true);
    assert_eq!(retry.call(json!(1), CallCtx::new()).await.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn cancelling_cuts_the_wait_short_and_a_near_deadline_prevents_it() {
    let slow = RetryPolicy {
        initial_backoff: Duration::from_secs(3_600),
        max_backoff: Duration::MAX,
        ..RetryPolicy::default()
    };
    let (callable, calls) = flaky(vec![Kind::ServerError; 2]);
    let retry = Retry::new(callable, slow).unwrap();
    let ctx = CallCtx::new();
    let cancel = async {
        sleep(Duration::from_millis(1)).await;
        ctx.cancel.cancel();
    };
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(retry.call(json!(1), ctx.clone()), cancel);
    assert_eq!(answer.unwrap_err().kind(), Kind::Cancelled);
    assert!(begin.elapsed() < Duration::from_secs(1) && calls.load(Ordering::Relaxed) == 1);

    // One wait in 3600 is short enough for the deadline, by chance: so try a few times.
    let mut ended_at_once = false;
    for _ in 0..5 {
        let (callable, _) = flaky(vec![Kind::ServerError; 2]);
        let retry = Retry::new(callable, slow).unwrap();
        let begin = Instant::now();
        let answer = retry.call(json!(1), CallCtx::new().with_timeout(Duration::from_secs(1))).await;
        ended_at_once |= answer.is_err_and(|error| error.kind() == Kind::ServerError) && begin.elapsed().is_zero();
    }
    assert!(ended_at_once);
}

#[tokio::test]
async fn fallbacks_end_with_the_first_success_or_the_last_error() {
    let down = |label: &str| handle(failing(label, Kind::ServerError));
    let saved = Fallbacks::new(down("a"), vec![down("b"), handle(add(1)), down("never")]);
    assert_eq!(saved.call(json!(1), CallCtx::new()).await.unwrap(), json!(2));
    let lost = Fallbacks::new(down("a"), vec![down("b"), down("c")]);
    assert_eq!(lost.call(json!(1), CallCtx::new()).await.unwrap_err().label(), Some("c"));
    let (alternate, calls) = flaky(vec![]);
    let cancelled = Fallbacks::new(failing("a", Kind::Cancelled), vec![handle(alternate)]);
    assert_eq!(cancelled.call(json!(1), CallCtx::new()).await.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_drops_the_call_and_cancels_its_context_only() {
    let watched = Watched::default();
    let timeout = Timeout::new(watched.callable(), Duration::from_millis(20)).unwrap();
    let ctx = CallCtx::new();
    let error = timeout.call(json!(1), ctx.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Timeout, "watched took longer than 20ms"));
    watched.assert_ended();
    assert!(!ctx.cancel.is_cancelled());

    let watched = Watched::default();
    let dropped = Timeout::new(watched.callable(), Duration::from_secs(60)).unwrap();
    let call = dropped.call(json!(1), CallCtx::new());
    assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
    watched.assert_ended();

    let quick = Timeout::new(sleeping(5, json!("done")), Duration::from_millis(20)).unwrap();
    assert_eq!(quick.call(json!(1), CallCtx::new()).await.unwrap(), json!("done"));
    assert_eq!(Timeout::new(Passthrough, Duration::ZERO).unwrap_err().kind(), Kind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_a_timeout_knows_its_deadline_and_the_earlier_one_counts() {
    let remaining =
        || FnCallable::new("r", |_, ctx: CallCtx| async move { Ok(json!(ctx.remaining().unwrap().as_secs())) });
    let timeout = Timeout::new(remaining(), Duration::from_secs(100)).unwrap();
    assert_eq!(timeout.call(json!(1), CallCtx::new()).await.unwrap(), json!(99));
    let hurried = CallCtx::new().with_timeout(Duration::from_secs(50));
    assert_eq!(timeout.call(json!(1), hurried.clone()).await.unwrap(), json!(49));
    let never = Timeout::new(Watched::default().callable(), Duration::from_secs(100)).unwrap();
    let error = never.call(json!(1), hurried).await.unwrap_err();
    assert!(matches!(error, CallableError::Timeout { after, .. } if after <= Duration::from_secs(50)), "{error:?}");
}

#[tokio::test]
async fn a_branch_asks_and_does_not_guess() {
    let branch = |asks: FnCallable| Branch::new(asks, add(1), add(100));
    let ctx = CallCtx::new;
    let big = branch(predicate("big", |v| v.as_i64() > Some(10)));
    assert_eq!(big.call(json!(11), ctx()).await.unwrap(), json!(12));
    assert_eq!(big.call(json!(1), ctx()).await.unwrap(), json!(101));
    let asynchronous = FnCallable::new("async", |_, _| async {
        tokio::task::yield_now().await;
        Ok(json!(true))
    });
    assert_eq!(branch(asynchronous).call(json!(1), ctx()).await.unwrap(), json!(2));
    let error = branch(failing("broken", Kind::Guest)).call(json!(1), ctx()).await.unwrap_err();
    assert_eq!(error.label(), Some("broken"), "an error is no false");
    let error = branch(add(0)).call(json!(1), ctx()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Contract);
    assert_eq!(error.to_string(), "add 0 broke its contract: a predicate answers true or false, not a number");
}

#[tokio::test]
async fn a_config_reaches_everything_below_and_nothing_above() {
    let show = FnCallable::new("show", |_, ctx: CallCtx| async move {
        let config = ctx.get::<RunConfig>().unwrap();
        Ok(json!({"name": config.run_name, "tags": config.tags, "metadata": config.metadata, "path": ctx.path()}))
    });
    let config = |name: Option<&str>, tags: &[&str], metadata: Value| RunConfig {
        run_name: name.map(str::to_owned),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        metadata: metadata.as_object().unwrap().clone(),
    };
    let inner = WithConfig::new(show, config(None, &["b", "a"], json!({"x": 2, "y": 3})));
    assert_eq!(inner.label(), "show");
    let outer = WithConfig::new(inner, config(Some("outer"), &["a"], json!({"x": 1, "w": 0})));
    assert_eq!(outer.label(), "outer");
    let ctx = CallCtx::new();
    let seen = outer.call(json!(1), ctx.clone()).await.unwrap();
    let expected = json!({"name": "outer", "tags": ["a", "b"], "metadata": {"x": 2, "w": 0, "y": 3}, "path": "outer"});
    assert_eq!(seen, expected);
    assert!(ctx.get::<RunConfig>().is_none());
}

#[tokio::test(start_paused = true)]
async fn every_composition_conforms() {
    let everything: Vec<CallableHandle> = vec![
        handle(Passthrough),
        handle(sleeping(5, json!(1))),
        handle(Pipeline::from(add(1)).assign("x", add(1)).build().unwrap()),
        handle(FanOut::new([("a", handle(add(1))), ("b", handle(sleeping(1, json!(1))))]).unwrap()),
        handle(Retry::new(sleeping(1, json!(1)), RetryPolicy::default()).unwrap()),
        handle(Fallbacks::new(failing("a", Kind::Guest), vec![handle(sleeping(1, json!(1)))])),
        handle(Timeout::new(sleeping(1, json!(1)), Duration::from_secs(1)).unwrap()),
        handle(Branch::new(predicate("p", Value::is_number), add(1), add(2))),
        handle(WithConfig::new(add(1), RunConfig { run_name: Some("named".into()), ..RunConfig::default() })),
    ];
    for callable in everything {
        let verdict = conformance::check(&callable, json!(1)).await;
        assert_eq!(verdict, Ok(()), "{}", callable.label());
    }
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn fan_out_keys_keep_their_order_whichever_branch_is_done_first(
        branches in prop::collection::vec(("[a-z0-9]{1,6}", 0u64..50), 0..20),
    ) {
        let mut names: Vec<String> = Vec::new();
        let mut given: Vec<(String, CallableHandle)> = Vec::new();
        for (at, (name, millis)) in branches.into_iter().enumerate() {
            let name = format!("{name}-{at}");
            names.push(name.clone());
            given.push((name, handle(sleeping(millis, json!(at)))));
        }
        let answer = paused(FanOut::new(given).unwrap().call(json!(null), CallCtx::new())).unwrap();
        let object = answer.as_object().unwrap();
        prop_assert_eq!(object.keys().cloned().collect::<Vec<_>>(), names);
        prop_assert!(object.values().enumerate().all(|(at, value)| *value == json!(at)));
    }

    #[test]
    fn retries_as_often_as_told_and_no_more(
        max_attempts in 1u32..6, kinds in prop::collection::vec(prop::sample::select(Kind::ALL.to_vec()), 0..8),
    ) {
        let (callable, calls) = flaky(kinds.clone());
        let retry = Retry::new(callable, RetryPolicy { max_attempts, ..RetryPolicy::default() }).unwrap();
        let answer = paused(retry.call(json!(1), CallCtx::new()));
        let leading = kinds.iter().take_while(|kind| kind.retryable()).count() as u32;
        let expected = max_attempts.min(leading + 1);
        prop_assert_eq!(calls.load(Ordering::Relaxed), expected);
        match kinds.get(expected as usize - 1) {
            None => prop_assert_eq!(answer.unwrap(), json!(1)),
            Some(kind) => prop_assert_eq!(answer.unwrap_err().kind(), *kind),
        }
    }
}
