//! Promises that only the whole stack can keep: agents, tools, budgets, real connections, tracers, caches and cassettes
//! together. `docs/promises.md` names these tests.
// Helpers of tests fail as tests do, and the figures are to be seen with `--no-capture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod canary;
mod cancel;
mod siblings;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atomr_agents::tool::{FnTool, Tool, ToolError, ToolOptions};
use serde_json::{Value, json};
use tokio::runtime::Handle;

/// How many tool calls began, and how many are running.
#[derive(Clone, Default)]
pub(crate) struct Live {
    began: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
}

pub(crate) struct Guard(Arc<AtomicUsize>);

impl Live {
    pub(crate) fn enter(&self) -> Guard {
        self.began.fetch_add(1, Ordering::SeqCst);
        self.now.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.now))
    }

    pub(crate) fn began(&self) -> usize {
        self.began.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A tool that sleeps for as many microseconds as it is told and then says them.
pub(crate) fn sleeper(name: &str, live: &Live, options: ToolOptions) -> Arc<dyn Tool> {
    let live = live.clone();
    let parameters = json!({"type": "object", "properties": {"us": {"type": "integer"}}});
    let tool = FnTool::new(name, "Sleeps.", parameters, move |arguments: Value, _| {
        let guard = live.enter();
        async move {
            let _guard = guard;
            tokio::time::sleep(Duration::from_micros(arguments["us"].as_u64().unwrap_or(0))).await;
            Ok::<_, ToolError>(arguments["us"].clone())
        }
    });
    Arc::new(tool.with_options(options))
}

/// Numbers that look random and are the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until it is so; false after ten seconds, which is longer than anything here may take.
pub(crate) async fn soon(mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    true
}
