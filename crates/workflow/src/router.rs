//! What decides where a run goes.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_state::StateView;
use futures_util::future::BoxFuture;

use crate::{NodeError, Target};

type Quick = dyn Fn(&StateView) -> Vec<Target> + Send + Sync;
type Slow = dyn Fn(StateView, CallCtx) -> BoxFuture<'static, Result<Vec<Target>, NodeError>> + Send + Sync;

/// A question that is asked after a step: it looks at the state, with what the super-step wrote, and says where the run
/// goes. It changes nothing, and after a crash it may be asked again.
///
/// ```
/// use atomr_agents_workflow::{END, Router, Target};
///
/// let router = Router::new(|state| match state.get::<u64>("count") {
///     Ok(count) if count < 3 => vec![Target::to("count")],
///     _ => vec![Target::end()],
/// });
/// # let _ = router;
/// ```
#[derive(Clone)]
pub struct Router(pub(crate) Asked);

#[derive(Clone)]
pub(crate) enum Asked {
    Quick(Arc<Quick>),
    Slow(Arc<Slow>),
}

impl Router {
    /// A router that only looks at the state.
    #[must_use]
    pub fn new(route: impl Fn(&StateView) -> Vec<Target> + Send + Sync + 'static) -> Self {
        Self(Asked::Quick(Arc::new(route)))
    }

    /// A router that may wait, or fail: one that is written in another language, say.
    #[must_use]
    pub fn waiting<F, Fut>(route: F) -> Self
    where
        F: Fn(StateView, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Target>, NodeError>> + Send + 'static,
    {
        Self(Asked::Slow(Arc::new(move |state, ctx| Box::pin(route(state, ctx)))))
    }

    pub(crate) async fn ask(&self, state: &StateView, ctx: &CallCtx) -> Result<Vec<Target>, NodeError> {
        match &self.0 {
            Asked::Quick(route) => Ok(route(state)),
            Asked::Slow(route) => route(state.clone(), ctx.clone()).await,
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Router")
    }
}
