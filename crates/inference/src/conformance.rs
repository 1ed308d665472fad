//! What every client must do, as a check that any implementation can run in its tests.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{InferenceClient, InferenceError, ModelStream};

/// How long a client may take to notice that nobody waits any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the call may take that is checked for its deadline.
const DEADLINE: Duration = Duration::from_millis(50);

/// Runs `request` several times and checks the rules of [`InferenceClient`]:
///
/// - the stream ends with exactly one terminal event and yields nothing after it;
/// - every tool call is announced before its pieces, its pieces join to the whole, and it is told whole, under the id and
///   name that it was announced with, before the terminal event;
/// - a context cancelled beforehand yields [`InferenceError::Cancelled`] and nothing else, one whose deadline has passed
///   [`InferenceError::Timeout`] and nothing else;
/// - cancelling, or a deadline, in the middle of the answer ends the stream with a terminal event within five seconds;
/// - a stream that is dropped leaves nothing behind that holds on to the context of the call;
/// - `lower` writes equal requests with equal bytes, and JSON.
///
/// Needs a tokio runtime with its clock.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(client: &dyn InferenceClient, request: ModelRequest) -> Result<(), String> {
    check_at_rest(client, request, || std::future::ready(true)).await
}

/// The same as [`check`], where the test can see more: `at_rest` says, perhaps after waiting a while, whether the other
/// side of the client has nothing more to do. It is asked whenever a call was ended from this side.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_at_rest<F, R>(client: &dyn InferenceClient, request: ModelRequest, at_rest: F) -> Result<(), String>
where
    F: Fn() -> R,
    R: Future<Output = bool>,
{
    if client.provider().is_empty() {
        return Err("provider() is empty".into());
    }
    check_lower(client, &request)?;
    let request = Arc::new(request);
    check_stream(client.stream(Arc::clone(&request), CallCtx::new())).await?;
    check_beforehand(client, &request).await?;
    for ended in [Ended::Cancelled, Ended::Late, Ended::Dropped] {
        check_ended(client, &request, ended).await?;
        if !at_rest().await {
            return Err(format!("a call that {ended} goes on at the other side"));
        }
    }
    Ok(())
}

fn check_lower(client: &dyn InferenceClient, request: &ModelRequest) -> Result<(), String> {
    match (client.lower(request), client.lower(&request.clone())) {
        (Ok(one), Ok(other)) if one.body != other.body => {
            Err("lower writes equal requests with different bytes".into())
        }
        (Ok(one), Ok(_)) => match serde_json::from_slice::<serde::de::IgnoredAny>(&one.body) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("lower writes no JSON: {error}")),
        },
        (Err(_), Err(_)) => Ok(()),
        (one, other) => Err(format!("lower takes a request or does not: {one:?}, {other:?}")),
    }
}

async fn check_stream(mut stream: ModelStream) -> Result<(), String> {
    let mut open: HashMap<u32, (String, String, String)> = HashMap::new();
    let mut finished = false;
    while let Some(event) = stream.next().await {
        if finished {
            return Err(format!("an event after the terminal one: {event:?}"));
        }
        match event {
            Err(_) => finished = true,
            Ok(ModelEvent::Finish { .. }) if open.is_empty() => finished = true,
            Ok(ModelEvent::Finish { .. }) => return Err(format!("calls {:?} were never told whole", open.keys())),
            Ok(ModelEvent::Retrying { .. }) => open.clear(),
            Ok(ModelEvent::ToolCallStarted { index, id, name }) => {
                if open.insert(index, (id, name, String::new())).is_some() {
                    return Err(format!("call {index} was announced twice"));
                }
            }
            Ok(ModelEvent::ToolCallDelta { index, arguments }) => match open.get_mut(&index) {
                Some((_, _, joined)) => joined.push_str(&arguments),
                None => return Err(format!("a piece of call {index}, which is not open")),
            },
            Ok(ModelEvent::ToolCallFinished { index, call }) => match open.remove(&index) {
                Some((id, name, joined)) if (&id, &name, &joined) == (&call.id, &call.name, &call.raw) => {}
                Some(pieces) => return Err(format!("call {index} is {call:?}, but its pieces say {pieces:?}")),
                None => return Err(format!("call {index} was never announced")),
            },
            Ok(_) => {}
        }
    }
    if finished { Ok(()) } else { Err("the stream ended without a terminal event".into()) }
}

