//! What was recorded is played again, and nothing else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the helpers of tests are tests, too

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind, Message, ModelEvent, ModelRequest};
use atomr_agents_inference::{
    ApiError, InferenceClient, InferenceError, ModelReply, OutputMode, Phase, conformance, run,
};
use atomr_agents_testkit::{Difference, RecordingClient, ReplayClient, ReplayError, ScriptedModel, TestkitError, Turn};
use futures_util::StreamExt;
use serde_json::json;
use std::error::Error as _;

fn request(text: &str) -> Arc<ModelRequest> {
    Arc::new(ModelRequest::new("m", vec![Message::user(text)]))
}

async fn ask(client: &dyn InferenceClient, text: &str) -> Result<ModelReply, InferenceError> {
    run(client, request(text), CallCtx::new()).await
}

/// All that is said, as text to compare: errors do not compare.
async fn said(client: &dyn InferenceClient, text: &str) -> Vec<String> {
    client.stream(request(text), CallCtx::new()).map(|item| format!("{item:?}")).collect().await
}

fn recorder(model: ScriptedModel) -> (tempfile::TempDir, RecordingClient) {
    let folder = tempfile::tempdir().unwrap();
    let client = RecordingClient::new(Arc::new(model), folder.path().join("run.jsonl")).unwrap();
    (folder, client)
}

fn replay(folder: &tempfile::TempDir) -> ReplayClient {
    ReplayClient::open(folder.path().join("run.jsonl")).unwrap()
}

fn replay_error(error: &InferenceError) -> ReplayError {
    assert_eq!((error.kind(), error.retryable()), (Kind::Config, false));
    let shared = error.source().unwrap().downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>();
    let source = shared.map_or_else(|| error.source().unwrap(), |shared| &**shared);
    source.downcast_ref::<ReplayError>().unwrap_or_else(|| panic!("{error:?}")).clone()
}

#[tokio::test]
async fn everything_that_was_said_is_said_again_errors_included() {
    let broken = |source: &str| InferenceError::Interrupted { message: source.into(), source: None };
    let limited = ApiError {
        class: Some(Kind::RateLimited),
        status: 429,
        message: "slow down".into(),
        retry_after: Some(Duration::from_millis(1500)),
        should_retry: Some(true),
        request_id: Some("req_7".into()),
        body: json!({"error": {"message": "slow down"}}),
        ..ApiError::default()
    };
    let errors = [
        InferenceError::Timeout { phase: Phase::Idle, after: Duration::from_secs(60) },
        limited.into(),
        InferenceError::TooLarge { what: "one event".into(), limit: 7 },
        InferenceError::Unsupported { provider: "p".into(), message: "no".into() },
        InferenceError::MissingKey { provider: "p".into(), variable: "KEY".into() },
        InferenceError::Cancelled,
    ];
    let mut model = ScriptedModel::new()
        .turn(Turn::tool_calls([("add", json!({"é": 1}))]).after_thinking("hm", Some("proof")))
        .turn(Turn::text("half ").then_error(broken("reset")))
        .events([ModelEvent::Text("cut".into())]);
    for error in errors {
        model = model.error(error);
    }
    let (folder, recording) = recorder(model.named("anthropic"));
    let mut first = Vec::new();
    for at in 0..9 {
        first.push(said(&recording, &at.to_string()).await);
    }
    let client = replay(&folder);
    assert_eq!((client.provider(), client.remaining(), client.model()), ("anthropic", 9, Some("m")));
    // In another order, as calls that are made at once may come.
    for at in (0..9).rev() {
        assert_eq!(said(&client, &at.to_string()).await, first[at], "call {at}");
    }
    assert_eq!(client.remaining(), 0);
    let error = ask(&client, "0").await.unwrap_err();
    assert_eq!(replay_error(&error), ReplayError::Exhausted { calls: 9 });
}

#[tokio::test]
async fn a_request_that_differs_is_refused_with_the_place() {
    let (folder, recording) = recorder(ScriptedModel::new().text("Rain.").text("Sun."));
    ask(&recording, "Oslo?").await.unwrap();
    ask(&recording, "Rome?").await.unwrap();
    let client = replay(&folder);
    assert_eq!(ask(&client, "Rome?").await.unwrap().message.text(), "Sun.");
    let error = ask(&client, "Bergen?").await.unwrap_err();
    let ReplayError::Differs(found) = replay_error(&error) else { panic!("{error:?}") };
    let expected = Difference {
        call: 1,
        place: "messages[0].parts[0].text".into(),
        recorded: "\"Oslo?\"".into(),
        asked: "\"Bergen?\"".into(),
    };
    assert_eq!(found, expected);
    assert!(error.to_string().contains("messages[0].parts[0].text"), "{error}");
    // It is not used up by that.
    assert_eq!(ask(&client, "Oslo?").await.unwrap().message.text(), "Rain.");
}

