//! However a run ends, what was done by then is there, nothing runs on, and whoever listens is told.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_agent::{Agent, AgentBuilder, AgentError, AgentOptions};
use atomr_agents_callable::{Callable, Pipeline};
use atomr_agents_core::{
    AgentContext, CallCtx, EventKind, Kind, Message, ModelRequest, Money, OutputSchema, Part, Usage, Value,
};
use atomr_agents_inference::{ApiError, InferenceClient, InferenceError, ModelStream, Phase};
use atomr_agents_observability::EventBus;
use atomr_agents_strategy::{MemoryChunk, MemoryStrategy, StaticTools, StrategyFuture};
use atomr_agents_testkit::{ScriptedModel, Turn};
use atomr_agents_tokens::{Price, PriceTable};
use atomr_agents_tool::{FnTool, Tool, ToolError};
use serde_json::json;

fn tool<F, Fut>(name: &str, body: F) -> Arc<dyn Tool>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, ToolError>> + Send + 'static,
{
    Arc::new(FnTool::new(name, "", json!({"type": "object"}), move |_, _| body()))
}

fn never(live: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    struct Leaves(Arc<AtomicUsize>);
    impl Drop for Leaves {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let live = Arc::clone(live);
    tool("never", move || {
        live.fetch_add(1, Ordering::SeqCst);
        let leaves = Leaves(Arc::clone(&live));
        async move {
            let _leaves = leaves;
            std::future::pending().await
        }
    })
}

fn agent(model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, options: AgentOptions) -> Agent {
    let builder = AgentBuilder::new(Arc::new(model), "m").with_tools(StaticTools::new(tools).unwrap());
    builder.with_options(options).build().unwrap()
}

fn results(messages: &[Message]) -> Vec<(String, bool)> {
    let of = |part: &Part| match part {
        Part::ToolResult { parts, is_error, .. } => match &parts[..] {
            [Part::Text { text }] => Some((text.clone(), *is_error)),
            other => panic!("{other:?}"),
        },
        _ => None,
    };
    messages.iter().flat_map(|message| &message.parts).filter_map(of).collect()
}

/// What providers insist on: every call is answered, at once and in order.
fn assert_can_be_sent(messages: &[Message]) {
    for (at, message) in messages.iter().enumerate() {
        let asked: Vec<&str> = message.tool_calls().map(|call| call.id.as_str()).collect();
        let answered = messages.get(at + 1).into_iter().flat_map(|next| &next.parts).filter_map(|part| match part {
            Part::ToolResult { call_id, .. } => Some(call_id.as_str()),
            _ => None,
        });
        if !asked.is_empty() {
            assert_eq!(asked, answered.collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn what_a_tool_had_done_is_kept_when_its_sibling_ends_the_run() {
    let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(std::io::Error::other("exit"));
    let stop = tool("stop", move || {
        let error = ToolError::Fatal { name: "stop".into(), message: "exit".into(), source: Arc::clone(&source) };
        async { Err(error) }
    });
    let charge = tool("charge", || async { Ok(json!("charged")) });
    let live = Arc::default();
    let model = ScriptedModel::new().tool_calls([("stop", json!({})), ("charge", json!({})), ("never", json!({}))]);
    let error = agent(model, vec![stop, charge, never(&live)], AgentOptions::default())
        .run("go", CallCtx::new())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), live.load(Ordering::SeqCst)), (Kind::Tool, 0));
    let said = results(&error.partial.messages);
    assert_eq!(said[1], ("charged".to_owned(), false));
    assert!(said[0].1 && said[2].1);
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_any_moment_keeps_the_transcript_and_stops_everything() {
    let live = Arc::new(AtomicUsize::new(0));
    for ms in 0..14 {
        let model = ScriptedModel::new()
            .tool_calls([("quick", json!({})), ("never", json!({}))])
            .delay(Duration::from_millis(1));
        let quick = tool("quick", || async { Ok(json!("quick")) });
        let agent = agent(model, vec![quick, never(&live)], AgentOptions::default());
        let ctx = CallCtx::new();
        let cancel = ctx.cancel.clone();
        let (outcome, ()) = tokio::join!(agent.run("go", ctx), async {
            tokio::time::sleep(Duration::from_micros(ms * 700)).await;
            cancel.cancel();
        });
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), live.load(Ordering::SeqCst)), (Kind::Cancelled, 0), "after {ms} steps");
        assert_eq!(error.partial.messages[0].text(), "go");
        assert_can_be_sent(&error.partial.messages);
        if let [first, second] = &results(&error.partial.messages)[..] {
            assert_eq!((first, second.1), (&("quick".to_owned(), false), true), "after {ms} steps");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_context_ends_the_run() {
    let live = Arc::default();
    let model = ScriptedModel::new().tool_calls([("never", json!({}))]);
    let agent = agent(model, vec![never(&live)], AgentOptions::default());
    let error = agent.run("go", CallCtx::new().with_timeout(Duration::from_secs(3))).await.unwrap_err();
    assert_eq!((error.kind(), live.load(Ordering::SeqCst)), (Kind::Timeout, 0));
}

/// Keeps how much time it was given, and says that it was not enough.
struct Hurried(Mutex<Option<Duration>>);

impl InferenceClient for Hurried {
    fn provider(&self) -> &str {
        "hurried"
    }

    fn stream(&self, _request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        *self.0.lock().unwrap() = ctx.remaining();
        let late = InferenceError::Timeout { phase: Phase::Deadline, after: Duration::ZERO };
        Box::pin(futures_util::stream::iter([Err(late)]))
    }
}

#[tokio::test]
async fn the_model_call_knows_how_much_time_the_run_has() {
    let client = Arc::new(Hurried(Mutex::default()));
    let limit = Duration::from_secs(7);
    let options = AgentOptions { timeout: Some(limit), ..AgentOptions::default() };
    let agent = AgentBuilder::new(client.clone(), "m").with_options(options).build().unwrap();
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    assert!(matches!(error.error, AgentError::Timeout { after } if after == limit), "{error:?}");
    let given = client.0.lock().unwrap().unwrap();
    assert!(given <= limit && given > Duration::from_secs(5), "{given:?}");
}

#[derive(Clone, Default)]
struct CountingMemory(Arc<AtomicUsize>);

impl MemoryStrategy for CountingMemory {
    fn retrieve<'a>(&'a self, _: &'a AgentContext, _: &'a CallCtx) -> StrategyFuture<'a, Vec<MemoryChunk>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn store<'a>(&'a self, _: &'a AgentContext, said: &'a [Message], _: &'a CallCtx) -> StrategyFuture<'a, ()> {
        self.0.fetch_add(said.len(), Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn only_a_run_that_ended_well_is_remembered() {
    for (answer, remembered) in [("{\"n\": 1}", 2), ("none", 0)] {
        let memory = CountingMemory::default();
        let schema = json!({"type": "object", "required": ["n"]});
        let options = AgentOptions {
            output: Some(OutputSchema { name: "n".into(), schema, strict: false }),
            ..AgentOptions::default()
        };
        let model = Arc::new(ScriptedModel::new().text(answer));
        let builder = AgentBuilder::new(model, "m").with_memory(memory.clone()).with_options(options);
        let outcome = builder.build().unwrap().run("go", CallCtx::new()).await;
        assert_eq!((outcome.is_ok(), memory.0.load(Ordering::SeqCst)), (remembered > 0, remembered));
    }
}

#[tokio::test]
async fn a_dropped_run_tells_its_end_to_those_who_listen() {
    let bus = EventBus::new();
    let mut outside = bus.subscribe();
    let options = AgentOptions { buses: vec![bus], ..AgentOptions::default() };
    let live = Arc::default();
    let agent = agent(ScriptedModel::new().tool_calls([("never", json!({}))]), vec![never(&live)], options);
    let mut run = agent.begin("go", CallCtx::new());
    let mut inside = run.subscribe().unwrap();
    tokio::time::timeout(Duration::from_millis(20), &mut run).await.unwrap_err();
    drop(run);
    let told = outside.try_recv_batch(100).unwrap().events;
    let last = &told.last().unwrap().kind;
    assert!(matches!(last, EventKind::RunFailed { error: Kind::Cancelled, .. }), "{last:?}");
    let mut seen = 0;
    while let Some(batch) = inside.recv_batch(100).await {
        seen += batch.events.len();
    }
    assert_eq!(seen, told.len());
}

#[tokio::test]
async fn what_an_answer_that_broke_off_costs_is_unknown() {
    let usage = || Usage { input_tokens: 1_000_000, ..Usage::default() };
    let options = || AgentOptions {
        prices: Arc::new(PriceTable::builtin().with_price("m", Price::new(7, 7, 7))),
        ..AgentOptions::default()
    };
    let whole = Turn::text("whole").with_usage(usage());
    let result = agent(ScriptedModel::new().turn(whole), vec![], options()).run("go", CallCtx::new()).await.unwrap();
    assert_eq!(result.cost, Some(Money::from_micro_usd(7)));
    let broken = || InferenceError::Interrupted { message: "cut".into(), source: None };
    for (turn, cost) in [
        (Turn::text("half").then_error(broken()), None),
        (Turn::error(broken()), Some(Money::default())), // nothing had arrived
    ] {
        let model = ScriptedModel::new().turn(turn);
        let error = agent(model, vec![], options()).run("go", CallCtx::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.partial.cost), (Kind::StreamInterrupted, cost));
    }
}

#[tokio::test]
async fn each_step_of_a_composition_is_a_run_with_an_id_of_its_own() {
    let bus = EventBus::new();
    let mut outside = bus.subscribe();
    let options = AgentOptions { buses: vec![bus], ..AgentOptions::default() };
    let agent = agent(ScriptedModel::new().text("one").text("two"), vec![], options);
    let again = atomr_agents_callable::FnCallable::new("again", |value, _| async move { Ok(value["text"].clone()) });
    let pipeline = Pipeline::from(agent.as_callable()).then(again).then(agent.as_callable()).build().unwrap();
    let ctx = CallCtx::new();
    assert_eq!(pipeline.call(json!("go"), ctx.clone()).await.unwrap()["text"], "two");
    let events = outside.try_recv_batch(1_000).unwrap().events;
    let places: HashSet<_> = events.iter().map(|event| (event.run, event.seq, event.index)).collect();
    assert_eq!(places.len(), events.len(), "no two events have the same place");
    let runs: HashSet<_> = events.iter().map(|event| event.run).collect();
    assert_eq!((runs.len(), runs.contains(&ctx.run)), (2, false));
    assert!(events.iter().all(|event| event.parent == Some(ctx.run)));
}

#[tokio::test]
async fn a_failed_model_call_keeps_its_kind_its_request_id_and_the_transcript() {
    let io = || Arc::new(std::io::Error::other("underneath"));
    let api = |class, status| {
        InferenceError::from(ApiError {
            class: Some(class),
            status,
            message: "said".into(),
            request_id: Some("req_1".into()),
            ..ApiError::default()
        })
    };
    let host = || "example.org:443".to_owned();
    for (error, kind) in [
        (InferenceError::Connect { host: host(), source: io() }, Kind::Connect),
        (InferenceError::Tls { host: host(), source: io() }, Kind::Tls),
        (api(Kind::Authentication, 401), Kind::Authentication),
        (api(Kind::NotFound, 404), Kind::NotFound),
        (api(Kind::RateLimited, 429), Kind::RateLimited),
        (api(Kind::ServerError, 500), Kind::ServerError),
        (api(Kind::ContextTooLong, 400), Kind::ContextTooLong),
        (api(Kind::ContentFilter, 400), Kind::ContentFilter),
        (InferenceError::TooLarge { what: "the arguments".into(), limit: 1 }, Kind::TooLarge),
    ] {
        let has_cause = matches!(kind, Kind::Connect | Kind::Tls);
        let model = ScriptedModel::new().turn(Turn::text("so far ").then_error(error));
        let failed = agent(model, vec![], AgentOptions::default()).run("go", CallCtx::new()).await.unwrap_err();
        let AgentError::Inference(inner) = &failed.error else { panic!("{failed:?}") };
        assert_eq!(failed.kind(), kind);
        assert_eq!(inner.request_id().is_some(), matches!(inner, InferenceError::Api(_)), "{kind}");
        assert_eq!(std::error::Error::source(&failed.error).is_some(), has_cause, "{kind}");
        assert_eq!(failed.partial.messages.last().unwrap().text(), "so far ");
    }
}
