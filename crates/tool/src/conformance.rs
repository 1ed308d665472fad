//! What every tool must do, as a check that any implementation can run in its tests.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, ToolCall};

use crate::{Grants, Permission, Tool, ToolError, Toolbox, execute};

/// Checks that the tool can be offered to a model, that it succeeds with `good` arguments, that arguments that are
/// no JSON object never reach it, that it tells the same spec and metadata each time, that a cancelled call ends, and
/// that a tool that needs permissions is refused where nothing is granted. It is run with all that it asks for granted.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(tool: Arc<dyn Tool>, good: &str) -> Result<(), String> {
    let name = tool.spec().name.clone();
    let before = (Arc::clone(tool.spec()), tool.meta().clone());
    let toolbox = Toolbox::new([Arc::clone(&tool)]).map_err(|error| error.to_string())?;
    let checked = toolbox.find(&name).map_err(|error| error.to_string())?;
    checked.compile().map_err(|error| error.to_string())?;
    let call = |raw: &str| ToolCall::new("conformance", name.clone(), raw);
    let granted = Grants::new(before.1.permissions.iter().map(Permission::name)).map_err(|error| error.to_string())?;
    let granted = granted.enter(&CallCtx::new());
    if let Err(error) = execute(&toolbox, &call(good), &granted).await.result {
        return Err(format!("{name} fails with arguments {good}: {error}"));
    }
    if !before.1.permissions.is_empty() {
        match execute(&toolbox, &call(good), &CallCtx::new()).await.result {
            Err(ToolError::Denied { .. }) => {}
            other => return Err(format!("{name} was run although its permissions are not granted: {other:?}")),
        }
    }
    match execute(&toolbox, &call("[]"), &granted).await.result {
        Err(ToolError::InvalidArguments { .. }) => {}
        other => return Err(format!("{name} was run with arguments that are no object: {other:?}")),
    }
    let ctx = granted.scoped();
    ctx.cancel.cancel();
    match execute(&toolbox, &call(good), &ctx).await.result {
        Err(ToolError::Cancelled) => {}
        other => return Err(format!("{name} was run although its context was cancelled: {other:?}")),
    }
    if (tool.spec(), tool.meta()) != (&before.0, &before.1) {
        return Err(format!("{name} changed its spec or its metadata"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnTool;
    use serde_json::json;

    #[tokio::test]
    async fn accepts_a_good_tool_and_names_a_fault() {
        let tool = |name: &str, ok: bool| -> Arc<dyn Tool> {
            Arc::new(FnTool::new(name, "", json!({"type": "object"}), move |_, _| async move {
                if ok { Ok(json!(1)) } else { Err(ToolError::failed("no")) }
            }))
        };
        check(tool("good", true), "{}").await.unwrap();
        assert!(check(tool("bad", false), "{}").await.unwrap_err().contains("no"));
        assert!(check(tool("bad name", true), "{}").await.is_err());
    }
}
