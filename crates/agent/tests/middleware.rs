//! What stands between the loop and what it does: every hook is called, in its order, and what it changes counts.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_agent::middleware::{
    Logging, NextModel, NextTool, RateLimit, RateLimiter, Redaction, Retry, ToolErrorRecovery, ToolOutcome,
};
use atomr_agents_agent::{AgentBuilder, AgentError, AgentMiddleware, AgentOptions, HookFuture, RunResult};
use atomr_agents_core::{
    AgentContext, CallCtx, Kind, Message, ModelEvent, ModelRequest, Money, Part, ToolCall, ToolReturn, TurnInput, Usage,
};
use atomr_agents_inference::{InferenceError, ModelReply, ModelStream};
use atomr_agents_strategy::{InstructionStrategy, StrategyFuture};
use atomr_agents_testkit::{ScriptedModel, Turn};
use atomr_agents_tokens::{Price, PriceTable};
use atomr_agents_tool::{FnTool, Tool, ToolError, ToolOptions};
use common::{Kept, agent, noting};
use serde_json::json;

/// Writes down the hooks in the order in which they are called.
#[derive(Debug)]
struct Notes(&'static str, Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{} {what}", self.0));
    }

    fn hook(&self, what: &str) -> HookFuture<'static, ()> {
        self.note(what);
        Box::pin(async { Ok(()) })
    }
}

impl AgentMiddleware for Notes {
    fn before_agent<'a>(&'a self, _: &'a mut TurnInput, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("before_agent")
    }

    fn after_agent<'a>(&'a self, _: &'a mut RunResult, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("after_agent")
    }

    fn before_model<'a>(&'a self, _: &'a mut ModelRequest, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("before_model")
    }

    fn after_model<'a>(&'a self, _: &'a mut ModelReply, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("after_model")
    }

    fn before_tool<'a>(&'a self, _: &'a mut ToolCall, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("before_tool")
    }

    fn after_tool<'a>(&'a self, _: &'a ToolCall, _: &'a mut ToolOutcome, _: &'a CallCtx) -> HookFuture<'a, ()> {
        self.hook("after_tool")
    }

    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        Box::pin(async move {
            self.note("model (");
            let reply = next.run(request, ctx).await;
            self.note("model )");
            reply
        })
    }

    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        Box::pin(async move {
            self.note("tool (");
            let outcome = next.run(call, ctx).await;
            self.note("tool )");
            outcome
        })
    }

    fn stream(&self, events: ModelStream, _: &CallCtx) -> ModelStream {
        self.note("stream");
        events
    }
}

fn with(middleware: Vec<Arc<dyn AgentMiddleware>>) -> AgentOptions {
    AgentOptions { middleware, ..AgentOptions::default() }
}

#[tokio::test]
async fn the_first_is_the_outermost() {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let both: Vec<Arc<dyn AgentMiddleware>> =
        vec![Arc::new(Notes("a", Arc::clone(&notes))), Arc::new(Notes("b", Arc::clone(&notes)))];
    let (look, _) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({}))]).text("done");
    let (agent, _) = agent(script, vec![look], with(both));
    agent.run("go", CallCtx::new()).await.unwrap();
    let notes = notes.lock().unwrap().join(", ");
    let model = "a before_model, b before_model, a model (, b model (, b stream, a stream, b model ), a model ), \
                 b after_model, a after_model";
    let tool = "a before_tool, b before_tool, a tool (, b tool (, b tool ), a tool ), b after_tool, a after_tool";
    let whole = format!("a before_agent, b before_agent, {model}, {tool}, {model}, b after_agent, a after_agent");
    assert_eq!(notes, whole);
}

/// Changes everything that can be changed.
#[derive(Debug)]
struct Changes;