/// Nothing is sent for a call that nobody waits for, or that is late already.
async fn check_beforehand(client: &dyn InferenceClient, request: &Arc<ModelRequest>) -> Result<(), String> {
    let cancelled = CallCtx::new();
    cancelled.cancel.cancel();
    let late = CallCtx::new().with_timeout(Duration::ZERO);
    type Is = fn(&InferenceError) -> bool;
    let rows: [(&str, &str, CallCtx, Is); 2] = [
        ("a cancelled context", "Cancelled", cancelled, |error| matches!(error, InferenceError::Cancelled)),
        ("a deadline that has passed", "Timeout", late, |error| matches!(error, InferenceError::Timeout { .. })),
    ];
    for (what, must, ctx, is) in rows {
        let mut stream = client.stream(Arc::clone(request), ctx);
        let first = timeout(PATIENCE, stream.next()).await.map_err(|_| format!("with {what} it hangs"))?;
        match first {
            Some(Err(error)) if is(&error) => {}
            other => return Err(format!("{what} must yield {must} first, not {other:?}")),
        }
        if let Ok(Some(more)) = timeout(PATIENCE, stream.next()).await {
            return Err(format!("with {what} {more:?} comes after {must}"));
        }
    }
    Ok(())
}

/// How a call is ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Cancelled,
    Late,
    Dropped,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ended::Cancelled => "was cancelled",
            Ended::Late => "was late",
            Ended::Dropped => "was dropped",
        })
    }
}

/// Is held by everything that holds the context of the call.
struct Held;

