//! What a cached client promises, with a scripted model behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_cache::{
    CacheError, CacheLimits, CachedClient, CachedTurn, InMemoryLlmCache, LlmCache, Question, Tenant,
};
use atomr_agents_core::{
    CallCtx, Citation, EventKind, EventSink, FinishReason, Kind, Message, ModelEvent, ModelRequest, ToolCall, Usage,
    Value,
};
use atomr_agents_inference::{InferenceClient, InferenceError, ModelReply, conformance, run};
use atomr_agents_testkit::{ScriptedModel, Turn};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};

fn request(text: &str) -> Arc<ModelRequest> {
    Arc::new(ModelRequest::new("m", vec![Message::user(text)]))
}

fn cached(model: &ScriptedModel) -> CachedClient {
    CachedClient::new(Arc::new(model.clone()), Arc::new(InMemoryLlmCache::default()))
}

async fn ask(client: &CachedClient, text: &str) -> Result<ModelReply, InferenceError> {
    run(client, request(text), CallCtx::new()).await
}

async fn events(client: &dyn InferenceClient, text: &str) -> Vec<ModelEvent> {
    client.stream(request(text), CallCtx::new()).map(Result::unwrap).collect().await
}

#[derive(Default)]
struct Heard(Mutex<Vec<EventKind>>);

impl EventSink for Heard {
    fn emit(&self, _ctx: &CallCtx, kind: EventKind) {
        self.0.lock().unwrap().push(kind);
    }

    fn listening(&self) -> bool {
        true
    }
}

fn finish(reason: FinishReason) -> ModelEvent {
    ModelEvent::Finish { reason, raw: "end".into() }
}

