//! The trait every tool implements.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, ToolCall, ToolReturn, ToolSpec, Value};
use futures_util::future::BoxFuture;

use crate::{ReconcileFuture, Reconciled, ToolError, ToolMeta};

/// The future of one invocation.
pub type ToolFuture<'a> = BoxFuture<'a, Result<ToolReturn, ToolError>>;

/// Something a model can call.
///
/// Implementations run [`crate::conformance::check`] in their tests.
pub trait Tool: Send + Sync + 'static {
    /// What the model is told. Must not change during the tool's life.
    fn spec(&self) -> &Arc<ToolSpec>;

    /// How it is to be run.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }

    /// What else is known of it: version, permissions, tags. Must not change during the tool's life.
    fn meta(&self) -> &ToolMeta {
        ToolMeta::shared_nothing()
    }

    /// Runs it. The arguments are valid against the spec's schema. Dropping the future cancels the work;
    /// the time-out and the retries of [`ToolOptions`] and the permissions of [`ToolMeta`] are the caller's business
    /// ([`crate::execute`]).
    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_>;

    /// Finds out about a call of a tool whose effect must not happen twice ([`crate::ToolMeta::effect`]) that was begun
    /// before the process ended, so that nobody saw how it went. By its [`crate::IdempotencyKey`], which is the one that
    /// the call had. By default it cannot be found out.
    fn reconcile(&self, invocation: Invocation) -> ReconcileFuture<'_> {
        let _ = invocation;
        Box::pin(std::future::ready(Ok(Reconciled::Unknown)))
    }
}

/// One call of a tool, ready to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The call as the model wrote it.
    pub call: ToolCall,
    /// Its arguments, valid against the schema.
    pub arguments: Value,
    /// The context it runs in.
    pub ctx: CallCtx,
}

/// How a tool is to be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolOptions {
    /// How long one attempt may take; without it, as long as the run may.
    pub timeout: Option<Duration>,
    /// How many times the runtime itself calls the tool again when it fails or times out, before the model is
    /// told. A tool whose effect must not happen twice is not called again. A call that the tool rejected
    /// ([`ToolError::Rejected`]) is not made again.
    pub retries: u32,
    /// Whether somebody must be asked before each call. The run is suspended until then. Default false.
    pub requires_approval: bool,
    /// How many calls of the tool run at once, counted over all agents that hold it; the others wait. 0, the default, is
    /// without a limit.
    pub max_concurrency: u32,
}
