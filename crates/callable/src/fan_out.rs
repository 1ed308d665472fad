//! Several callables at once on the same input.

use std::collections::HashSet;
use std::fmt;
use std::panic::AssertUnwindSafe;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde_json::Map;

use crate::error::alive;
use crate::{Callable, CallableError, CallableHandle};

/// Several callables at once on the same input: the answer is an object of theirs, keyed by name, in the order in which
/// the branches were given.
///
/// The first error is the answer, and the other branches are dropped and their contexts cancelled before it is given;
/// the same holds when the call itself is dropped. Branches are driven by the task that awaits the call: they wait at
/// the same time but compute in turns.
#[derive(Clone)]
pub struct FanOut {
    branches: Vec<(String, CallableHandle)>,
}

impl FanOut {
    /// A fan-out into these branches. The names extend the path of the context.
    ///
    /// # Errors
    /// [`CallableError::Invalid`] for a name used twice.
    pub fn new<N: Into<String>>(
        branches: impl IntoIterator<Item = (N, CallableHandle)>,
    ) -> Result<Self, CallableError> {
        let branches: Vec<_> = branches.into_iter().map(|(name, callable)| (name.into(), callable)).collect();
        let mut seen = HashSet::new();
        match branches.iter().find(|(name, _)| !seen.insert(name)) {
            None => Ok(Self { branches }),
            Some((name, _)) => Err(CallableError::Invalid {
                setting: "branches",
                message: format!("the name `{name}` is used twice; each branch needs its own"),
            }),
        }
    }
}

impl Callable for FanOut {
    fn label(&self) -> &str {
        "fan_out"
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            alive(self.label(), &ctx)?;
            // Everything below hangs on a token of its own, cancelled unless all goes well.
            let mut group = ctx.clone();
            group.cancel = ctx.cancel.child_token();
            let guard = group.cancel.clone().drop_guard();
            let mut running: FuturesUnordered<_> = self
                .branches
                .iter()
                .enumerate()
                .map(|(at, (name, callable))| {
                    let (input, ctx) = (input.clone(), group.child(name));
                    AssertUnwindSafe(async move { callable.call(input, ctx).await })
                        .catch_unwind()
                        .map(move |done| (at, done.unwrap_or_else(|panic| Err(CallableError::panicked(name, panic)))))
                })
                .collect();
            let mut answers = vec![Value::Null; self.branches.len()];
            while let Some((at, answer)) = running.next().await {
                answers[at] = answer?;
            }
            guard.disarm();
            let names = self.branches.iter().map(|(name, _)| name.clone());
            Ok(Value::Object(names.zip(answers).collect::<Map<_, _>>()))
        })
    }
}

impl fmt::Debug for FanOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.branches.iter().map(|(name, _)| name)).finish()
    }
}
