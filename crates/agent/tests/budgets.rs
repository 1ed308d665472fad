//! One budget for a run and all its children (first 6).
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents_agent::{AgentBuilder, AgentError, AgentOptions};
use atomr_agents_core::{
    Budget, BudgetExceeded, CallCtx, EventKind, Kind, Meter, ModelEvent, Money, Resource, Sampling, Usage,
};
use atomr_agents_testkit::{ScriptedModel, Turn};
use atomr_agents_tokens::{Price, PriceTable};
use atomr_agents_tool::ToolOptions;
use common::{Kept, agent, named, noting};
use serde_json::json;

fn used(input: u64, output: u64) -> Usage {
    Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
}

fn at_most(max_tokens: u32) -> Sampling {
    Sampling { max_tokens: Some(max_tokens), ..Sampling::default() }
}

fn exceeded(error: AgentError) -> BudgetExceeded {
    match error {
        AgentError::Budget(exceeded) => exceeded,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_hundred_children_at_once_never_use_more_than_the_cap_and_the_overrun_of_calls_in_flight() {
    // Each call may write 100 tokens and writes 110: the provider overruns.
    let (overrun, calls) = (10, 100);
    let meter = Meter::new(Budget { tokens: Some(5_000), ..Budget::default() });
    let ctx = CallCtx::new().with_meter(meter.clone());
    let mut model = ScriptedModel::new();
    for _ in 0..calls {
        model = model.turn(Turn::text("a b c").with_usage(used(20, 110)));
    }
    model = model.delay(Duration::from_millis(1));
    let options = AgentOptions { sampling: at_most(100), ..AgentOptions::default() };
    let (child, _) = agent(model, vec![], options);
    let runs = (0..calls).map(|_| child.run("Say something.", ctx.clone()));
    let outcomes = futures_util::future::join_all(runs).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(exceeded(error.error).resource, Resource::Tokens);
    }
    let spent = meter.spent();
    assert_eq!((spent.tokens, spent.iterations), (done * 130, done));
    assert!(done > 30 && spent.tokens <= 5_000 + overrun * calls, "{spent:?}");
    assert_eq!(meter.reserved().tokens, 0);
}

#[tokio::test]
async fn the_answer_is_limited_to_what_is_left() {
    let budget = Budget { tokens: Some(1_200), ..Budget::default() };
    let (look, _) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new()
        .turn(Turn::tool_calls([("look", json!({}))]).with_usage(used(300, 500)))
        .turn(Turn::text("short").with_usage(used(100, 50)));
    let options = AgentOptions { budget, sampling: at_most(600), ..AgentOptions::default() };
    let (agent, model) = agent(script, vec![look], options);
    let (ctx, kept) = Kept::ctx();
    agent.run("go", ctx).await.unwrap();
    let limits: Vec<u32> = model.requests().iter().map(|request| request.sampling.max_tokens.unwrap()).collect();
    assert_eq!(limits[0], 600);
    assert!(limits[1] < 300, "{limits:?}");
    let spent = kept.named("budget_spent");
    assert_eq!(spent[0], EventKind::BudgetSpent { tokens: 800, cost: None });
    let EventKind::BudgetReserved { tokens: 400, .. } = kept.named("budget_reserved")[1] else {
        panic!("{:?}", kept.all())
    };
}

#[tokio::test]
async fn money_is_reserved_at_the_models_own_maximum_and_unknown_prices_are_an_error() {
    let cent = Budget { cost: Some(Money::from_micro_usd(10_000)), ..Budget::default() };
    let model = |script| AgentBuilder::new(Arc::new(script), "gpt-4o-mini");
    let script = ScriptedModel::new().turn(Turn::text("x").with_usage(used(10, 10)));
    let with = |budget| AgentOptions { budget, ..AgentOptions::default() };
    let (ctx, kept) = Kept::ctx();
    model(script).with_options(with(cent)).build().unwrap().run("hi", ctx).await.unwrap();
    // 16,384 tokens of output at $0.60 a million, and the prompt.
    let EventKind::BudgetReserved { cost: Some(cost), .. } = kept.named("budget_reserved")[0] else { panic!() };
    assert!((9_830..10_000).contains(&cost.micro_usd()), "{cost}");

    let own = PriceTable::empty().with_price("m", Price::new(1_000_000, 1_000_000, 1_000_000));
    let options = AgentOptions { prices: Arc::new(own), sampling: at_most(50_000), ..with(cent) };
    let (limited, asked) = agent(ScriptedModel::new().text("x"), vec![], options);
    limited.run("hi", CallCtx::new()).await.unwrap();
    let limit = asked.requests()[0].sampling.max_tokens.unwrap();
    assert!((9_000..10_000).contains(&limit), "{limit}");

    let (unknown, _) = agent(ScriptedModel::new().text("x"), vec![], with(cent));
    let error = unknown.run("hi", CallCtx::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("price of m"), "{error}");
    let tokens = Budget { tokens: Some(1_000), ..Budget::default() };
    let (unknown, _) = agent(ScriptedModel::new().text("x"), vec![], with(tokens));
    let error = unknown.run("hi", CallCtx::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("max_tokens"), "{error}");
}

#[tokio::test]
async fn model_calls_and_tool_calls_are_counted() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = || ScriptedModel::new().tool_calls([("look", json!({})), ("look", json!({}))]).text("done");
    let with = |budget| AgentOptions { budget, ..AgentOptions::default() };
    let once = Budget { tool_calls: Some(1), ..Budget::default() };
    let (limited, _) = agent(script(), vec![look.clone()], with(once));
    let error = limited.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the budget of 1 tool_calls is used up: 0 spent, 2 needed");
    assert!(looked.lock().unwrap().is_empty(), "none of them was run");
    assert_eq!(error.partial.messages.len(), 3, "and each has an answer");
    let once = Budget { iterations: Some(1), ..Budget::default() };
    let (limited, _) = agent(script(), vec![look], with(once));
    let error = limited.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(exceeded(error.error).resource, Resource::Iterations);
}

