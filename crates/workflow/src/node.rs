//! A step of a graph.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_callable::RetryPolicy;
use atomr_agents_core::Value;
use atomr_agents_state::StateView;
use futures_util::future::BoxFuture;

use crate::{CachePolicy, NodeCtx, NodeError, Update};

/// What a step is given.
#[derive(Debug)]
pub struct NodeCall {
    /// The state as it was when the super-step began. Making it and dropping it costs nothing, however much it holds.
    pub state: StateView,
    /// What the step was sent ([`crate::Target::send`]).
    pub input: Option<Arc<Value>>,
    /// Interrupts, effects, time, and the context of the call.
    pub ctx: NodeCtx,
}

/// A step of a graph. It may run many times, also at the same time.
///
/// After a crash, or when its suspended frame was given up, a step that had not ended is run again from its beginning: what
/// must not happen twice goes through [`NodeCtx::effect`], and time and chance come from the context.
pub trait Node: Send + Sync + 'static {
    /// Runs it. Dropping the future ends it.
    fn run(&self, call: NodeCall) -> BoxFuture<'_, Result<Update, NodeError>>;
}

impl<F, Fut> Node for F
where
    F: Fn(NodeCall) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Update, NodeError>> + Send + 'static,
{
    fn run(&self, call: NodeCall) -> BoxFuture<'_, Result<Update, NodeError>> {
        Box::pin(self(call))
    }
}

/// Where a step may send the run by its own answer ([`Update::goto`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destinations {
    /// Nowhere: it follows its edges.
    #[default]
    Edges,
    /// To these steps, or [`crate::END`].
    To(Vec<String>),
    /// Anywhere.
    Any,
}

/// Whether a step that failed is tried again after this error.
pub type RetryWhen = Arc<dyn Fn(&NodeError) -> bool + Send + Sync>;

/// How a step is run.
#[derive(Clone, Default)]
pub struct NodeOptions {
    /// The channels that it writes, where that is known: two steps of one super-step that write the same last-write-wins
    /// channel are then found before anything runs. A declared step that writes another channel breaks its contract.
    pub writes: Option<Vec<String>>,
    /// Where it may send the run by its own answer.
    pub goes: Destinations,
    /// How often it is tried again after an error that may pass ([`atomr_agents_core::Kind::retryable`]). `None` for never.
    pub retry: Option<RetryPolicy>,
    /// Which errors may pass, instead of those whose kind says so.
    pub retry_when: Option<RetryWhen>,
    /// How long its answers are kept for equal inputs. `None` for not at all.
    pub cache: Option<CachePolicy>,
    /// The longest that one attempt may take, waits for answers to interrupts excepted. `None` for no limit.
    pub timeout: Option<Duration>,
    /// The longest that one attempt may go without a sign of life: an effect that begins or ends, [`NodeCtx::progress`],
    /// [`NodeCtx::write`]. `None` for no limit.
    pub idle_timeout: Option<Duration>,
    /// What its author calls this version of it: a change of it makes another graph ([`crate::Graph::version`]).
    pub version: String,
    /// What it is called in drawings: `node`, unless said otherwise.
    pub kind: Option<&'static str>,
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions")
            .field("writes", &self.writes)
            .field("goes", &self.goes)
            .field("retry", &self.retry)
            .field("cache", &self.cache)
            .field("timeout", &self.timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("version", &self.version)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
