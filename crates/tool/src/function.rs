//! A tool made of a Rust function.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ToolReturn, ToolSpec, Value};
use futures_util::future::BoxFuture;

use crate::{
    IdempotencyKey, Invocation, ReconcileFuture, Reconciled, Tool, ToolDescriptor, ToolError, ToolFuture, ToolMeta,
    ToolOptions,
};

type Body = dyn Fn(Value, CallCtx) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync;
type Finder = dyn Fn(Arc<str>, Value) -> BoxFuture<'static, Result<Reconciled, ToolError>> + Send + Sync;

/// A tool made of a Rust function of its arguments and its context. What it returns is shown to the model: a
/// string as it is, anything else as JSON.
///
/// ```
/// use atomr_agents_tool::{FnTool, Tool};
/// use serde_json::json;
///
/// let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
/// let shout = FnTool::new("shout", "Says it loudly.", parameters, |arguments, _ctx| async move {
///     Ok(json!(arguments["text"].as_str().unwrap_or_default().to_uppercase()))
/// });
/// assert_eq!(shout.spec().name, "shout");
/// ```
pub struct FnTool {
    spec: Arc<ToolSpec>,
    meta: ToolMeta,
    options: ToolOptions,
    body: Box<Body>,
    finder: Option<Box<Finder>>,
}

impl FnTool {
    /// A tool of that name, description and JSON Schema of its arguments.
    pub fn new<F, Fut>(name: &str, description: &str, parameters: Value, body: F) -> Self
    where
        F: Fn(Value, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        Self::described(ToolDescriptor::new(name, description, parameters), body)
    }

    /// The tool that the descriptor tells of.
    pub fn described<F, Fut>(descriptor: ToolDescriptor, body: F) -> Self
    where
        F: Fn(Value, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        Self {
            spec: Arc::new(descriptor.spec()),
            meta: descriptor.meta,
            options: ToolOptions::default(),
            body: Box::new(move |arguments, ctx| Box::pin(body(arguments, ctx))),
            finder: None,
        }
    }

    /// The same tool, with a function that finds out about a call whose end nobody saw ([`Tool::reconcile`]): it gets the
    /// call's idempotency key and its arguments.
    #[must_use]
    pub fn with_reconcile<F, Fut>(mut self, finder: F) -> Self
    where
        F: Fn(Arc<str>, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reconciled, ToolError>> + Send + 'static,
    {
        self.finder = Some(Box::new(move |key, arguments| Box::pin(finder(key, arguments))));
        self
    }

    /// The same tool, run another way.
    #[must_use]
    pub fn with_options(mut self, options: ToolOptions) -> Self {
        self.options = options;
        self
    }
}

impl Tool for FnTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn options(&self) -> ToolOptions {
        self.options
    }

    fn meta(&self) -> &ToolMeta {
        &self.meta
    }

    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_> {
        let work = (self.body)(invocation.arguments, invocation.ctx);
        Box::pin(async move { work.await.map(ToolReturn::json) })
    }

    fn reconcile(&self, invocation: Invocation) -> ReconcileFuture<'_> {
        match (&self.finder, IdempotencyKey::of(&invocation.ctx)) {
            (Some(finder), Some(key)) => finder(key, invocation.arguments),
            _ => Box::pin(std::future::ready(Ok(Reconciled::Unknown))),
        }
    }
}

impl fmt::Debug for FnTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool").field("name", &self.spec.name).field("options", &self.options).finish_non_exhaustive()
    }
}