impl AgentMiddleware for Changes {
    fn before_agent<'a>(&'a self, turn: &'a mut TurnInput, _: &'a CallCtx) -> HookFuture<'a, ()> {
        turn.history.push(Message::user("earlier"));
        Box::pin(async { Ok(()) })
    }

    fn after_agent<'a>(&'a self, result: &'a mut RunResult, _: &'a CallCtx) -> HookFuture<'a, ()> {
        result.output.push('!');
        Box::pin(async { Ok(()) })
    }

    fn after_model<'a>(&'a self, reply: &'a mut ModelReply, _: &'a CallCtx) -> HookFuture<'a, ()> {
        for part in &mut reply.message.parts {
            if let Part::Text { text } = part {
                *text = text.to_uppercase();
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn before_tool<'a>(&'a self, call: &'a mut ToolCall, _: &'a CallCtx) -> HookFuture<'a, ()> {
        call.raw = r#"{"usd": 2}"#.into();
        Box::pin(async { Ok(()) })
    }

    fn after_tool<'a>(&'a self, _: &'a ToolCall, outcome: &'a mut ToolOutcome, _: &'a CallCtx) -> HookFuture<'a, ()> {
        *outcome = outcome.clone().map(|_| ToolReturn::text("changed"));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn what_hooks_change_counts() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({"usd": 1}))]).text("done");
    let (agent, model) = agent(script, vec![look], with(vec![Arc::new(Changes)]));
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), result.history), ("DONE!", 1));
    assert_eq!(*looked.lock().unwrap(), [json!({"usd": 2})]);
    let second = model.requests().swap_remove(1);
    let asked = &second.messages;
    assert_eq!(asked[0].text(), "earlier");
    let Part::ToolResult { parts, .. } = &asked[3].parts[0] else { panic!("{asked:?}") };
    assert_eq!(parts, &[Part::text("changed")]);
}

#[derive(Debug)]
struct Fails;

impl AgentMiddleware for Fails {
    fn before_tool<'a>(&'a self, _: &'a mut ToolCall, _: &'a CallCtx) -> HookFuture<'a, ()> {
        let (hook, message) = ("Fails.before_tool".into(), "no".into());
        Box::pin(async { Err(AgentError::Middleware { hook, message, source: None }) })
    }
}

#[tokio::test]
async fn a_hook_that_fails_ends_the_run_and_nothing_is_run() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({})), ("look", json!({}))]);
    let (agent, _) = agent(script, vec![look], with(vec![Arc::new(Fails)]));
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Guest, "Fails.before_tool failed: no"));
    assert!(looked.lock().unwrap().is_empty());
    assert_eq!(error.partial.messages.last().unwrap().parts.len(), 2, "every call has an answer");
}

