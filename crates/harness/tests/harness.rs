//! What a harness does without a store.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_callable::{Callable, FnCallable, Pipeline, conformance};
use atomr_agents_core::{Amount, Budget, CallCtx, EventKind, Kind, Meter, Money, Value};
use atomr_agents_harness::{
    Any, BoxedHarness, CallableLoop, CostLimit, Ended, FnLoop, Harness, HarnessOptions, HarnessSpec, IdempotencyKey,
    IterationCap, LoopStep, Never, NoProgress, Predicate, StaticLoop, TokenLimit,
};
use atomr_agents_observability::EventBus;
use atomr_agents_strategy::StrategyError;
use serde_json::json;

fn spec() -> HarnessSpec {
    HarnessSpec::new("count", "1")
}

/// Adds one to the working memory until it is `to`.
fn count_to(to: u64) -> FnLoop {
    FnLoop::new(move |state, _| async move {
        let next = state.working_memory.as_u64().unwrap_or(0) + 1;
        let step = if next >= to { LoopStep::done(json!({"reached": next})) } else { LoopStep::proceed(json!(next)) };
        Ok(step.labelled("add"))
    })
}

fn budget_error(error: &atomr_agents_core::BudgetExceeded) -> StrategyError {
    StrategyError::Failed { family: "loop", kind: error.kind(), message: error.to_string(), source: None }
}

/// Uses so many tokens, and as many micro-dollars, in each iteration.
fn spends(tokens: u64) -> FnLoop {
    FnLoop::new(move |state, ctx| async move {
        let amount = Amount { tokens, cost: Money::from_micro_usd(tokens), ..Amount::default() };
        ctx.meter().unwrap().reserve(amount).map_err(|error| budget_error(&error))?.settle(amount);
        Ok(LoopStep::proceed(json!(state.iteration)))
    })
}

fn tokens(tokens: u64) -> Budget {
    Budget { tokens: Some(tokens), ..Budget::default() }
}

#[tokio::test]
async fn it_begins_with_its_input_and_tells_a_result_from_where_it_was_ended() {
    let harness = Harness::new(spec(), count_to(10), IterationCap(5)).unwrap();
    let done = harness.run(json!(7), CallCtx::new()).await.unwrap();
    assert_eq!((done.output, done.iterations), (json!({"reached": 10}), 3));
    assert_eq!(done.ended, Ended::Done { label: "add".into() });
    let ended = harness.run(json!(0), CallCtx::new()).await.unwrap();
    assert_eq!((ended.output, ended.iterations), (json!(5), 5));
    assert_eq!(ended.ended, Ended::terminated("iteration_cap"));
    assert!(done.ended.reason().is_none() && !ended.ended.is_done());
}

#[tokio::test]
async fn the_state_shows_input_history_and_working_memory() {
    let looks = FnLoop::new(|state, _| async move {
        let labels: Vec<_> = state.history.iter().map(|event| event.label.clone()).collect();
        let seen = json!([*state.input, labels, state.iteration]);
        if state.iteration == 2 { Ok(LoopStep::done(seen)) } else { Ok(LoopStep::proceed(seen).labelled("look")) }
    });
    let harness = Harness::new(spec(), looks, IterationCap::default()).unwrap();
    let outcome = harness.run(json!("in"), CallCtx::new()).await.unwrap();
    assert_eq!(outcome.output, json!(["in", ["look", "look"], 2]));
}

#[test]
fn a_loop_that_nothing_ends_is_refused_and_one_that_a_budget_ends_is_not() {
    let step = || StaticLoop::new(LoopStep::proceed(json!(1)));
    let error = Harness::new(spec(), step(), NoProgress::new(3)).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("might run for ever"), "{error}");
    assert!(Harness::new(spec().with_budget(tokens(5)), step(), Never).is_err());
    for budget in [
        Budget { iterations: Some(3), ..Budget::default() },
        Budget { time: Some(Duration::from_secs(3)), ..Budget::default() },
    ] {
        assert!(Harness::new(spec().with_budget(budget), step(), Never).is_ok());
    }
    for (id, version) in [("", "1"), ("a/b", "1"), ("a", "")] {
        assert!(Harness::new(HarnessSpec::new(id, version), step(), IterationCap(1)).is_err());
    }
}

