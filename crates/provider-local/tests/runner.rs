//! The adapter over a runner that really generates text: a model of word pairs, small and whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_core::{CallCtx, FinishReason, Kind, Message, ModelEvent, ModelRequest};
use atomr_agents_inference::{InferenceClient, conformance, run};
use atomr_agents_provider_local::LocalRunnerClient;
use atomr_infer_core::{
    ExecuteBatch, FinishReason as Finish, InferenceError, InferenceResult, MessageContent, ModelRunner, RunHandle,
    RuntimeKind, SessionRebuildCause, TokenChunk, TokenUsage, TransportKind,
};
use futures_util::{StreamExt, future::join_all, stream};

const TEXT: &str = "the rain in oslo falls on the roof of the house and the rain in bergen falls on the sea";

/// Which words follow which, and how often; from the last word of the prompt it goes to the likeliest next one.
struct WordPairs {
    follows: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    delay: Duration,
    busy: Arc<AtomicUsize>,
}

impl WordPairs {
    fn new(delay: Duration) -> Self {
        let mut follows: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
        let words: Vec<&str> = TEXT.split(' ').collect();
        for pair in words.windows(2) {
            *follows.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
        }
        Self { follows, delay, busy: Arc::default() }
    }

    fn next(&self, word: &str) -> Option<&'static str> {
        let counts = self.follows.get(word)?;
        counts.iter().max_by_key(|(_, count)| **count).map(|(next, _)| *next)
    }
}

/// One caller at a time is in the runner, also when callers go away in the middle.
struct Alone(Arc<AtomicUsize>);

impl Alone {
    fn enter(busy: &Arc<AtomicUsize>) -> Self {
        assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0, "one caller at a time");
        Self(Arc::clone(busy))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ModelRunner for WordPairs {
    async fn execute(&mut self, batch: ExecuteBatch) -> InferenceResult<RunHandle> {
        let alone = Alone::enter(&self.busy);
        tokio::time::sleep(self.delay).await;
        drop(alone);
        let Some(MessageContent::Text(prompt)) = batch.messages.last().map(|message| &message.content) else {
            return Err(InferenceError::BadRequest { message: "no text".into() });
        };
        match prompt.as_str() {
            "full" => return Err(InferenceError::Backpressure("the engine's queue is full".into())),
            "cut" => return Ok(RunHandle::streaming(stream::iter([Ok(chunk(&batch, "half", None))]).boxed())),
            "poisoned" => {
                let broken = Err(InferenceError::CudaContextPoisoned("device 0".into()));
                return Ok(RunHandle::streaming(stream::iter([Ok(chunk(&batch, "half", None)), broken]).boxed()));
            }
            _ => {}
        }
        let limit = batch.sampling.max_tokens.unwrap_or(8) as usize;
        let mut word = prompt.split(' ').next_back().and_then(|last| self.next(last));
        let mut chunks = Vec::new();
        while let Some(said) = word.filter(|_| chunks.len() < limit) {
            chunks.push(chunk(&batch, &format!("{said} "), None));
            word = self.next(said);
        }
        let finish = if word.is_some() { Finish::Length } else { Finish::Stop };
        chunks.push(chunk(&batch, "", Some(finish)));
        let delay = self.delay;
        let stream = stream::iter(chunks).then(move |chunk| async move {
            tokio::time::sleep(delay).await;
            Ok(chunk)
        });
        Ok(RunHandle::streaming(stream.boxed()))
    }

    async fn rebuild_session(&mut self, _cause: SessionRebuildCause) -> InferenceResult<()> {
        Ok(())
    }

    fn runtime_kind(&self) -> RuntimeKind {
        RuntimeKind::Custom("word-pairs".into())
    }

    fn transport_kind(&self) -> TransportKind {
        TransportKind::LocalGpu
    }
}

/// A piece of an answer; each piece of text tells one more token.
fn chunk(batch: &ExecuteBatch, text: &str, finish_reason: Option<Finish>) -> TokenChunk {
    let usage = match finish_reason {
        None => TokenUsage { output_tokens: 1, ..TokenUsage::default() },
        Some(_) => TokenUsage { input_tokens: batch.estimated_tokens, ..TokenUsage::default() },
    };
    TokenChunk {
        request_id: batch.request_id.clone(),
        text_delta: text.to_owned(),
        tool_call_delta: None,
        usage: Some(usage),
        finish_reason,
    }
}

fn client(delay: Duration) -> LocalRunnerClient {
    LocalRunnerClient::new(Box::new(WordPairs::new(delay)))
}

fn request(text: &str) -> Arc<ModelRequest> {
    Arc::new(ModelRequest::new("word-pairs", vec![Message::user(text)]))
}

#[tokio::test]
async fn a_runner_is_a_client_that_conforms() {
    for text in ["the", "of the sea", "full", "cut", "poisoned"] {
        conformance::check(&client(Duration::ZERO), (*request(text)).clone()).await.unwrap();
    }
}

#[tokio::test]
async fn it_says_what_the_runner_says_piece_by_piece_and_adds_its_usage_up() {
    let client = client(Duration::ZERO).named("pairs");
    let reply = run(&client, request("look at the sea, it is in"), CallCtx::new()).await.unwrap();
    // After "in" both towns are as likely; then it goes round.
    assert_eq!(reply.message.text(), "oslo falls on the rain in oslo falls ");
    assert_eq!((reply.finish, reply.usage.output_tokens), (FinishReason::Length, 8));
    assert!(reply.usage.input_tokens > 1_024 && client.provider() == "pairs");
    let ended = run(&client, request("sea"), CallCtx::new()).await.unwrap();
    assert_eq!((ended.message.text().as_str(), ended.finish), ("", FinishReason::Stop));
    let pieces: Vec<_> = client.stream(request("in"), CallCtx::new()).map(Result::unwrap).collect().await;
    let texts = pieces.iter().filter(|event| matches!(event, ModelEvent::Text(_))).count();
    assert_eq!((pieces.len(), texts), (1 + 8 + 2, 8));
}

#[tokio::test]
async fn a_runners_errors_and_a_missing_end_are_told_as_what_they_are() {
    let client = client(Duration::ZERO);
    for (text, kind) in [("full", Kind::Overloaded), ("cut", Kind::StreamInterrupted), ("poisoned", Kind::ServerError)]
    {
        let error = run(&client, request(text), CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_wait_their_turn_no_longer_than_they_may_and_can_be_cancelled() {
    let client = client(Duration::from_secs(10));
    let replies = join_all((0..5).map(|_| run(&client, request("the"), CallCtx::new()))).await;
    assert!(replies.iter().all(Result::is_ok));
    let late = run(&client, request("the"), CallCtx::new().with_timeout(Duration::from_secs(5))).await;
    assert_eq!(late.unwrap_err().kind(), Kind::Timeout);
    let slow = client.clone().with_idle_timeout(Duration::from_secs(5));
    assert_eq!(run(&slow, request("the"), CallCtx::new()).await.unwrap_err().kind(), Kind::Timeout);
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let (cancelled, ()) = tokio::join!(run(&client, request("the"), ctx), async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        cancel.cancel();
    });
    assert_eq!(cancelled.unwrap_err().kind(), Kind::Cancelled);
}