fn broken() -> InferenceError {
    InferenceError::Interrupted { message: "reset".into(), source: None }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_broke_off_in_mid_answer_is_made_again_and_what_it_said_is_void() {
    let script = ScriptedModel::new().turn(Turn::text("half an").then_error(broken())).text("whole");
    let (agent, model) = agent(script, vec![], with(vec![Arc::new(Retry::default())]));
    let (ctx, kept) = Kept::ctx();
    let result = agent.run("go", ctx).await.unwrap();
    assert_eq!((result.output.as_str(), model.requests().len(), result.messages.len()), ("whole", 2, 2));
    assert_eq!(kept.named("model_retried").len(), 1);
    let fatal = ScriptedModel::new().error(InferenceError::Unsupported { provider: "p".into(), message: "m".into() });
    let (agent, model) = common::agent(fatal, vec![], with(vec![Arc::new(Retry::default())]));
    agent.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(model.requests().len(), 1, "what will not pass is not tried again");
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_their_place_and_a_full_queue_is_an_error() {
    let script = || (0..3).fold(ScriptedModel::new(), |script, _| script.text("done"));
    let (agent, _) = agent(script(), vec![], with(vec![Arc::new(RateLimit::new(1, Duration::from_secs(10)))]));
    let started = tokio::time::Instant::now();
    let runs = (0..3).map(|_| agent.run("go", CallCtx::new()));
    assert!(futures_util::future::join_all(runs).await.iter().all(Result::is_ok));
    assert_eq!(started.elapsed().as_secs(), 20);
    let limiter = Arc::new(RateLimiter::new(1, Duration::from_secs(10)).with_max_waiting(0));
    let (agent, _) = common::agent(script(), vec![], with(vec![Arc::new(RateLimit::from(limiter))]));
    agent.run("go", CallCtx::new()).await.unwrap();
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
}

#[tokio::test]
async fn secrets_reach_neither_the_model_nor_a_listener() {
    let leak = FnTool::new("leak", "", json!({"type": "object"}), |_, _| async { Ok(json!("key is s3cret")) });
    let script = ScriptedModel::new().tool_calls([("leak", json!({}))]).text("you said s3cret and 4711");
    let redaction = Redaction::new(["s3cret"], [r"\d{4}"]).unwrap();
    let (agent, model) = agent(script, vec![Arc::new(leak)], with(vec![Arc::new(redaction)]));
    let (ctx, kept) = Kept::ctx();
    let result = agent.run("my key is s3cret", ctx).await.unwrap();
    assert_eq!(result.output, "you said [redacted] and [redacted]");
    let requests = serde_json::to_string(&model.requests()).unwrap();
    assert!(!requests.contains("s3cret") && requests.contains("my key is [redacted]"), "{requests}");
    let events: Vec<String> = kept.all().into_iter().map(|(_, kind)| serde_json::to_string(&kind).unwrap()).collect();
    assert!(events.iter().all(|event| !event.contains("s3cret")), "{events:?}");
}

#[tokio::test]
async fn the_model_can_go_on_from_an_error_that_would_end_the_run() {
    let fatal = || {
        let error = ToolError::Fatal { name: "t".into(), message: "gone".into(), source: Arc::new(broken()) };
        let tool = FnTool::new("t", "", json!({"type": "object"}), move |_, _| {
            let error = error.clone();
            async move { Err(error) }
        });
        vec![Arc::new(tool) as Arc<dyn Tool>]
    };
    let script = || ScriptedModel::new().tool_calls([("t", json!({}))]).text("I see.");
    let (plain, _) = agent(script(), fatal(), AgentOptions::default());
    plain.run("go", CallCtx::new()).await.unwrap_err();
    let telling = ToolErrorRecovery::telling(|call, error| format!("{} is down: {error}", call.name));
    let (recovering, model) = agent(script(), fatal(), with(vec![Arc::new(telling)]));
    assert_eq!(recovering.run("go", CallCtx::new()).await.unwrap().output, "I see.");
    let told = serde_json::to_string(&model.requests()[1].messages[2]).unwrap();
    assert!(told.contains("t is down: t stopped the run: gone"), "{told}");
}

#[tokio::test]
async fn logging_goes_through_and_changes_nothing() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({"usd": 1}))]).text("done");
    let (agent, _) = agent(script, vec![look], with(vec![Arc::new(Logging)]));
    assert_eq!(agent.run("go", CallCtx::new()).await.unwrap().output, "done");
    assert_eq!(looked.lock().unwrap().len(), 1);
}

/// Answers itself where it can, and makes other calls twice.
#[derive(Debug)]
struct Shortcut;

impl AgentMiddleware for Shortcut {
    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        Box::pin(async move {
            if call.raw.contains('1') {
                return Ok(Ok(ToolReturn::text("known")));
            }
            next.run(call.clone(), ctx.clone()).await?.ok();
            next.run(call, ctx).await
        })
    }
}

#[tokio::test]
async fn a_wrap_makes_the_call_never_or_twice() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script =
        ScriptedModel::new().tool_calls([("look", json!({"usd": 1})), ("look", json!({"usd": 2}))]).text("done");
    let (agent, _) = agent(script, vec![look], with(vec![Arc::new(Shortcut)]));
    agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!(*looked.lock().unwrap(), [json!({"usd": 2}), json!({"usd": 2})]);
}

/// Asks twice at once and takes the second answer.
#[derive(Debug)]
struct Hedges;

impl AgentMiddleware for Hedges {
    fn wrap_model<'a>(
        &'a self,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
        next: NextModel,
    ) -> HookFuture<'a, ModelReply> {
        Box::pin(async move {
            let calls = [next.run(Arc::clone(&request), ctx.clone()), next.run(request, ctx)];
            let [first, second] = futures_util::future::join_all(calls).await.try_into().unwrap();
            first?;
            second
        })
    }
}

fn tokens(input: u64) -> Usage {
    Usage { input_tokens: input, ..Usage::default() }
}

