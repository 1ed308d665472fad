//! A runner as a model client.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, FinishReason, ModelEvent, ModelRequest, Phase, Usage};
use atomr_agents_inference::{InferenceClient, InferenceError, Lowered, ModelStream};
use atomr_infer_core::{FinishReason as Finish, ModelRunner, TokenUsage};
use futures_util::StreamExt;
use tokio::sync::Mutex;

use crate::classify::from_runner;
use crate::lower::lower;

/// A `ModelRunner` as a model client. Clones share the runner.
///
/// A runner takes one request at a time: others wait for it, as long as their deadline and [`LocalRunnerClient::with_idle_timeout`]
/// let them. Answers stream side by side, as far as the runner does that. Usage is added up over the pieces of an answer, as
/// runners tell it. An answer without a finish reason was interrupted.
#[derive(Clone)]
pub struct LocalRunnerClient {
    runner: Arc<Mutex<Box<dyn ModelRunner>>>,
    name: Arc<str>,
    idle_timeout: Duration,
}

impl LocalRunnerClient {
    /// A client of `runner`, with `local` as its provider.
    pub fn new(runner: Box<dyn ModelRunner>) -> Self {
        Self { runner: Arc::new(Mutex::new(runner)), name: Arc::from("local"), idle_timeout: Duration::from_secs(300) }
    }

    /// The provider it says it is; `local` without another word.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How long the runner may take to be free, to begin, and between two pieces; 5 minutes without another word.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Waits for `work` within the limits of the call.
    async fn within<T>(&self, ctx: &CallCtx, work: impl Future<Output = T>) -> Result<T, InferenceError> {
        let (phase, after) = match ctx.remaining() {
            Some(left) if left <= self.idle_timeout => (Phase::Deadline, left),
            _ => (Phase::Idle, self.idle_timeout),
        };
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(InferenceError::Cancelled),
            done = tokio::time::timeout(after, work) => done.map_err(|_| InferenceError::Timeout { phase, after }),
        }
    }
}

impl InferenceClient for LocalRunnerClient {
    fn provider(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let client = self.clone();
        Box::pin(async_stream::try_stream! {
            if ctx.cancel.is_cancelled() {
                Err(InferenceError::Cancelled)?;
            }
            if ctx.remaining().is_some_and(|left| left.is_zero()) {
                Err(InferenceError::Timeout { phase: Phase::Deadline, after: Duration::ZERO })?;
            }
            let batch = lower(&client.name, ctx.run.to_string(), &request)?;
            // The lock is the runner's turn: its interface lets one caller in at a time.
            let begun = client.within(&ctx, async { client.runner.lock().await.execute(batch).await }).await?;
            let mut chunks = begun.map_err(from_runner)?.into_stream();
            yield ModelEvent::Started { id: None, model: Some(request.model.clone()) };
            let (mut usage, mut finish) = (None, None);
            while let Some(chunk) = client.within(&ctx, chunks.next()).await? {
                let chunk = chunk.map_err(from_runner)?;
                if let Some(data) = chunk.tool_call_delta {
                    yield ModelEvent::Opaque(data);
                }
                if !chunk.text_delta.is_empty() {
                    yield ModelEvent::Text(chunk.text_delta);
                }
                if let Some(more) = chunk.usage {
                    *usage.get_or_insert_with(Usage::default) += &read(more);
                }
                finish = chunk.finish_reason.or(finish);
            }
            let end = ended(&client.name, finish)?;
            if let Some(usage) = usage {
                yield ModelEvent::Usage(usage);
            }
            yield end;
        })
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        lower(&self.name, String::new(), request)?;
        Lowered::neutral(&self.name, request)
    }
}

fn read(usage: TokenUsage) -> Usage {
    let some = |tokens: u32| (tokens > 0).then_some(u64::from(tokens));
    Usage {
        input_tokens: usage.input_tokens.into(),
        output_tokens: usage.output_tokens.into(),
        cached_input_tokens: some(usage.cached_tokens),
        reasoning_tokens: some(usage.reasoning_tokens),
        ..Usage::default()
    }
}

fn ended(provider: &str, finish: Option<Finish>) -> Result<ModelEvent, InferenceError> {
    let (reason, raw) = match finish {
        Some(Finish::Stop) => (FinishReason::Stop, "stop"),
        Some(Finish::Length) => (FinishReason::Length, "length"),
        Some(Finish::ContentFilter) => (FinishReason::ContentFilter, "content_filter"),
        Some(Finish::ToolCalls) => {
            let message = "it asks for tools and was given none".to_owned();
            return Err(InferenceError::Protocol { provider: provider.to_owned(), message, source: None });
        }
        Some(Finish::Error) => {
            return Err(InferenceError::Interrupted { message: "the runner gave up".into(), source: None });
        }
        Some(_) => (FinishReason::Other, "other"),
        None => return Err(InferenceError::Interrupted { message: "no finish reason arrived".into(), source: None }),
    };
    Ok(ModelEvent::Finish { reason, raw: raw.into() })
}

impl fmt::Debug for LocalRunnerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRunnerClient")
            .field("name", &self.name)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}
