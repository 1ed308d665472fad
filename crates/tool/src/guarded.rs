//! A tool that needs more permissions than it says itself.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::ToolSpec;

use crate::{Grants, Invocation, PermissionSpec, ReconcileFuture, Tool, ToolFuture, ToolMeta, ToolOptions};

/// A tool that needs permissions besides its own, for example those of the set that it belongs to. A call that lacks
/// one is refused with [`crate::ToolError::Denied`] and never reaches the tool, also where it is invoked without
/// [`crate::execute`].
pub struct GuardedTool {
    tool: Arc<dyn Tool>,
    meta: ToolMeta,
}

impl GuardedTool {
    /// The tool, which now needs `permissions` and its own.
    #[must_use]
    pub fn new(tool: Arc<dyn Tool>, permissions: &PermissionSpec) -> Self {
        let mut meta = tool.meta().clone();
        meta.permissions = meta.permissions.and(permissions);
        Self { tool, meta }
    }

    /// The tool that is guarded.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn Tool> {
        &self.tool
    }
}

// A method that the trait gains later must be forwarded, or the guard would change how the tool runs.
#[deny(clippy::missing_trait_methods)]
impl Tool for GuardedTool {
    fn spec(&self) -> &Arc<ToolSpec> {
        self.tool.spec()
    }

    fn options(&self) -> ToolOptions {
        self.tool.options()
    }

    fn meta(&self) -> &ToolMeta {
        &self.meta
    }

    fn invoke(&self, invocation: Invocation) -> ToolFuture<'_> {
        let grants = Grants::of(&invocation.ctx);
        match grants.check(&self.spec().name, &self.meta.permissions, &invocation.arguments) {
            Ok(()) => self.tool.invoke(invocation),
            Err(denied) => Box::pin(std::future::ready(Err(denied))),
        }
    }

    fn reconcile(&self, invocation: Invocation) -> ReconcileFuture<'_> {
        self.tool.reconcile(invocation)
    }
}

impl fmt::Debug for GuardedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuardedTool({} needs {})", self.spec().name, self.meta.permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FnTool, ToolDescriptor, ToolError, Toolbox, execute};
    use atomr_agents_core::{CallCtx, Kind, ToolCall, ToolReturn};
    use semver::Version;
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn reader(runs: &Arc<AtomicU32>, permissions: &[&str]) -> Arc<dyn Tool> {
        let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
        let descriptor = ToolDescriptor::new("read", "Reads.", schema)
            .with_version(Version::new(1, 0, 0))
            .with_permissions(&PermissionSpec::new(permissions).unwrap())
            .with_tags(["files"]);
        let runs = Arc::clone(runs);
        let tool = FnTool::described(descriptor, move |_, _| {
            runs.fetch_add(1, Ordering::Relaxed);
            async { Ok(json!("text")) }
        });
        Arc::new(tool.with_options(ToolOptions { retries: 3, ..ToolOptions::default() }))
    }

    fn call(path: &str) -> ToolCall {
        ToolCall::new("c", "read", json!({"path": path}).to_string())
    }

    #[tokio::test]
    async fn a_call_that_is_not_granted_never_reaches_the_tool_and_is_not_retried() {
        let runs = Arc::new(AtomicU32::new(0));
        for guard in [false, true] {
            // Said by the tool itself, and by a guard around it.
            let tool: Arc<dyn Tool> = match guard {
                false => reader(&runs, &["fs.read:{path}"]),
                true => {
                    Arc::new(GuardedTool::new(reader(&runs, &[]), &PermissionSpec::new(["fs.read:{path}"]).unwrap()))
                }
            };
            let toolbox = Toolbox::new([tool]).unwrap();
            let ctx = Grants::new(["fs.read:/data/**"]).unwrap().enter(&CallCtx::new());
            for (ctx, path) in [(&CallCtx::new(), "/data/a"), (&ctx, "/etc/a")] {
                let error = execute(&toolbox, &call(path), ctx).await.result.unwrap_err();
                assert_eq!((error.kind(), error.ends_the_run()), (Kind::Denied, false));
                let ToolError::Denied { name, missing } = error else { panic!("{error}") };
                assert_eq!((name.as_str(), missing), ("read", vec![format!("fs.read:{path}")]));
            }
            assert_eq!(runs.swap(0, Ordering::Relaxed), 0);
            assert_eq!(execute(&toolbox, &call("/data/a"), &ctx).await.result.unwrap(), ToolReturn::text("text"));
            assert_eq!(runs.swap(0, Ordering::Relaxed), 1);
        }
    }

    #[tokio::test]
    async fn the_guard_holds_also_without_execute() {
        let runs = Arc::new(AtomicU32::new(0));
        let guarded = GuardedTool::new(reader(&runs, &[]), &PermissionSpec::new(["fs"]).unwrap());
        let invocation = Invocation { call: call("/a"), arguments: json!({"path": "/a"}), ctx: CallCtx::new() };
        let error = guarded.invoke(invocation).await.unwrap_err();
        assert_eq!(error.to_string(), "read is not allowed: it lacks the permission fs");
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn everything_else_is_that_of_the_tool() {
        let inner = reader(&Arc::default(), &["fs.read:{path}"]);
        let guarded = GuardedTool::new(Arc::clone(&inner), &PermissionSpec::new(["set"]).unwrap());
        assert!(Arc::ptr_eq(guarded.spec(), inner.spec()));
        assert_eq!(guarded.options(), inner.options());
        let mut meta = inner.meta().clone();
        meta.permissions = PermissionSpec::new(["fs.read:{path}", "set"]).unwrap();
        assert_eq!(guarded.meta(), &meta);
    }
}
