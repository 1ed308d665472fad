//! The calls of one answer: what ends one of them early ends all, and nothing is left behind.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents::agent::{AgentTool, Decision, RunError};
use atomr_agents::prelude::*;
use atomr_agents_testkit::ScriptedModel;
use serde_json::{Value, json};

use crate::{Live, Numbers, sleeper, tasks};

fn agent(model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, options: AgentOptions) -> Agent {
    let tools = StaticTools::new(tools).unwrap();
    AgentBuilder::new(Arc::new(model), "m").with_tools(tools).with_options(options).build().unwrap()
}

fn results(messages: &[Message]) -> Vec<Value> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let text = |part: &Part| match part {
        Part::ToolResult { parts, .. } => match &parts[..] {
            [Part::Text { text }] => Some(serde_json::from_str(text).unwrap_or_else(|_| json!(text))),
            _ => None,
        },
        _ => None,
    };
    parts.filter_map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn results_keep_the_order_of_the_calls_in_ten_thousand_orders_of_their_ends() {
    let live = Live::default();
    let mut numbers = Numbers(7);
    for round in 0..10_000 {
        let times: Vec<u64> = (0..6).map(|_| 1_000 * numbers.below(40)).collect();
        let model = ScriptedModel::new().tool_calls(times.iter().map(|us| ("sleep", json!({"us": us})))).text("done");
        let options = AgentOptions { max_parallel_tools: 1 + round % 7, ..AgentOptions::default() };
        let agent = agent(model, vec![sleeper("sleep", &live, ToolOptions::default())], options);
        let result = agent.run("go", CallCtx::new()).await.unwrap();
        assert_eq!(results(&result.messages), times.iter().map(|us| json!(us)).collect::<Vec<_>>(), "round {round}");
    }
    assert_eq!((live.began(), live.now()), (60_000, 0));
}

/// What ends a run in the middle of its tool calls.
#[derive(Clone, Copy, Debug)]
enum End {
    Fatal,
    TimeOut,
    Cancelled,
    Dropped,
}

/// An answer with calls that run, one that waits for its turn, and an agent with calls of its own.
fn busy(live: &Live, end: End) -> Agent {
    let hour = json!({"us": 3_600_000_000_u64});
    let sleep = || sleeper("sleep", live, ToolOptions::default());
    let inner = ScriptedModel::new().tool_calls([("sleep", hour.clone()), ("sleep", hour.clone())]);
    let inner = AgentTool::new(agent(inner, vec![sleep()], AgentOptions::default()), "Asks.").with_name("asks");
    let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(std::io::Error::other("exit"));
    let exit = FnTool::new("exit", "", json!({"type": "object"}), move |_, _| {
        let source = Arc::clone(&source);
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(ToolError::Fatal { name: "exit".into(), message: "exit".into(), source })
        }
    });
    let mut calls = vec![("sleep", hour.clone()), ("asks", json!({"task": "x"})), ("sleep", hour.clone())];
    if matches!(end, End::Fatal) {
        calls.insert(1, ("exit", json!({})));
    }
    calls.push(("sleep", hour));
    let model = ScriptedModel::new().tool_calls(calls);
    let timeout = matches!(end, End::TimeOut).then_some(Duration::from_millis(20));
    let options = AgentOptions { max_parallel_tools: 4, timeout, ..AgentOptions::default() };
    agent(model, vec![sleep(), Arc::new(inner), Arc::new(exit)], options)
}

async fn ended(run: impl Future<Output = Result<RunResult, RunError>>, ctx: CallCtx, end: End) -> Option<Kind> {
    let wait = Duration::from_millis(20);
    match end {
        End::Fatal | End::TimeOut => Some(run.await.unwrap_err().kind()),
        End::Cancelled => {
            let (outcome, ()) = tokio::join!(run, async {
                tokio::time::sleep(wait).await;
                ctx.cancel.cancel();
            });
            Some(outcome.unwrap_err().kind())
        }
        End::Dropped => {
            assert!(tokio::time::timeout(wait, run).await.is_err());
            None
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_a_time_out_cancelling_and_dropping_leave_no_call_and_no_task() {
    for (end, kind) in [
        (End::Fatal, Some(Kind::Tool)),
        (End::TimeOut, Some(Kind::Timeout)),
        (End::Cancelled, Some(Kind::Cancelled)),
        (End::Dropped, None),
    ] {
        let (live, before) = (Live::default(), tasks());
        let (agent, ctx) = (busy(&live, end), CallCtx::new());
        let became = ended(agent.begin("go", ctx.clone()), ctx, end).await;
        assert_eq!(became, kind, "{end:?}");
        // Who awaited the run is told when all is over; a run that is dropped ends with the runtime's next steps.
        for _ in 0..if matches!(end, End::Dropped) { 3 } else { 0 } {
            tokio::task::yield_now().await;
        }
        assert!(live.began() >= 3, "{end:?}: {} calls had begun", live.began());
        assert_eq!((live.now(), tasks()), (0, before), "{end:?}");
        let began = live.began();
        tokio::time::sleep(Duration::from_secs(10_000)).await;
        assert_eq!(live.began(), began, "{end:?}: a call began after the end");
    }
}

#[tokio::test]
async fn what_was_approved_is_what_is_run() {
    let live = Live::default();
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let model = ScriptedModel::new().tool_calls([("pay", json!({"us": 1}))]).text("paid");
    let agent = agent(model, vec![sleeper("pay", &live, asks)], AgentOptions::default());
    let pending = agent.run("go", CallCtx::new()).await.unwrap().pending.unwrap();
    let stored = serde_json::to_string(&*pending).unwrap();
    let other = stored.replace("\\\"us\\\":1", "\\\"us\\\":2");
    assert_ne!(other, stored);
    let decisions: Vec<Decision> = pending.calls().iter().map(|call| call.approve()).collect();
    let changed: atomr_agents::agent::PendingRun = serde_json::from_str(&other).unwrap();
    agent.resume(changed, &decisions, CallCtx::new()).await.unwrap_err();
    assert_eq!(live.began(), 0, "what nobody approved has run");
    agent.resume(*pending, &decisions, CallCtx::new()).await.unwrap();
    assert_eq!(live.began(), 1);
}
