//! The trait every model client implements.

use std::pin::Pin;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest};
use futures_util::{Stream, StreamExt};

use crate::{Capabilities, InferenceError, Lowered, ModelReply, ReplyBuilder};

/// What a client answers with. It ends after [`ModelEvent::Finish`] or after the first error; a stream that
/// ends without either was interrupted. Dropping it stops the work and frees the connection.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent, InferenceError>> + Send>>;

/// A client of one provider (or a stand-in for one).
///
/// Implementations run [`crate::conformance::check`] in their tests.
pub trait InferenceClient: Send + Sync + 'static {
    /// The provider's short name, e.g. `openai`. It marks opaque parts, so that they go back only to their owner.
    fn provider(&self) -> &str;

    /// Begins one call of a model. Nothing is sent before the stream is polled. The client honours
    /// `ctx.cancel` and `ctx.deadline`, and announces its own retries as [`ModelEvent::Retrying`].
    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream;

    /// What `model` can do that a caller must know before it asks.
    fn capabilities(&self, model: &str) -> Capabilities {
        let _ = model;
        Capabilities::default()
    }

    /// The request as the provider will read it. Equal requests give equal bytes.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] for a request that this provider cannot be sent.
    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        Lowered::neutral(self.provider(), request)
    }
}

impl<C: InferenceClient + ?Sized> InferenceClient for Arc<C> {
    fn provider(&self) -> &str {
        (**self).provider()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        (**self).stream(request, ctx)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        (**self).capabilities(model)
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        (**self).lower(request)
    }
}

/// Makes one call and waits for the whole reply.
///
/// # Errors
/// Whatever ended the stream; a stream without a terminal event is [`InferenceError::Interrupted`].
pub async fn run(
    client: &dyn InferenceClient,
    request: Arc<ModelRequest>,
    ctx: CallCtx,
) -> Result<ModelReply, InferenceError> {
    let mut builder = ReplyBuilder::new(client.provider());
    let mut stream = client.stream(request, ctx);
    while let Some(event) = stream.next().await {
        builder.push(event?);
    }
    builder.finish()
}