#[tokio::test]
async fn a_child_draws_on_the_outer_budget_and_has_one_of_its_own() {
    let child_budget = Budget { iterations: Some(1), ..Budget::default() };
    let (look, _) = noting("look", ToolOptions::default());
    let child = AgentOptions { budget: child_budget, ..common::named("child") };
    let (child, _) = agent(ScriptedModel::new().tool_calls([("look", json!({}))]).text("x"), vec![look], child);
    let script = ScriptedModel::new().tool_calls([("child", json!({"task": "go"}))]).text("done");
    let budget = Budget { iterations: Some(3), ..Budget::default() };
    let (outer, model) =
        agent(script, vec![Arc::new(child.as_tool(""))], AgentOptions { budget, ..AgentOptions::default() });
    assert_eq!(outer.run("go", CallCtx::new()).await.unwrap().output, "done");
    let told = serde_json::to_string(&model.requests()[1].messages[2]).unwrap();
    assert!(told.contains("the budget of 1 iterations is used up"), "{told}");
}

#[tokio::test]
async fn wall_time_ends_the_run_at_once_and_says_that_it_was_the_budget() {
    let script = ScriptedModel::new().text("late").delay(Duration::from_secs(60));
    let budget = Budget { time: Some(Duration::from_millis(100)), ..Budget::default() };
    let (agent, _) = agent(script, vec![], AgentOptions { budget, ..AgentOptions::default() });
    let started = Instant::now();
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    let over = started.elapsed();
    assert_eq!(error.to_string(), "the budget of 100ms time is used up: 100ms spent");
    // Ten times the promise (50 ms): the figure itself is a benchmark's.
    assert!(over < Duration::from_millis(600), "{over:?}");
}

#[tokio::test]
async fn a_call_that_never_was_answered_costs_nothing_and_one_that_broke_off_is_counted() {
    let budget = Budget { tokens: Some(10_000), ..Budget::default() };
    let spent = |script: ScriptedModel| async move {
        let meter = Meter::new(budget);
        let options = AgentOptions { sampling: at_most(100), ..AgentOptions::default() };
        let (agent, _) = agent(script, vec![], options);
        agent.run("go", CallCtx::new().with_meter(meter.clone())).await.unwrap_err();
        assert_eq!(meter.reserved().tokens, 0);
        meter.spent()
    };
    let refused = atomr_agents_inference::InferenceError::Interrupted { message: "reset".into(), source: None };
    assert_eq!(spent(ScriptedModel::new().error(refused.clone())).await.tokens, 0);
    let broken = ScriptedModel::new().turn(Turn::text("half of an answer").then_error(refused));
    assert!(spent(broken).await.tokens > 4);
}