#[tokio::test]
async fn what_is_used_below_is_seen_by_the_terminations() {
    let by_tokens = Harness::new(spec(), spends(40), Any::new().with(IterationCap(9)).with(TokenLimit(100))).unwrap();
    let outcome = by_tokens.run(json!(0), CallCtx::new()).await.unwrap();
    assert_eq!((outcome.iterations, outcome.spent.tokens), (3, 120));
    assert_eq!(outcome.ended, Ended::terminated("token_limit"));
    let termination = Any::new().with(IterationCap(9)).with(CostLimit(Money::from_micro_usd(80)));
    let outcome = Harness::new(spec(), spends(40), termination).unwrap().run(json!(0), CallCtx::new()).await.unwrap();
    assert_eq!((outcome.iterations, outcome.ended), (2, Ended::terminated("cost_limit")));
}

#[tokio::test]
async fn a_budget_is_charged_and_ends_the_loop_before_it_is_overrun() {
    let ended = async |budget| {
        let harness = Harness::new(spec().with_budget(budget), spends(40), IterationCap(9)).unwrap();
        let outcome = harness.run(json!(0), CallCtx::new()).await.unwrap();
        (outcome.iterations, outcome.spent.tokens, outcome.ended.reason().unwrap().to_owned())
    };
    // The third iteration asks for what is not there any more; what it would have handed on is not.
    let (iterations, spent, reason) = ended(tokens(100)).await;
    assert_eq!((iterations, spent), (2, 80));
    assert!(reason.starts_with("budget: ") && reason.contains("100 tokens"), "{reason}");
    // Nothing is left: the third is not begun.
    let (iterations, spent, reason) = ended(tokens(80)).await;
    assert_eq!((iterations, spent), (2, 80));
    assert!(reason.contains("80 spent"), "{reason}");
    let (iterations, _, reason) = ended(Budget { iterations: Some(4), ..Budget::default() }).await;
    assert_eq!(iterations, 4);
    assert!(reason.contains("4 iterations"), "{reason}");
}

#[tokio::test]
async fn a_harness_inside_another_draws_on_its_budget() {
    let inner: BoxedHarness = Harness::new(HarnessSpec::new("inner", "1"), spends(10), IterationCap(3)).unwrap().into();
    let body = CallableLoop::new(inner.as_callable());
    let outer = Harness::new(spec().with_budget(tokens(65)), body, IterationCap(9)).unwrap();
    let outcome = outer.run(json!(0), CallCtx::new()).await.unwrap();
    // 30, 30, and the third inner run finds 5: it is ended by the budget that is not its own, after nothing.
    assert_eq!(outcome.spent.tokens, 60);
    assert!(outcome.spent.iterations > 6, "the inner ones count too: {}", outcome.spent.iterations);
    let meter = Meter::new(Budget { iterations: Some(5), ..Budget::default() });
    let outcome = inner.run(json!(0), CallCtx::new().with_meter(meter.clone())).await.unwrap();
    assert_eq!((outcome.iterations, meter.spent().iterations, meter.spent().tokens), (3, 3, 30));
}

#[tokio::test]
async fn a_private_budget_of_something_below_is_a_failure_of_the_step() {
    let strict = FnLoop::new(|_, ctx| async move {
        let own = ctx.meter().unwrap().child(tokens(1));
        let exceeded = own.reserve(Amount { tokens: 2, ..Amount::default() }).unwrap_err();
        Err(budget_error(&exceeded))
    });
    let harness = Harness::new(spec(), strict, IterationCap(3)).unwrap();
    let failure = harness.run(json!("in"), CallCtx::new()).await.unwrap_err();
    assert_eq!((failure.kind(), &*failure.state.working_memory), (Kind::BudgetExceeded, &json!("in")));
}

