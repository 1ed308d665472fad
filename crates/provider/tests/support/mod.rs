//! What the tests of all providers share; they include it by its path. It cannot be in `testkit`: what it finds wrong it
//! says by panicking, and `expected.json` is a format of this repository alone.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod expected;
pub mod faults;

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Message, ModelEvent, ModelRequest};
use atomr_agents_http::RetryPolicy;
use atomr_agents_inference::{InferenceClient, InferenceError, ReplyBuilder};
use atomr_agents_provider::Connection;
use atomr_agents_testkit::{Cut, Exchange, Received, ReplayServer, Reply, Script};
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::task::JoinSet;

/// The key that the clients show. It must be seen in no error.
pub const KEY: &str = "sk-canary";

/// The recordings of one provider.
#[derive(Clone, Copy)]
pub struct Recordings {
    pub folder: &'static str,
    /// How many there are: one that is not seen is not tested.
    pub count: usize,
}

impl Recordings {
    pub fn path(self, case: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings").join(self.folder).join(case)
    }

    /// Their names.
    pub fn cases(self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap());
        let folders = entries.filter(|entry| entry.path().is_dir());
        let mut cases: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        cases.sort();
        assert_eq!(cases.len(), self.count, "all recordings must be seen");
        cases
    }

    pub fn load(self, case: &str) -> Exchange {
        Exchange::load(self.path(case)).unwrap()
    }

    pub fn expected(self, case: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(case).join("expected.json")).unwrap()).unwrap()
    }

    /// Plays every recording by itself, so that one that fails hides no other. `cut` is given another seed for each.
    pub async fn play<F>(self, cut: fn(u64) -> Cut, check: impl Fn(Played) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for (seed, case) in (0..).zip(self.cases()) {
            let server = serve(Reply::new(self.load(&case)).cut(cut(seed))).await;
            let played = Played { expected: self.expected(&case), case: case.clone(), server };
            let checked = AssertUnwindSafe(check(played)).catch_unwind();
            running.spawn(async move { (case, checked.await.is_ok()) });
        }
        let ended = running.join_all().await.into_iter();
        let failed: Vec<String> = ended.filter(|(_, passed)| !passed).map(|(case, _)| case).collect();
        assert!(failed.is_empty(), "these recordings are read wrongly (see above): {failed:?}");
    }
}

/// A recording that a server answers with.
pub struct Played {
    pub case: String,
    pub expected: Value,
    pub server: ReplayServer,
}

impl Played {
    /// The one request that was made.
    pub async fn only_request(self) -> Received {
        let mut received = self.server.take_requests();
        assert_eq!(received.len(), 1, "{}", self.case);
        self.server.stop().await;
        received.remove(0)
    }
}

/// A server that always answers like this.
pub async fn serve(reply: impl Into<Reply>) -> ReplayServer {
    ReplayServer::start(Script::always(reply)).await.unwrap()
}

/// The address of the server itself, for providers whose paths have the version in them.
pub fn root(server: &ReplayServer) -> String {
    format!("http://{}", server.address())
}

/// Fails at the first error.
pub fn never_again(connection: &mut Connection) {
    connection.retry = RetryPolicy::never();
}

/// Tries again at once.
pub fn quickly_again(connection: &mut Connection) {
    connection.retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
}

/// Waits for nothing.
pub fn impatient(connection: &mut Connection) {
    connection.retry = RetryPolicy::never();
    connection.http.idle_timeout = Duration::from_millis(300);
    connection.http.first_byte_timeout = Duration::from_millis(300);
}

/// Any request.
pub fn request() -> ModelRequest {
    ModelRequest::new("m", vec![Message::user("Hi")])
}

/// What arrived, and how it ended.
pub type Answer = (ReplyBuilder, Vec<ModelEvent>, Option<InferenceError>);

/// One answer, listened to until its end. Nothing follows an error, and no error shows the key.
pub async fn answer_within(client: &impl InferenceClient, ctx: CallCtx) -> Answer {
    let mut builder = ReplyBuilder::new(client.provider());
    let mut events = Vec::new();
    let mut stream = client.stream(Arc::new(request()), ctx);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                events.push(event.clone());
                builder.push(event);
            }
            Err(error) => {
                let shown = format!("{error:?} {error}");
                assert!(!shown.contains("canary"), "{shown}");
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (builder, events, Some(error));
            }
        }
    }
    (builder, events, None)
}

/// The same, however long it takes.
pub async fn answer(client: &impl InferenceClient) -> Answer {
    answer_within(client, CallCtx::new()).await
}

/// The answer of a server that answers like this.
pub async fn answered<C: InferenceClient>(reply: impl Into<Reply>, client: impl Fn(&ReplayServer) -> C) -> Answer {
    let server = serve(reply).await;
    let answer = answer(&client(&server)).await;
    server.stop().await;
    answer
}

/// The attempts after the first, by the number that each was told with.
pub fn retries(events: &[ModelEvent]) -> Vec<u32> {
    let attempt = |event: &ModelEvent| match event {
        ModelEvent::Retrying { attempt, .. } => Some(*attempt),
        _ => None,
    };
    events.iter().filter_map(attempt).collect()
}
