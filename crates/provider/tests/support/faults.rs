//! What may go wrong on the way, with the answers of every provider.

use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind, ModelEvent};
use atomr_agents_inference::{InferenceClient, InferenceError, conformance};
use atomr_agents_testkit::{Exchange, Fault, ReplayServer, Reply, Script};
use futures_util::StreamExt;
use serde_json::json;

use super::{answer, answer_within, answered, request, serve};

/// The client keeps the rules of its seam, with each of these answers.
pub async fn assert_conforms<C: InferenceClient>(
    answers: impl IntoIterator<Item = Exchange>,
    client: impl Fn(&ReplayServer) -> C,
) {
    for exchange in answers {
        let name = exchange.name.clone();
        let server = serve(exchange).await;
        let checked = conformance::check(&client(&server), request()).await;
        assert_eq!(checked, Ok(()), "{name}");
        server.stop().await;
    }
}

/// An answer that breaks off is an error wherever that is (every `step` bytes, and where it matters), and is finished only
/// behind `end`.
pub async fn assert_breaking_off_is_an_error<C: InferenceClient>(
    exchange: &Exchange,
    end: &[u8],
    step: usize,
    client: impl Fn(&ReplayServer) -> C,
) {
    let end = exchange.body.windows(end.len()).position(|window| window == end).unwrap();
    let length = exchange.body.len();
    for at in (0..length).step_by(step).chain([end, length - 2]) {
        for fault in [Fault::ResetAt(at), Fault::CleanEndAt(at), Fault::CloseAt(at)] {
            let (builder, _, error) = answered(Reply::new(exchange.clone()).fault(fault), &client).await;
            match error {
                None => assert!(at > end && builder.is_finished(), "{at}"),
                Some(InferenceError::Interrupted { .. }) => assert!(!builder.is_finished(), "{at}"),
                Some(other) => panic!("{at}: {other:?}"),
            }
        }
    }
}

/// An impatient client waits for neither a stalled stream nor stalled headers.
pub async fn assert_stalls_time_out<C: InferenceClient>(
    exchange: &Exchange,
    at: usize,
    impatient: impl Fn(&ReplayServer) -> C,
) {
    for fault in [Fault::StallAt(at), Fault::StallBeforeHeaders] {
        let (_, _, error) = answered(Reply::new(exchange.clone()).fault(fault), &impatient).await;
        assert!(matches!(error, Some(InferenceError::Timeout { .. })), "{error:?}");
    }
}

/// Redirects are refused, so that no key goes where it should not.
pub async fn assert_redirects_are_refused<C: InferenceClient>(exchange: Exchange, client: impl Fn(&ReplayServer) -> C) {
    let elsewhere = serve(Exchange::json(200, &json!({}))).await;
    let (_, _, error) = answered(Reply::new(exchange).fault(Fault::RedirectTo(elsewhere.url())), client).await;
    assert!(error.unwrap().to_string().contains("redirects are not followed"));
    assert!(elsewhere.requests().is_empty());
}

/// However a server quotes the key, each of these is an error that does not show it.
pub async fn assert_quoted_keys_are_hidden<C: InferenceClient>(
    exchanges: impl IntoIterator<Item = Exchange>,
    client: impl Fn(&ReplayServer) -> C,
) {
    for exchange in exchanges {
        let (_, _, error) = answered(exchange, &client).await; // which looks at every error
        assert!(error.is_some());
    }
}

/// An answer that ends with `exchange`'s last byte is told at once, although the connection stays open.
pub async fn assert_the_end_is_not_waited_for<C: InferenceClient>(
    exchange: Exchange,
    text: &str,
    client: impl Fn(&ReplayServer) -> C,
) {
    let stalls = Fault::StallAt(exchange.body.len());
    let answer = answered(Reply::new(exchange).fault(stalls), client);
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
    let (builder, _, error) = answer.expect("the idle time-out of 60 s is not waited for");
    assert!(error.is_none(), "{error:?}");
    assert_eq!(builder.finish().unwrap().message.text(), text);
}

/// A wait for 30 s that does not fit into the time left is told at once by a client that would try again.
pub async fn assert_a_long_wait_is_told_at_once<C: InferenceClient>(
    limited: Exchange,
    patient: impl Fn(&ReplayServer) -> C,
) {
    let server = serve(limited).await;
    let client = patient(&server);
    let answer = answer_within(&client, CallCtx::new().with_timeout(Duration::from_secs(25)));
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
    let error = answer.expect("the deadline is not waited for").2.unwrap();
    assert_eq!((error.kind(), error.retry_after()), (Kind::RateLimited, Some(Duration::from_secs(30))));
    assert_eq!(server.requests().len(), 1);
    server.stop().await;
}

/// After `first`, a client that tries again gets `good`: if `first` said something, that is all there is; else `good`
/// says `text`.
pub async fn assert_tried_again_unless_something_was_said<C: InferenceClient>(
    (first, said): (Exchange, Option<&str>),
    (good, text): (Exchange, &str),
    quick: impl Fn(&ReplayServer) -> C,
) {
    let server = ReplayServer::start(Script::new().then(first).then(good)).await.unwrap();
    let (builder, _, error) = answer(&quick(&server)).await;
    let attempts = if said.is_some() { 1 } else { 2 };
    assert_eq!((error.is_some(), server.requests().len()), (said.is_some(), attempts));
    assert_eq!(builder.partial().unwrap().text(), said.unwrap_or(text));
    server.stop().await;
}

/// A call that is cancelled after `text` was said ends there.
pub async fn assert_cancelling_ends_it<C: InferenceClient>(said: Exchange, client: impl Fn(&ReplayServer) -> C) {
    let stalls = Fault::StallAt(said.body.len());
    let server = serve(Reply::new(said).fault(stalls)).await;
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let mut stream = client(&server).stream(request().into(), ctx);
    while !matches!(stream.next().await.unwrap().unwrap(), ModelEvent::Text(_)) {}
    let last = async { tokio::join!(stream.next(), async { cancel.cancel() }).0 };
    let last = tokio::time::timeout(Duration::from_secs(20), last).await.expect("it ends at once");
    assert!(matches!(last, Some(Err(InferenceError::Cancelled))), "{last:?}");
    server.stop().await;
}
