//! The trait.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;

use crate::CallableError;
use crate::error::alive;

/// Everything that can be called with a value.
///
/// A callable may be called many times, also at the same time. It honours `ctx.cancel`: under a context that is
/// cancelled already it answers [`Kind::Cancelled`](atomr_agents_core::Kind::Cancelled) and does nothing; and it never
/// cancels the context it was given. Implementations run [`crate::conformance::check`] in their tests.
pub trait Callable: Send + Sync + 'static {
    /// What errors and reports call it.
    fn label(&self) -> &str;

    /// Calls it.
    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>>;
}

/// A callable to share. It is a callable itself.
pub type CallableHandle = Arc<dyn Callable>;

impl<C: Callable + ?Sized> Callable for Arc<C> {
    fn label(&self) -> &str {
        (**self).label()
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        (**self).call(input, ctx)
    }
}

/// Answers with its input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passthrough;

impl Callable for Passthrough {
    fn label(&self) -> &str {
        "passthrough"
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move { alive(self.label(), &ctx).map(|()| input) })
    }
}