#[tokio::test]
async fn two_calls_at_once_are_two_answers_and_both_are_on_the_bill() {
    let script = ScriptedModel::new()
        .turn(Turn::text("one two three").with_usage(tokens(1)))
        .turn(Turn::text("four five six").with_usage(tokens(10)))
        .delay(Duration::from_millis(1));
    let prices = PriceTable::empty().with_price("m", Price::new(1_000_000, 0, 0));
    let options = AgentOptions { prices: Arc::new(prices), ..with(vec![Arc::new(Hedges)]) };
    let (agent, _) = agent(script, vec![], options);
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert!(["one two three", "four five six"].contains(&result.output.as_str()), "{}", result.output);
    assert_eq!((result.usage.input_tokens, result.cost), (11, Some(Money::from_micro_usd(11))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_made_again_is_on_the_bill_as_far_as_it_was_told() {
    let half = Turn::events([ModelEvent::Text("half".into()), ModelEvent::Usage(tokens(100))]).then_error(broken());
    let script = ScriptedModel::new().turn(half).turn(Turn::text("whole").with_usage(tokens(10)));
    let prices = PriceTable::empty().with_price("m", Price::new(1_000_000, 0, 0));
    let options = AgentOptions { prices: Arc::new(prices), ..with(vec![Arc::new(Retry::default())]) };
    let (agent, _) = agent(script, vec![], options);
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), result.usage.input_tokens), ("whole", 110));
    assert_eq!(result.cost, None, "what the provider charges for the half, nobody knows");
}

/// Counts how often a run ends, and leaves nothing of its messages.
#[derive(Debug, Default)]
struct Ends(Mutex<u32>);

impl AgentMiddleware for Ends {
    fn after_agent<'a>(&'a self, result: &'a mut RunResult, _: &'a CallCtx) -> HookFuture<'a, ()> {
        *self.0.lock().unwrap() += 1;
        result.messages.clear();
        result.history = 7;
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn the_end_of_a_run_comes_once_and_its_result_may_be_emptied() {
    let (pay, _) = noting("pay", ToolOptions { requires_approval: true, ..ToolOptions::default() });
    let ends = Arc::new(Ends::default());
    let script = ScriptedModel::new().tool_calls([("pay", json!({}))]).text("done");
    let (agent, _) = agent(script, vec![pay], with(vec![ends.clone()]));
    let pending = agent.run("go", CallCtx::new()).await.unwrap().pending.unwrap();
    assert_eq!(*ends.0.lock().unwrap(), 0, "it has not ended");
    let decisions = [pending.calls()[0].approve()];
    let result = agent.resume(*pending, &decisions, CallCtx::new()).await.unwrap();
    assert_eq!((*ends.0.lock().unwrap(), result.messages.len()), (1, 0));
}

#[derive(Debug)]
struct Panics;

impl AgentMiddleware for Panics {
    fn before_tool<'a>(&'a self, _: &'a mut ToolCall, _: &'a CallCtx) -> HookFuture<'a, ()> {
        panic!("ouch")
    }
}

#[tokio::test]
async fn a_hook_that_panics_is_not_a_cancelled_run() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({}))]);
    let (agent, _) = agent(script, vec![look], with(vec![Arc::new(Panics)]));
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Guest, "{error}");
    assert!(looked.lock().unwrap().is_empty());
}

/// What the run is asked, as an instruction.
struct Echo;

impl InstructionStrategy for Echo {
    fn render<'a>(&'a self, context: &'a AgentContext, _: &'a CallCtx) -> StrategyFuture<'a, String> {
        Box::pin(async { Ok(context.turn.input[0].text()) })
    }
}

#[derive(Debug)]
struct AsksSomethingElse;

impl AgentMiddleware for AsksSomethingElse {
    fn before_agent<'a>(&'a self, turn: &'a mut TurnInput, _: &'a CallCtx) -> HookFuture<'a, ()> {
        turn.input = vec![Message::user("something else")];
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn strategies_see_what_the_hooks_made_of_the_input() {
    let model = Arc::new(ScriptedModel::new().text("done"));
    let agent = AgentBuilder::new(model.clone(), "m")
        .with_instructions(Echo)
        .with_options(with(vec![Arc::new(AsksSomethingElse)]))
        .build()
        .unwrap();
    agent.run("go", CallCtx::new()).await.unwrap();
    let said: Vec<String> = model.requests()[0].messages.iter().map(Message::text).collect();
    assert_eq!(said, ["something else", "something else"]);
}
