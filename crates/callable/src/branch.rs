//! One of two callables, as a third decides.

use std::fmt;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;

use crate::error::alive;
use crate::{Callable, CallableError, FnCallable};

/// Asks a predicate about the input and calls one of two with it. The predicate is a callable that answers `true` or
/// `false`; its error is the error of the call, never a `false`, and any other answer breaks its contract.
pub struct Branch {
    predicate: Box<dyn Callable>,
    if_true: Box<dyn Callable>,
    if_false: Box<dyn Callable>,
}

impl Branch {
    /// Calls `if_true` or `if_false`, as `predicate` says. See [`predicate`] for one that needs no waiting.
    #[must_use]
    pub fn new(predicate: impl Callable, if_true: impl Callable, if_false: impl Callable) -> Self {
        Self { predicate: Box::new(predicate), if_true: Box::new(if_true), if_false: Box::new(if_false) }
    }
}

/// A closure that only looks at the value, as a predicate for [`Branch`].
#[must_use]
pub fn predicate(label: impl Into<String>, holds: impl Fn(&Value) -> bool + Send + Sync + 'static) -> FnCallable {
    FnCallable::new(label, move |value, _ctx| std::future::ready(Ok(Value::Bool(holds(&value)))))
}

impl Callable for Branch {
    fn label(&self) -> &str {
        "branch"
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(self.label(), &ctx)?;
            let chosen = match self.predicate.call(input.clone(), ctx.clone()).await? {
                Value::Bool(true) => &self.if_true,
                Value::Bool(false) => &self.if_false,
                other => {
                    let message = format!("a predicate answers true or false, not {}", kind_of(&other));
                    return Err(CallableError::Contract { label: self.predicate.label().to_owned(), message });
                }
            };
            alive(self.label(), &ctx)?;
            chosen.call(input, ctx).await
        })
    }
}

/// What sort of value it is; the value itself may be large or private.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branch")
            .field("predicate", &self.predicate.label())
            .field("if_true", &self.if_true.label())
            .field("if_false", &self.if_false.label())
            .finish()
    }
}
