//! What every client must do, as a check that any implementation can run in its tests.

use std::collections::HashMap;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest};
use futures_util::StreamExt;

use crate::{InferenceClient, InferenceError};

/// Runs `request` and checks the rules of [`InferenceClient::stream`]: the stream ends with exactly one terminal
/// event and yields nothing after it; every tool call is announced before its pieces, its pieces join to the
/// whole, and it is told whole before the terminal event; a context cancelled beforehand yields
/// [`InferenceError::Cancelled`] and nothing else.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(client: &dyn InferenceClient, request: ModelRequest) -> Result<(), String> {
    let request = Arc::new(request);
    check_stream(client, Arc::clone(&request)).await?;
    let ctx = CallCtx::new();
    ctx.cancel.cancel();
    let mut stream = client.stream(request, ctx);
    match stream.next().await {
        Some(Err(InferenceError::Cancelled)) => Ok(()),
        other => Err(format!("a cancelled context must yield Cancelled first, not {other:?}")),
    }
}

async fn check_stream(client: &dyn InferenceClient, request: Arc<ModelRequest>) -> Result<(), String> {
    if client.provider().is_empty() {
        return Err("provider() is empty".into());
    }
    let mut open: HashMap<u32, (String, String)> = HashMap::new();
    let mut finished = false;
    let mut stream = client.stream(request, CallCtx::new());
    while let Some(event) = stream.next().await {
        if finished {
            return Err(format!("an event after the terminal one: {event:?}"));
        }
        match event {
            Err(_) => finished = true,
            Ok(ModelEvent::Finish { .. }) if open.is_empty() => finished = true,
            Ok(ModelEvent::Finish { .. }) => return Err(format!("calls {:?} were never told whole", open.keys())),
            Ok(ModelEvent::Retrying { .. }) => open.clear(),
            Ok(ModelEvent::ToolCallStarted { index, name, .. }) => {
                if open.insert(index, (name, String::new())).is_some() {
                    return Err(format!("call {index} was announced twice"));
                }
            }
            Ok(ModelEvent::ToolCallDelta { index, arguments }) => match open.get_mut(&index) {
                Some((_, joined)) => joined.push_str(&arguments),
                None => return Err(format!("a piece of call {index}, which is not open")),
            },
            Ok(ModelEvent::ToolCallFinished { index, call }) => match open.remove(&index) {
                Some((name, joined)) if name == call.name && joined == call.raw => {}
                Some(pieces) => return Err(format!("call {index} is {call:?}, but its pieces say {pieces:?}")),
                None => return Err(format!("call {index} was never announced")),
            },
            Ok(_) => {}
        }
    }
    if finished { Ok(()) } else { Err("the stream ended without a terminal event".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelStream;
    use atomr_agents_core::{FinishReason, ToolCall};

    struct Script(Vec<ModelEvent>);

    impl InferenceClient for Script {
        fn provider(&self) -> &str {
            "script"
        }

        fn stream(&self, _request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
            let events = self.0.clone();
            Box::pin(async_stream::stream! {
                if ctx.cancel.is_cancelled() {
                    yield Err(InferenceError::Cancelled);
                    return;
                }
                for event in events {
                    yield Ok(event);
                }
            })
        }
    }

    async fn verdict(events: Vec<ModelEvent>) -> Result<(), String> {
        check(&Script(events), ModelRequest::new("m", vec![])).await
    }

    fn finish() -> ModelEvent {
        ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".into() }
    }

    #[tokio::test]
    async fn accepts_a_good_client_and_names_each_fault() {
        let started = || ModelEvent::ToolCallStarted { index: 0, id: "1".into(), name: "a".into() };
        let delta = || ModelEvent::ToolCallDelta { index: 0, arguments: "{}".into() };
        let whole = |raw: &str| ModelEvent::ToolCallFinished { index: 0, call: ToolCall::new("1", "a", raw) };
        verdict(vec![started(), delta(), whole("{}"), finish()]).await.unwrap();
        for (events, fault) in [
            (vec![], "without a terminal"),
            (vec![finish(), finish()], "after the terminal"),
            (vec![delta(), finish()], "not open"),
            (vec![whole("{}"), finish()], "never announced"),
            (vec![started(), finish()], "never told whole"),
            (vec![started(), started(), finish()], "twice"),
            (vec![started(), whole("{}"), finish()], "pieces say"),
        ] {
            let said = verdict(events).await.unwrap_err();
            assert!(said.contains(fault), "{said} should say {fault}");
        }
    }
}