#[tokio::test]
async fn a_run_that_is_taken_up_again_has_used_what_it_used() {
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let (pay, paid) = noting("pay", asks);
    let budget = Budget { tokens: Some(1_200), tool_calls: Some(1), iterations: Some(2), ..Budget::default() };
    let script = ScriptedModel::new()
        .turn(Turn::tool_calls([("pay", json!({}))]).with_usage(used(300, 500)))
        .turn(Turn::tool_calls([("pay", json!({}))]).with_usage(used(100, 50)));
    let options = AgentOptions { budget, sampling: at_most(600), ..AgentOptions::default() };
    let (agent, model) = agent(script, vec![pay], options);
    let pending = agent.run("go", CallCtx::new()).await.unwrap().pending.unwrap();
    let decisions = [pending.calls()[0].approve()];
    let error = agent.resume(*pending, &decisions, CallCtx::new()).await.unwrap_err();
    // The one call that was allowed ran when it was approved; it was not counted when it was put away.
    assert_eq!((paid.lock().unwrap().len(), exceeded(error.error).resource), (1, Resource::ToolCalls));
    let limit = model.requests()[1].sampling.max_tokens.unwrap();
    assert!(limit < 400, "800 of 1200 tokens are gone, {limit}");
}

#[tokio::test]
async fn what_is_dropped_in_mid_answer_is_counted_and_nothing_stays_set_aside() {
    // A tool that gives up on an agent, again and again, must not be a way around the budget.
    let script = ScriptedModel::new().text("words and words and words").repeat().delay(Duration::from_millis(20));
    let options = AgentOptions { sampling: at_most(100), ..named("child") };
    let (child, _) = agent(script, vec![], options);
    let meter = Meter::new(Budget { tokens: Some(10_000), ..Budget::default() });
    let mut spent = 0;
    for _ in 0..2 {
        let (ctx, kept) = Kept::ctx();
        let mut run = Box::pin(child.run("go", ctx.with_meter(meter.clone())));
        while kept.named("text_delta").is_empty() {
            tokio::select! {
                _ = &mut run => panic!("it ended"),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
        drop(run);
        assert_eq!(meter.reserved(), Default::default());
        assert!(meter.spent().tokens > spent, "{:?}", meter.spent());
        spent = meter.spent().tokens;
        assert_eq!(kept.all().last().unwrap().1.name(), "run_failed");
    }
    assert_eq!(meter.spent().iterations, 2);
}

#[tokio::test]
async fn an_answer_costs_what_the_model_costs_that_gave_it() {
    let price = |usd| Price::new(usd, usd, usd);
    let prices = PriceTable::empty().with_price("m", price(1_000_000)).with_price("dear", price(9_000_000));
    let answered = ModelEvent::Started { id: None, model: Some("dear".into()) };
    let finish = ModelEvent::Finish { reason: atomr_agents_core::FinishReason::Stop, raw: "stop".into() };
    let script = ScriptedModel::new().events([
        answered,
        ModelEvent::Text("done".into()),
        ModelEvent::Usage(used(50, 50)),
        finish,
    ]);
    let budget = Budget { cost: Some(Money::from_micro_usd(1_000_000)), ..Budget::default() };
    let options = AgentOptions { budget, prices: Arc::new(prices), sampling: at_most(100), ..AgentOptions::default() };
    let (agent, _) = agent(script, vec![], options);
    let meter = Meter::new(Budget::default());
    let result = agent.run("go", CallCtx::new().with_meter(meter.clone())).await.unwrap();
    assert_eq!(result.cost, Some(Money::from_micro_usd(900)));
    assert_eq!(meter.spent().cost, Money::from_micro_usd(900), "on the budget as on the bill");
}

#[tokio::test]
async fn waiting_for_others_ends_at_the_deadline() {
    let meter = Meter::new(Budget { tokens: Some(500), ..Budget::default() });
    let all = atomr_agents_core::Amount { tokens: 400, ..Default::default() };
    let held = meter.reserve(all).unwrap();
    let options = AgentOptions { sampling: at_most(300), ..AgentOptions::default() };
    let (agent, model) = agent(ScriptedModel::new().text("x"), vec![], options);
    let ctx = CallCtx::new().with_meter(meter).with_timeout(Duration::from_millis(50));
    agent.run("go", ctx).await.unwrap_err();
    assert!(model.requests().is_empty());
    drop(held);
}