#[tokio::test]
async fn no_secret_is_in_the_file() {
    let (folder, recording) = recorder(ScriptedModel::new().text("the canary sings"));
    let recording = recording.hiding("canary");
    let mut asked = (*request("the key is sk-proj-0123456789abcdef0123 and the canary is yellow")).clone();
    asked.metadata.insert("api_key".into(), json!("other-canary"));
    asked.extra_body.insert("headers".into(), json!({"Authorization": "Bearer zzz"}));
    let asked = Arc::new(asked);
    run(&recording, Arc::clone(&asked), CallCtx::new()).await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("run.jsonl")).unwrap();
    for secret in ["canary", "sk-proj", "zzz"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert!(text.contains("is yellow") && text.lines().all(|line| line.starts_with('{')), "{text}");
    // What is hidden stands for any text, so the same request still fits.
    run(&replay(&folder), asked, CallCtx::new()).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_went_away_is_told_so_if_it_stays_the_next_time() {
    let (folder, recording) = recorder(ScriptedModel::new().text("one two three"));
    let mut stream = recording.stream(request("a"), CallCtx::new());
    assert!(stream.next().await.is_some() && stream.next().await.is_some());
    drop(stream);
    let client = replay(&folder);
    let mut stream = client.stream(request("a"), CallCtx::new());
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Started { .. }))));
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(replay_error(&error), ReplayError::Left { call: 1 });
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn both_conform() {
    let (folder, recording) = recorder(ScriptedModel::new().tool_calls([("add", json!({"a": 1}))]).repeat());
    conformance::check(&recording, (*request("a")).clone()).await.unwrap();
    conformance::check(&replay(&folder), (*request("a")).clone()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_pace_can_be_kept() {
    let (folder, recording) = recorder(ScriptedModel::new().text("a b").delay(Duration::from_secs(7)));
    ask(&recording, "a").await.unwrap();
    for (paced, seconds) in [(false, 0), (true, 35)] {
        let client = if paced { replay(&folder).paced() } else { replay(&folder) };
        let begin = tokio::time::Instant::now();
        ask(&client, "a").await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), seconds);
    }
}

#[tokio::test]
async fn what_is_no_cassette_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    assert!(matches!(ReplayClient::open(&path), Err(TestkitError::Unreadable { .. })));
    for (text, says) in [
        ("", "does not say that it is a cassette"),
        ("{}\n", "line 1"),
        ("{\"line\":\"cassette\",\"version\":1,\"provider\":\"p\"}\noops\n", "line 2"),
        ("{\"line\":\"cassette\",\"version\":99,\"provider\":\"p\"}\n", "newer"),
        ("{\"line\":\"cassette\",\"version\":1,\"provider\":\"p\"}\n{\"line\":\"left\",\"call\":3}\n", "never began"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = ReplayClient::open(&path).unwrap_err();
        assert!(error.to_string().contains(says), "{error} should say {says}");
    }
    let nowhere = RecordingClient::new(Arc::new(ScriptedModel::new()), folder.path().join("no/such/folder"));
    assert!(matches!(nowhere, Err(TestkitError::Unwritable { .. })));
}

#[tokio::test]
async fn what_the_model_can_do_is_kept() {
    struct Native(ScriptedModel);
    impl InferenceClient for Native {
        fn provider(&self) -> &str {
            "native"
        }
        fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> atomr_agents_inference::ModelStream {
            self.0.stream(request, ctx)
        }
        fn capabilities(&self, _model: &str) -> atomr_agents_inference::Capabilities {
            atomr_agents_inference::Capabilities::with_output(OutputMode::Native)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let native = Arc::new(Native(ScriptedModel::new().text("a")));
    let recording = RecordingClient::new(native, folder.path().join("run.jsonl")).unwrap();
    ask(&recording, "a").await.unwrap();
    let client = replay(&folder);
    assert_eq!(client.capabilities("m").output, OutputMode::Native);
    assert_eq!(client.capabilities("other").output, OutputMode::default());
}
