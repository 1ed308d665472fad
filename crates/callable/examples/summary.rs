//! A small pipeline: two looks at a text at once, one of them unreliable, put together in one object.
//!
//! `cargo run -p atomr-agents-callable --example summary`

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atomr_agents_callable::{
    Callable, CallableError, CallableHandle, FnCallable, Pipeline, Retry, RetryPolicy, Timeout,
};
use atomr_agents_core::{CallCtx, Kind, Value};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), CallableError> {
    let trim =
        FnCallable::new("trim", |text: Value, _ctx| async move { Ok(json!(text.as_str().unwrap_or("").trim())) });
    let words = FnCallable::new("words", |text: Value, _ctx| async move {
        Ok(json!(text.as_str().unwrap_or("").split_whitespace().count()))
    });
    let calls = AtomicU32::new(0);
    let unreliable = FnCallable::new("first word", move |text: Value, _ctx| {
        let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = if call < 3 {
            Err(CallableError::failed("first word", Kind::ServerError, std::io::Error::other("busy")))
        } else {
            Ok(json!(text.as_str().unwrap_or("").split_whitespace().next()))
        };
        async move { answer }
    });
    let first = Timeout::new(Retry::new(unreliable, RetryPolicy::default())?, Duration::from_secs(10))?;

    let branches: [(&str, CallableHandle); 2] = [("words", Arc::new(words)), ("first", Arc::new(first))];
    let summary = Pipeline::from(trim).fan_out_with(branches).named("summary").build()?;
    println!("{}", summary.call(json!("  it is what it is "), CallCtx::new()).await?);
    Ok(())
}
