//! Others, when the first fails.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Kind, Value};
use futures_util::future::BoxFuture;

use crate::error::alive;
use crate::{Callable, CallableError, CallableHandle};

/// Calls the primary, and after an error the alternates in turn, each with the same input, until one succeeds. When
/// none does, the last one's error is given back. Being cancelled is no reason to try another.
pub struct Fallbacks {
    primary: CallableHandle,
    alternates: Vec<CallableHandle>,
}

impl Fallbacks {
    /// Calls `primary`, and these when it fails.
    #[must_use]
    pub fn new(primary: impl Callable, alternates: Vec<CallableHandle>) -> Self {
        Self { primary: Arc::new(primary), alternates }
    }
}

impl Callable for Fallbacks {
    fn label(&self) -> &str {
        self.primary.label()
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(self.label(), &ctx)?;
            let mut answer = self.primary.call(input.clone(), ctx.clone()).await;
            for alternate in &self.alternates {
                match &answer {
                    Err(error) if error.kind() != Kind::Cancelled => {}
                    _ => break,
                }
                alive(alternate.label(), &ctx)?;
                answer = alternate.call(input.clone(), ctx.clone()).await;
            }
            answer
        })
    }
}

impl fmt::Debug for Fallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(std::iter::once(&self.primary).chain(&self.alternates).map(|one| one.label())).finish()
    }
}
