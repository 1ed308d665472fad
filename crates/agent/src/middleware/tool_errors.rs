//! Tools that fail, so that the model can go on.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ToolCall};
use atomr_agents_tool::ToolError;

use super::{AgentMiddleware, HookFuture, NextTool, ToolOutcome};

type Tell = Arc<dyn Fn(&ToolCall, &ToolError) -> String + Send + Sync>;

/// Lets the model go on from tool errors that would end the run, and says what it is told of all of them. Cancelling
/// still ends the run.
#[derive(Clone)]
pub struct ToolErrorRecovery {
    tell: Tell,
}

impl ToolErrorRecovery {
    /// Tells the model the error itself.
    #[must_use]
    pub fn new() -> Self {
        Self { tell: Arc::new(|_, error| error.to_string()) }
    }

    /// Tells the model what `tell` makes of the error.
    #[must_use]
    pub fn telling(tell: impl Fn(&ToolCall, &ToolError) -> String + Send + Sync + 'static) -> Self {
        Self { tell: Arc::new(tell) }
    }
}

impl Default for ToolErrorRecovery {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ToolErrorRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToolErrorRecovery")
    }
}

impl AgentMiddleware for ToolErrorRecovery {
    fn wrap_tool<'a>(&'a self, call: ToolCall, ctx: CallCtx, next: NextTool) -> HookFuture<'a, ToolOutcome> {
        Box::pin(async move {
            let outcome: ToolOutcome = next.run(call.clone(), ctx).await?;
            Ok(match outcome {
                Err(error) if !matches!(error, ToolError::Cancelled) => {
                    let source = Some(Arc::new(error.clone()) as _);
                    Err(ToolError::Rejected { message: (self.tell)(&call, &error), source })
                }
                outcome => outcome,
            })
        })
    }
}
