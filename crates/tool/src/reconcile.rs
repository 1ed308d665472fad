//! What a tool knows about a call that was made before.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, ToolReturn};
use futures_util::future::BoxFuture;

use crate::ToolError;

/// What a tool hands to the service that it calls, so that a second attempt of the same call does nothing. It stays the
/// same at every attempt, also in another process. In the context of each call of a run that is kept
/// ([`IdempotencyKey::of`]).
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_tool::IdempotencyKey;
///
/// let ctx = CallCtx::new().with(IdempotencyKey::new("5f2c"));
/// assert_eq!(IdempotencyKey::of(&ctx).as_deref(), Some("5f2c"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// The name of the HTTP header in which services expect it.
    pub const HEADER: &'static str = "Idempotency-Key";

    /// A key of this text.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key of the call that `ctx` belongs to; `None` in a run that is not kept.
    #[must_use]
    pub fn of(ctx: &CallCtx) -> Option<Arc<str>> {
        ctx.get::<Self>().map(|key| Arc::clone(&key.0))
    }
}

/// What a tool found out about a call whose end nobody saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Reconciled {
    /// It happened, and this is what it gave.
    Happened(ToolReturn),
    /// It did not happen: it is made now.
    DidNotHappen,
    /// That cannot be found out: a person must.
    Unknown,
}

/// The future of one [`crate::Tool::reconcile`].
pub type ReconcileFuture<'a> = BoxFuture<'a, Result<Reconciled, ToolError>>;
