//! Running one call, guarded.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use atomr_agents_core::{CallCtx, EffectClass, ToolCall, ToolReturn};
use futures_util::FutureExt;

use crate::{CheckedTool, Grants, Invocation, ToolError, Toolbox, parse_arguments};

/// How one call went.
#[derive(Debug)]
pub struct Execution {
    /// What the tool gave back, or what went wrong.
    pub result: Result<ToolReturn, ToolError>,
    /// Wall time, all attempts included.
    pub elapsed: Duration,
}

/// Runs one call: finds the tool, reads and checks the arguments, refuses it if a permission is not granted, applies
/// time-out, retries and cancellation, and turns a panic into an error. Never fails otherwise than through [`Execution::result`].
pub async fn execute(toolbox: &Toolbox, call: &ToolCall, ctx: &CallCtx) -> Execution {
    let started = Instant::now();
    let result = run(toolbox, call, ctx).await;
    Execution { result, elapsed: started.elapsed() }
}

async fn run(toolbox: &Toolbox, call: &ToolCall, ctx: &CallCtx) -> Result<ToolReturn, ToolError> {
    let tool = toolbox.find(&call.name)?;
    let arguments = parse_arguments(call)?;
    tool.check(&arguments)?;
    Grants::of(ctx).check(&call.name, &tool.tool().meta().permissions, &arguments)?;
    let _place = tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => return Err(ToolError::Cancelled),
        place = tool.place() => place,
    };
    let once = tool.tool().meta().effect == EffectClass::Once;
    let retries = if once { 0 } else { tool.tool().options().retries };
    let mut attempt = 0;
    loop {
        let invocation = Invocation { call: call.clone(), arguments: arguments.clone(), ctx: ctx.scoped() };
        match attempt_once(tool, invocation).await {
            Err(error) if attempt < retries && may_retry(&error) => attempt += 1,
            result => return result,
        }
    }
}

fn may_retry(error: &ToolError) -> bool {
    matches!(error, ToolError::Failed { .. } | ToolError::Timeout { .. } | ToolError::Panicked { .. })
}

async fn attempt_once(tool: &CheckedTool, invocation: Invocation) -> Result<ToolReturn, ToolError> {
    let tool = tool.tool();
    let name = &tool.spec().name;
    let cancel = invocation.ctx.cancel.clone();
    // Whatever the attempt started below its context ends with the attempt.
    let _end = cancel.clone().drop_guard();
    let work = AssertUnwindSafe(async { tool.invoke(invocation).await }).catch_unwind();
    let limited = async {
        match tool.options().timeout {
            None => Ok(work.await),
            Some(after) => tokio::time::timeout(after, work).await.map_err(|_| after),
        }
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ToolError::Cancelled),
        finished = limited => match finished {
            Err(after) => Err(ToolError::Timeout { name: name.clone(), after }),
            Ok(Err(panic)) => Err(ToolError::Panicked { name: name.clone(), message: panic_text(&*panic) }),
            Ok(Ok(result)) => result,
        },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FnTool, Tool, ToolOptions};
    use atomr_agents_core::Kind;
    use serde_json::{Value, json};
    use std::future::Future;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn toolbox<F, Fut>(options: ToolOptions, body: F) -> Toolbox
    where
        F: Fn(Value, CallCtx) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        let tool = FnTool::new("t", "", json!({"type": "object"}), body).with_options(options);
        Toolbox::new([Arc::new(tool) as Arc<dyn Tool>]).unwrap()
    }

    fn call(name: &str, raw: &str) -> ToolCall {
        ToolCall::new("c", name, raw)
    }

    async fn kind(toolbox: &Toolbox, call: &ToolCall) -> Kind {
        execute(toolbox, call, &CallCtx::new()).await.result.unwrap_err().kind()
    }

    #[tokio::test]
    async fn each_fault_has_its_kind() {
        let good = toolbox(ToolOptions::default(), |_, _| async { Ok(json!("yes")) });
        let run = execute(&good, &call("t", "{}"), &CallCtx::new()).await;
        assert_eq!(run.result.unwrap(), ToolReturn::text("yes"));
        assert_eq!(kind(&good, &call("other", "{}")).await, Kind::UnknownTool);
        assert_eq!(kind(&good, &call("t", "{")).await, Kind::InvalidArguments);
        #[allow(unreachable_code)]
        let panics = toolbox(ToolOptions::default(), |_, _| async { panic!("ouch") as Result<Value, ToolError> });
        let error = execute(&panics, &call("t", "{}"), &CallCtx::new()).await.result.unwrap_err();
        assert_eq!(error.to_string(), "t panicked: ouch");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_cancels_the_work_and_retries_are_counted() {
        let runs = Arc::new(AtomicU32::new(0));
        let ended = Arc::new(AtomicU32::new(0));
        let (counted, ends) = (Arc::clone(&runs), Arc::clone(&ended));
        let options = ToolOptions { timeout: Some(Duration::from_millis(10)), retries: 2, ..ToolOptions::default() };
        let slow = toolbox(options, move |_, ctx| {
            counted.fetch_add(1, Ordering::SeqCst);
            let ends = Arc::clone(&ends);
            async move {
                let _guard = ctx.cancel.clone();
                struct OnDrop(Arc<AtomicU32>);
                impl Drop for OnDrop {
                    fn drop(&mut self) {
                        self.0.fetch_add(1, Ordering::SeqCst);
                    }
                }
                let _end = OnDrop(ends);
                std::future::pending().await
            }
        });
        assert_eq!(kind(&slow, &call("t", "{}")).await, Kind::Timeout);
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_rejected_call_goes_back_to_the_model_at_once() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let picky = toolbox(ToolOptions { retries: 3, ..ToolOptions::default() }, move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err(ToolError::Rejected { message: "a smaller one".into(), source: None }) }
        });
        assert_eq!(kind(&picky, &call("t", "{}")).await, Kind::Tool);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_than_allowed_run_at_once() {
        let running = Arc::new(AtomicU32::new(0));
        let most = Arc::new(AtomicU32::new(0));
        let (now, seen) = (Arc::clone(&running), Arc::clone(&most));
        let options = ToolOptions { max_concurrency: 3, ..ToolOptions::default() };
        let narrow = toolbox(options, move |_, _| {
            let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
            async move {
                seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(json!("done"))
            }
        });
        let (ctx, call) = (CallCtx::new(), call("t", "{}"));
        let all = (0..10).map(|_| execute(&narrow, &call, &ctx));
        assert!(futures_util::future::join_all(all).await.iter().all(|run| run.result.is_ok()));
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn cancelling_the_context_ends_the_call() {
        let stuck = toolbox(ToolOptions::default(), |_, _| std::future::pending());
        let ctx = CallCtx::new();
        ctx.cancel.cancel();
        assert_eq!(execute(&stuck, &call("t", "{}"), &ctx).await.result.unwrap_err().kind(), Kind::Cancelled);
    }
}