/// Begins a call, ends it after its first event, and looks what stays.
async fn check_ended(client: &dyn InferenceClient, request: &Arc<ModelRequest>, ended: Ended) -> Result<(), String> {
    let mut ctx = CallCtx::new().with(Held);
    let held: Weak<Held> = ctx.get::<Held>().as_ref().map(Arc::downgrade).unwrap_or_default();
    let cancel = ctx.cancel.clone();
    if ended == Ended::Late {
        ctx = ctx.with_timeout(DEADLINE);
    }
    let mut stream = client.stream(Arc::clone(request), ctx);
    let hangs = |_| format!("a call that {ended} hangs");
    // What hangs before its first event hangs only if it goes on hanging once it is ended.
    let mut last = match ended {
        Ended::Late => timeout(DEADLINE + PATIENCE, stream.next()).await.map_err(hangs)?,
        _ => timeout(DEADLINE, stream.next()).await.unwrap_or(Some(Ok(ModelEvent::Text(String::new())))),
    };
    if ended == Ended::Cancelled {
        cancel.cancel();
    }
    if ended != Ended::Dropped {
        let rest = async {
            while let Some(event) = stream.next().await {
                last = Some(event);
            }
        };
        timeout(DEADLINE + PATIENCE, rest).await.map_err(hangs)?;
        if !matches!(last, Some(Err(_) | Ok(ModelEvent::Finish { .. }))) {
            return Err(format!("a call that {ended} ends without a terminal event, with {last:?}"));
        }
    }
    drop(stream);
    let gone = async {
        while held.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, gone).await.map_err(|_| format!("a call that {ended} goes on: something holds its context"))
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
                if let Some(after) = ctx.remaining().filter(Duration::is_zero) {
                    yield Err(InferenceError::Timeout { phase: crate::Phase::Deadline, after });
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

    /// What a client does wrong when it is ended from this side.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        IgnoresCancel,
        IgnoresCancelBeforehand,
        IgnoresDeadline,
        IgnoresDeadlineBeforehand,
        SaysMoreThanCancelled,
        WorksOn,
        LowersAtRandom,
        LowersNoJson,
    }

    /// Says one word and then waits until it is ended.
    struct Waits(Fault, std::sync::atomic::AtomicU8);

    impl InferenceClient for Waits {
        fn provider(&self) -> &str {
            "waits"
        }

        fn stream(&self, _request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
            let fault = self.0;
            if fault == Fault::WorksOn {
                let ctx = ctx.clone();
                let work = async move {
                    std::future::pending::<()>().await;
                    drop(ctx);
                };
                // What no client may do, and what no client of this house can.
                std::mem::forget(Box::pin(work));
            }
            Box::pin(async_stream::stream! {
                let late = ctx.remaining();
                if ctx.cancel.is_cancelled() && fault != Fault::IgnoresCancelBeforehand {
                    yield Err(InferenceError::Cancelled);
                    if fault == Fault::SaysMoreThanCancelled {
                        yield Ok(ModelEvent::Text("more".into()));
                    }
                    return;
                }
                if late.is_some_and(|left| left.is_zero()) && fault != Fault::IgnoresDeadlineBeforehand {
                    yield Err(InferenceError::Timeout { phase: crate::Phase::Deadline, after: Duration::ZERO });
                    return;
                }
                yield Ok(ModelEvent::Text("word".into()));
                let end = tokio::time::sleep(Duration::from_secs(60));
                if fault == Fault::IgnoresDeadline && late.is_some() {
                    std::future::pending::<()>().await;
                }
                // Longer than a client may take to notice that it was cancelled.
                if fault == Fault::IgnoresCancel && late.is_none() {
                    end.await;
                    yield Ok(finish());
                    return;
                }
                tokio::select! {
                    () = ctx.cancel.cancelled() => yield Err(InferenceError::Cancelled),
                    () = tokio::time::sleep(late.unwrap_or(Duration::MAX)) => {
                        yield Err(InferenceError::Timeout { phase: crate::Phase::Deadline, after: Duration::ZERO });
                    }
                    () = end => yield Ok(finish()),
                }
            })
        }

        fn lower(&self, request: &ModelRequest) -> Result<crate::Lowered, InferenceError> {
            let mut lowered = crate::Lowered::neutral("waits", request)?;
            match self.0 {
                Fault::LowersNoJson => lowered.body.truncate(3),
                Fault::LowersAtRandom => {
                    let more = self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    lowered.body = vec![b'1' + more % 2];
                }
                _ => {}
            }
            Ok(lowered)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_let_go_is_named() {
        let verdict = async |fault| {
            let client = Waits(fault, std::sync::atomic::AtomicU8::new(0));
            check(&client, ModelRequest::new("m", vec![])).await
        };
        verdict(Fault::None).await.unwrap();
        for (fault, says) in [
            (Fault::IgnoresCancelBeforehand, "must yield Cancelled first"),
            (Fault::IgnoresDeadlineBeforehand, "must yield Timeout first"),
            (Fault::SaysMoreThanCancelled, "comes after Cancelled"),
            (Fault::IgnoresCancel, "was cancelled hangs"),
            (Fault::IgnoresDeadline, "was late hangs"),
            (Fault::WorksOn, "something holds its context"),
            (Fault::LowersAtRandom, "different bytes"),
            (Fault::LowersNoJson, "no JSON"),
        ] {
            let said = verdict(fault).await.unwrap_err();
            assert!(said.contains(says), "{said} should say {says}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_test_may_look_at_the_other_side() {
        let client = Waits(Fault::None, std::sync::atomic::AtomicU8::new(0));
        let said =
            check_at_rest(&client, ModelRequest::new("m", vec![]), || std::future::ready(false)).await.unwrap_err();
        assert!(said.contains("goes on at the other side"), "{said}");
    }
}