#[tokio::test]
async fn a_failing_or_panicking_step_gives_the_state_before_it() {
    for panics in [false, true] {
        let breaks = FnLoop::new(move |state, _| async move {
            assert!(!(panics && state.iteration == 2), "at the third");
            if state.iteration == 2 {
                let message = "no more".into();
                return Err(StrategyError::Failed { family: "loop", kind: Kind::Guest, message, source: None });
            }
            Ok(LoopStep::proceed(json!(state.iteration)))
        });
        let harness = Harness::new(spec(), breaks, IterationCap(9)).unwrap();
        let failure = harness.run(json!("in"), CallCtx::new()).await.unwrap_err();
        assert_eq!((failure.kind(), failure.state.iteration), (Kind::Guest, 2));
        assert_eq!(*failure.state.working_memory, json!(1));
        assert!(failure.to_string().starts_with("iteration 3 failed"), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_deadline_and_a_budget_of_time_end_an_iteration_that_is_under_way() {
    let hangs = || {
        FnLoop::new(|state, _| async move {
            if state.iteration == 1 {
                std::future::pending::<()>().await;
            }
            Ok(LoopStep::proceed(json!("first")))
        })
    };
    let harness = Harness::new(spec(), hangs(), IterationCap(9)).unwrap();
    let ctx = CallCtx::new();
    let (result, ()) = tokio::join!(harness.run(json!(0), ctx.clone()), async { ctx.cancel.cancel() });
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    let late = harness.run(json!(0), CallCtx::new().with_timeout(Duration::from_secs(2))).await.unwrap_err();
    assert_eq!((late.kind(), late.state.iteration), (Kind::Timeout, 1));
    let budget = Budget { time: Some(Duration::from_secs(2)), ..Budget::default() };
    let harness = Harness::new(spec().with_budget(budget), hangs(), IterationCap(9)).unwrap();
    let ended = harness.run(json!(0), CallCtx::new()).await.unwrap();
    assert_eq!((ended.iterations, &ended.output), (1, &json!("first")));
    assert_eq!(ended.ended, Ended::terminated("budget: the budget of 2s time is used up: 2s spent"));
}

#[tokio::test]
async fn an_iteration_that_ends_when_it_is_cancelled_still_counts() {
    let tidy = FnLoop::new(|_, ctx| async move {
        ctx.cancel.cancelled().await;
        Ok(LoopStep::proceed(json!("tidied up")))
    });
    let harness = Harness::new(spec(), tidy, IterationCap(9)).unwrap();
    let ctx = CallCtx::new();
    let (result, ()) = tokio::join!(harness.run(json!(0), ctx.clone()), async { ctx.cancel.cancel() });
    let failure = result.unwrap_err();
    assert_eq!((failure.kind(), failure.state.iteration), (Kind::Cancelled, 1));
    assert_eq!(*failure.state.working_memory, json!("tidied up"));
}

#[tokio::test]
async fn its_events_tell_each_iteration_and_the_end() {
    let bus = EventBus::new();
    let mut heard = bus.subscribe();
    let options = HarnessOptions { buses: vec![bus], ..HarnessOptions::default() };
    let harness = Harness::new(spec().with_budget(tokens(500)), spends(40), IterationCap(2)).unwrap();
    harness.with_options(options).run(json!(0), CallCtx::new()).await.unwrap();
    let events = heard.try_recv_batch(100).unwrap().events;
    let kinds: Vec<&EventKind> = events.iter().map(|event| &event.kind).collect();
    let [started, first, second, finished] = kinds[..] else { panic!("{kinds:?}") };
    assert_eq!(*started, EventKind::HarnessStarted { harness: "count".into(), iteration: 0 });
    assert!(
        matches!(first, EventKind::HarnessIteration { iteration: 1, tokens: 40, remaining_tokens: Some(460), .. }),
        "{first:?}"
    );
    assert!(matches!(second, EventKind::HarnessIteration { iteration: 2, .. }), "{second:?}");
    assert!(
        matches!(finished, EventKind::HarnessFinished { iteration: 2, reason: Some(reason), .. } if reason == "iteration_cap"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn a_dropped_run_says_so_to_those_who_listen() {
    let bus = EventBus::new();
    let mut heard = bus.subscribe();
    let hangs = FnLoop::new(|_, _| std::future::pending());
    let harness = Harness::new(spec(), hangs, IterationCap(2)).unwrap();
    let harness = harness.with_options(HarnessOptions { buses: vec![bus], ..HarnessOptions::default() });
    let mut run = Box::pin(harness.run(json!(0), CallCtx::new()));
    assert!(futures_util::poll!(run.as_mut()).is_pending());
    drop(run);
    let events = heard.try_recv_batch(100).unwrap().events;
    assert!(matches!(events.last().unwrap().kind, EventKind::RunFailed { error: Kind::Cancelled, .. }));
}

#[tokio::test]
async fn it_is_a_callable_that_uses_its_input_and_says_how_it_ended() {
    let harness: BoxedHarness = Harness::new(spec(), count_to(5), IterationCap(3)).unwrap().into();
    conformance::check(&harness, json!(3)).await.unwrap();
    let double = FnCallable::new("double", |n: Value, _| async move { Ok(json!(n.as_u64().unwrap_or(0) * 2)) });
    let pipeline = Pipeline::from(double).then(harness).build().unwrap();
    let done = pipeline.call(json!(2), CallCtx::new()).await.unwrap();
    assert_eq!((&done["output"], &done["ended"]["kind"]), (&json!({"reached": 5}), &json!("done")));
    let ended = pipeline.call(json!(0), CallCtx::new()).await.unwrap();
    assert_eq!(ended["ended"], json!({"kind": "terminated", "reason": "iteration_cap"}));
    assert_eq!(ended["output"], 3);
}

#[tokio::test]
async fn a_callable_is_a_loop_that_is_ended_or_says_that_it_is_done() {
    let grow =
        FnCallable::new("grow", |v: Value, _| async move { Ok(json!(format!("{}!", v.as_str().unwrap_or("")))) });
    let harness = Harness::new(spec(), CallableLoop::new(Arc::new(grow)), IterationCap(2)).unwrap();
    assert_eq!(harness.run(json!("a"), CallCtx::new()).await.unwrap().output, json!("a!!"));
    let says = FnCallable::new("says", |v: Value, _| async move {
        Ok(if v == "go" {
            json!({"kind": "continue", "working_memory": "on"})
        } else {
            json!({"kind": "done", "output": v})
        })
    });
    let harness = Harness::new(spec(), CallableLoop::new(Arc::new(says)), IterationCap(9)).unwrap();
    let outcome = harness.run(json!("go"), CallCtx::new()).await.unwrap();
    assert_eq!((outcome.output, outcome.iterations), (json!("on"), 2));
    let agent = FnCallable::new("agent", |v: Value, _| async move { Ok(json!({"text": v, "input_tokens": 1})) });
    let harness = Harness::new(spec(), CallableLoop::of_agent(Arc::new(agent)), IterationCap(1)).unwrap();
    assert_eq!(harness.run(json!({"a": 1}), CallCtx::new()).await.unwrap().output, json!("{\"a\":1}"));
    let half = FnCallable::new("half", |_, _| async move { Ok(json!({"kind": "done"})) });
    let harness = Harness::new(spec(), CallableLoop::new(Arc::new(half)), IterationCap(1)).unwrap();
    assert_eq!(harness.run(json!(1), CallCtx::new()).await.unwrap_err().kind(), Kind::Contract);
}

#[tokio::test]
async fn each_iteration_has_a_key_of_its_own_and_many_runs_share_one_harness() {
    let keys = FnLoop::new(|state, ctx| async move {
        let mut all = state.working_memory.as_array().cloned().unwrap_or_default();
        all.push(json!(ctx.get::<IdempotencyKey>().unwrap().to_string()));
        Ok(LoopStep::proceed(Value::Array(all)))
    });
    let stop = Any::new().with(Predicate::new("three", |state| state.iteration == 3)).with(IterationCap::default());
    let harness = Harness::new(spec(), keys, stop).unwrap();
    let runs = (0..8).map(|_| harness.run(json!([]), CallCtx::new()));
    let mut all: Vec<Value> = Vec::new();
    for outcome in futures_util::future::join_all(runs).await {
        all.extend(outcome.unwrap().output.as_array().unwrap().clone());
    }
    let mut texts: Vec<String> = all.iter().map(Value::to_string).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 24);
}