#[tokio::test]
async fn a_cached_client_conforms_the_first_time_and_from_the_cache() {
    let calls = [("add", serde_json::json!({"a": 1})), ("é", serde_json::json!({"ü": "日本"}))];
    for model in [
        ScriptedModel::new().text("one two"),
        ScriptedModel::new().tool_calls(calls),
        ScriptedModel::new().error(InferenceError::Cancelled),
        ScriptedModel::new()
            .turn(Turn::text("half").then_error(InferenceError::Interrupted { message: "cut".into(), source: None })),
    ] {
        let client = cached(&model);
        for _ in 0..2 {
            conformance::check(&client, (*request("hi")).clone()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_hit_is_the_same_stream_and_is_announced() {
    let call = ToolCall::new("c1", "add", "{\"a\":1}");
    let said = vec![
        ModelEvent::Started { id: Some("r1".into()), model: Some("m-1".into()) },
        ModelEvent::Thinking("hm".into()),
        ModelEvent::ThinkingSignature("proof".into()),
        ModelEvent::Text("a".into()),
        ModelEvent::Text("b".into()),
        ModelEvent::Citation(Citation::default()),
        ModelEvent::Opaque(Value::from(1)),
        ModelEvent::ToolCallStarted { index: 0, id: "c1".into(), name: "add".into() },
        ModelEvent::ToolCallDelta { index: 0, arguments: "{\"a\":".into() },
        ModelEvent::ToolCallDelta { index: 0, arguments: "1}".into() },
        ModelEvent::ToolCallFinished { index: 0, call },
        ModelEvent::Usage(Usage { input_tokens: 7, ..Usage::default() }),
        finish(FinishReason::ToolCalls),
    ];
    let model = ScriptedModel::new().events(said.clone());
    let client = cached(&model);
    assert_eq!(events(&client, "hi").await, said);
    let heard = Arc::new(Heard::default());
    let ctx = CallCtx::new().with_sink(heard.clone());
    let again: Vec<_> = client.stream(request("hi"), ctx).map(Result::unwrap).collect().await;
    assert_eq!(again, said);
    assert_eq!(*heard.0.lock().unwrap(), [EventKind::CacheHit { cache: "memory".into() }]);
    assert_eq!(model.requests().len(), 1);
    let free = run(&client.without_usage(), request("hi"), CallCtx::new()).await.unwrap();
    assert_eq!((free.usage, free.message.text().as_str()), (Usage::default(), "ab"));
}

#[tokio::test]
async fn what_was_void_is_not_told_again() {
    let retrying = ModelEvent::Retrying { attempt: 2, wait: Duration::ZERO, reason: "reset".into() };
    let kept = [ModelEvent::Text("kept".into()), finish(FinishReason::Stop)];
    let told = [ModelEvent::Text("void".into()), retrying].into_iter().chain(kept.clone());
    let client = cached(&ScriptedModel::new().events(told));
    assert_eq!(events(&client, "hi").await.len(), 4);
    assert_eq!(events(&client, "hi").await, kept);
}

#[tokio::test]
async fn only_finished_answers_are_kept() {
    let text = || ModelEvent::Text("a".into());
    let other = ModelEvent::Alternative { choice: 1, event: Box::new(text()) };
    for turn in [
        Turn::events([text(), finish(FinishReason::Length)]),
        Turn::events([text(), finish(FinishReason::ContentFilter)]),
        Turn::events([text(), finish(FinishReason::Other)]),
        Turn::events([ModelEvent::Refusal("no".into()), finish(FinishReason::Stop)]),
        Turn::events([ModelEvent::AnsweredBy("another".into()), text(), finish(FinishReason::Stop)]),
        Turn::events([other, text(), finish(FinishReason::Stop)]),
        Turn::events([text()]),
        Turn::text("half").then_error(InferenceError::Interrupted { message: "cut".into(), source: None }),
        Turn::error(InferenceError::Cancelled),
    ] {
        let name = format!("{turn:?}");
        let model = ScriptedModel::new().turn(turn).text("whole");
        let client = cached(&model);
        let _ = ask(&client, "hi").await;
        assert_eq!(ask(&client, "hi").await.unwrap().message.text(), "whole", "{name}");
        assert_eq!(ask(&client, "hi").await.unwrap().message.text(), "whole", "{name}");
        assert_eq!(model.requests().len(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_requests_at_once_make_one_call() {
    let model = ScriptedModel::new().text("one two three").delay(Duration::from_secs(1));
    let client = cached(&model);
    let replies = join_all((0..100).map(|_| ask(&client, "hi"))).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().message.text() == "one two three"));
    assert_eq!(model.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_fails_or_goes_away_does_not_poison_the_others() {
    let model = ScriptedModel::new()
        .error(InferenceError::Interrupted { message: "reset".into(), source: None })
        .text("two")
        .text("three")
        .delay(Duration::from_secs(1));
    let client = cached(&model);
    let (first, second, third) = tokio::join!(ask(&client, "hi"), ask(&client, "hi"), ask(&client, "hi"));
    assert_eq!(first.unwrap_err().kind(), Kind::StreamInterrupted);
    let mut texts = [second.unwrap().message.text(), third.unwrap().message.text()];
    texts.sort();
    assert_eq!((texts, model.requests().len()), (["three".to_owned(), "two".to_owned()], 3));

    // The first is dropped in mid-answer: one of the others begins anew, the rest wait for that one.
    let model = ScriptedModel::new().text("gone").text("here").delay(Duration::from_secs(1));
    let client = cached(&model);
    let dropped = async {
        let mut stream = client.stream(request("hi"), CallCtx::new());
        stream.next().await;
    };
    let others = async { join_all((0..20).map(|_| ask(&client, "hi"))).await };
    let ((), replies) = tokio::join!(dropped, others);
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().message.text() == "here"));
    assert_eq!(model.requests().len(), 2);

    // The first one's own deadline and its cancellation are its own affair as well.
    for cut_short in [false, true] {
        let model = ScriptedModel::new().text("gone").text("here").delay(Duration::from_secs(1));
        let client = cached(&model);
        let ctx = CallCtx::new();
        let cancel = ctx.cancel.clone();
        let (first, second, ()) = tokio::join!(run(&client, request("hi"), ctx), ask(&client, "hi"), async {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            if cut_short {
                cancel.cancel();
            }
        });
        assert_eq!(first.is_err(), cut_short);
        assert_eq!(second.unwrap().message.text(), if cut_short { "here" } else { "gone" });
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_can_be_cancelled_and_waits_no_longer_than_it_may() {
    let model = ScriptedModel::new().text("a").text("b").delay(Duration::from_secs(1_000));
    let client = cached(&model);
    let leader = ask(&client, "hi");
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let late = CallCtx::new().with_timeout(Duration::from_secs(1_000_000));
    let followers = async {
        let cancelled = tokio::join!(run(&client, request("hi"), ctx), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        });
        assert_eq!(cancelled.0.unwrap_err().kind(), Kind::Cancelled);
        // After a minute it makes its own call.
        assert_eq!(run(&client, request("hi"), late).await.unwrap().message.text(), "b");
    };
    let (leader, ()) = tokio::join!(leader, followers);
    assert_eq!((leader.unwrap().message.text().as_str(), model.requests().len()), ("a", 2));
}

/// A store that fails, or hangs.
struct Broken {
    hangs: bool,
    asked: AtomicUsize,
}

impl LlmCache for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn get<'a>(&'a self, _question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let error = CacheError::Store { cache: "broken".into(), message: "disk full".into(), source: None };
        Box::pin(async move { if self.hangs { std::future::pending().await } else { Err(error) } })
    }

    fn put<'a>(&'a self, _question: &'a Question, _turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>> {
        let error = CacheError::Damaged { cache: "broken".into(), message: "no".into() };
        Box::pin(async move { if self.hangs { std::future::pending().await } else { Err(error) } })
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fails_or_hangs_is_a_miss() {
    for hangs in [false, true] {
        let model = ScriptedModel::new().text("a").text("b");
        let broken = Arc::new(Broken { hangs, asked: AtomicUsize::new(0) });
        let client = CachedClient::new(Arc::new(model), broken.clone());
        assert_eq!(ask(&client, "hi").await.unwrap().message.text(), "a");
        assert_eq!(ask(&client, "hi").await.unwrap().message.text(), "b");
        assert_eq!(broken.asked.load(Ordering::Relaxed), 2);
    }
}

/// P43: 10,000 pairs of equal requests of two tenants share nothing, and neither do requests that are nearly equal.
#[tokio::test]
async fn tenants_share_nothing_and_nearly_equal_is_not_equal() {
    const PAIRS: usize = 10_000;
    let limits = CacheLimits { max_entries: 4 * PAIRS, max_bytes: 1 << 30, ttl: None };
    let cache = InMemoryLlmCache::new(limits);
    let shared: Arc<dyn LlmCache> = Arc::new(cache.clone());
    let client = |tenant: &str| {
        let model = ScriptedModel::new().text(tenant).repeat();
        CachedClient::new(Arc::new(model), Arc::clone(&shared)).for_tenant(tenant)
    };
    let (one, two) = (client("one"), client("two"));
    for number in 0..PAIRS {
        let text = format!("question {}", number.wrapping_mul(0x9E37_79B9));
        for (client, tenant) in [(&one, "one"), (&two, "two")] {
            assert_eq!(ask(client, &text).await.unwrap().message.text(), tenant, "{text}");
        }
    }
    assert_eq!((cache.stats().hits, cache.stats().entries), (0, 2 * PAIRS));
    // The tenant of the context wins over the client's: the first client finds what the second one stored.
    let ctx = CallCtx::new().with(Tenant("two".into()));
    assert_eq!(run(&one, request("question 0"), ctx).await.unwrap().message.text(), "two");
    assert_eq!(cache.stats().hits, 1);
    let near = "Pay 100 to Ann|Pay 1000 to Ann|Pay 100 to Anna|Do not pay 100 to Ann|Pay 100 to Ann.|pay 100 to Ann|\
                Pay 100 to Ann |Pay 100 to Аnn|Pay\u{a0}100 to Ann|Pay 1OO to Ann";
    for text in near.split('|') {
        ask(&one, text).await.unwrap();
    }
    assert_eq!(cache.stats().hits, 1);
}

#[tokio::test]
async fn scopes_and_providers_are_kept_apart() {
    let shared: Arc<dyn LlmCache> = Arc::new(InMemoryLlmCache::default());
    let client = |says: &str, provider: &str| {
        CachedClient::new(Arc::new(ScriptedModel::new().text(says).repeat().named(provider)), Arc::clone(&shared))
    };
    let clients = [
        client("a", "p").in_scope("https://one.example"),
        client("b", "p").in_scope("https://two.example"),
        client("c", "q").in_scope("https://one.example"),
    ];
    for _ in 0..2 {
        for (client, says) in clients.iter().zip(["a", "b", "c"]) {
            assert_eq!(ask(client, "hi").await.unwrap().message.text(), says);
        }
    }
}
