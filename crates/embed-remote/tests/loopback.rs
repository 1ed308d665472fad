//! Embedders against a server on this machine, which answers what the test wants.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{BatchOptions, EmbedError, Embedder, Vectors, conformance};
use atomr_agents_embed_remote::{Api, RemoteConfig, RemoteEmbedder};
use atomr_agents_http::Secret;
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

struct Server {
    url: String,
    /// Head and body of each request.
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    _tasks: JoinSet<()>,
}

async fn request(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if let Some((head, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.len() >= length) {
            return (head.to_owned(), serde_json::from_str(body).unwrap());
        }
        assert!(read > 0, "a request that is cut: {text}");
    }
}

impl Server {
    /// Answers the n-th request with what `answer` makes of its number and body: status, more headers, body.
    async fn start(answer: impl Fn(usize, &Value) -> (u16, &'static str, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let mut tasks = JoinSet::new();
        let log = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                connections.spawn(async move {
                    let (head, body) = request(&mut stream).await;
                    let (number, (status, headers, text)) = {
                        let mut log = log.lock().unwrap();
                        log.push((head, body.clone()));
                        (log.len() - 1, answer(log.len() - 1, &body))
                    };
                    let _ = number;
                    let length = if headers.contains("content-length") { String::new() } else { format!("content-length: {}\r\n", text.len()) };
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{length}{headers}\r\n");
                    stream.write_all(head.as_bytes()).await.ok();
                    stream.write_all(text.as_bytes()).await.ok();
                    stream.shutdown().await.ok();
                });
            }
        });
        Self { url, seen, _tasks: tasks }
    }

    fn embedder(&self, api: Api) -> RemoteEmbedder {
        let key = Some(Secret::new("sk-canary"));
        let mut config = RemoteConfig::new(api, "m", &self.url, key).unwrap();
        config.connection.retry.base = Duration::from_millis(1);
        RemoteEmbedder::new(config).unwrap()
    }

    fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Something of every text, the same for the same.
fn vector(text: &str) -> Vec<f32> {
    vec![text.len() as f32, f32::from(text.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))), 1.0]
}

fn packed(vector: &[f32]) -> String {
    base64::engine::general_purpose::STANDARD
        .encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())
}

/// What the real servers answer to a right request.
fn right(api: Api, body: &Value, plain: bool) -> String {
    let texts = |list: &Value| {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    match api {
        Api::OpenAi => {
            let texts = texts(&body["input"]);
            let data = texts.iter().enumerate().map(|(index, text)| {
                let embedding = if plain { json!(vector(text)) } else { json!(packed(&vector(text))) };
                json!({"object": "embedding", "index": index, "embedding": embedding})
            });
            // In another order than the texts, as the format allows.
            json!({"object": "list", "data": data.rev().collect::<Vec<_>>(), "usage": {"prompt_tokens": 1}}).to_string()
        }
        Api::Gemini => {
            let texts = body["requests"].as_array().unwrap().iter().map(|one| one["content"]["parts"][0]["text"].as_str().unwrap());
            json!({"embeddings": texts.map(|text| json!({"values": vector(text)})).collect::<Vec<_>>()}).to_string()
        }
        _ => json!({"model": "m", "embeddings": texts(&body["input"]).iter().map(|text| vector(text)).collect::<Vec<_>>()}).to_string(),
    }
}

async fn made(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vectors, EmbedError> {
    embedder.embed(texts, &CallCtx::new()).await
}

#[tokio::test]
async fn each_server_is_asked_in_its_own_words() {
    for (api, plain, path) in [
        (Api::OpenAi, true, "POST /embeddings "),
        (Api::OpenAi, false, "POST /embeddings "),
        (Api::Gemini, true, "POST /v1beta/models/m:batchEmbedContents "),
        (Api::Ollama, true, "POST /api/embed "),
    ] {
        let server = Server::start(move |_, body| (200, "", right(api, body, plain))).await;
        let embedder = server.embedder(api);
        assert_eq!(embedder.dim(), None);
        conformance::check_embedder(&embedder).await.unwrap();
        assert_eq!(embedder.dim(), Some(3));
        let (head, body) = server.seen.lock().unwrap()[0].clone();
        assert!(head.starts_with(path), "{head}");
        let shown = if api == Api::Gemini { "x-goog-api-key: sk-canary" } else { "authorization: Bearer sk-canary" };
        assert!(head.contains(shown), "{head}");
        match api {
            Api::OpenAi => assert_eq!((&body["encoding_format"], &body["model"]), (&json!("base64"), &json!("m"))),
            Api::Gemini => assert_eq!(body["requests"][0]["model"], "models/m"),
            _ => assert_eq!(body["truncate"], false),
        }
        assert!(!format!("{embedder:?}").contains("canary"));
        assert!(embedder.model().contains(":m@http://127.0.0.1"), "{}", embedder.model());
    }
}

#[tokio::test]
async fn the_dimension_that_was_asked_for_is_sent_and_checked() {
    let server = Server::start(|_, body| (200, "", right(Api::OpenAi, body, true))).await;
    let mut config = RemoteConfig::new(Api::OpenAi, "m", &server.url, None).unwrap();
    config.dimensions = Some(2);
    let embedder = RemoteEmbedder::new(config.clone()).unwrap();
    assert!(embedder.model().starts_with("openai:m:2@"), "{}", embedder.model());
    let error = made(&embedder, &["a"]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.to_string().contains("it answered vectors of 3 numbers, not of 2"), "{error}");
    assert_eq!(server.seen.lock().unwrap()[0].1["dimensions"], 2);
    config.dimensions = Some(0);
    assert_eq!(RemoteEmbedder::new(config).unwrap_err().to_string(), "dimensions must be at least 1");
}

#[tokio::test]
async fn an_answer_that_is_not_one_vector_for_each_text_is_an_error() {
    let openai = |data: Value| (Api::OpenAi, json!({"data": data}).to_string());
    for ((api, answer), wrong) in [
        (openai(json!([{"index": 0, "embedding": [1.0]}])), "it answered 1 vectors for 2 texts"),
        (openai(json!([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}])), "two vectors for text 0"),
        (openai(json!([{"index": 0, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}])), "one of them for text 2"),
        (
            openai(json!([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}])),
            "vector 1 of its answer has 2 numbers",
        ),
        (
            openai(json!([{"index": 0, "embedding": []}, {"index": 1, "embedding": []}])),
            "vector 0 of its answer has 0 numbers",
        ),
        (
            openai(json!([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": packed(&[f32::NAN])}])),
            "not a finite number",
        ),
        (
            openai(json!([{"index": 0, "embedding": "AAA="}, {"index": 1, "embedding": "AAA="}])),
            "are no 32-bit numbers",
        ),
        (openai(json!([{"index": 0, "embedding": "?"}, {"index": 1, "embedding": "?"}])), "is no base64"),
        (openai(json!([{"index": 0, "embedding": null}])), "not what it should be"),
        ((Api::OpenAi, "{\"data\": [{\"index\": 0, \"emb".into()), "not what it should be"),
        ((Api::OpenAi, "<html>".into()), "not what it should be"),
        ((Api::Gemini, "{}".into()), "it answered 0 vectors for 2 texts"),
        (
            (Api::Gemini, json!({"embeddings": [{"values": [1.0]}, {}]}).to_string()),
            "vector 1 of its answer has 0 numbers",
        ),
        ((Api::Ollama, json!({"embeddings": [[1.0], [1e39]]}).to_string()), ""),
    ] {
        let text = answer.clone();
        let server = Server::start(move |_, _| (200, "", text.clone())).await;
        let error = made(&server.embedder(api), &["a", "b"]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{answer}: {error}");
        assert!(error.to_string().contains(wrong), "{answer}: {error}");
        assert_eq!(server.calls(), 1, "an answer that was paid for is not asked for again");
    }
}

#[tokio::test]
async fn refusals_are_typed_and_asked_again_only_where_that_may_help() {
    for (status, body, kind, calls) in [
        (401, r#"{"error": {"message": "the key sk-canary is wrong"}}"#, Kind::Authentication, 1),
        (429, r#"{"error": {"message": "slow down"}}"#, Kind::RateLimited, 4),
        (429, r#"{"error": {"message": "pay", "code": "insufficient_quota"}}"#, Kind::QuotaExceeded, 1),
        (404, r#"{"error": "model \"m\" not found"}"#, Kind::NotFound, 1),
        (400, "", Kind::InvalidRequest, 1),
        (503, "down", Kind::ServerError, 4),
    ] {
        let server = Server::start(move |_, _| (status, "x-request-id: r-1\r\n", body.to_owned())).await;
        let error = made(&server.embedder(Api::OpenAi), &["a"]).await.unwrap_err();
        assert_eq!((error.kind(), server.calls()), (kind, calls), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let server = Server::start(|number, body| match number {
        0 => (429, "retry-after-ms: 1\r\n", String::new()),
        _ => (200, "", right(Api::OpenAi, body, false)),
    })
    .await;
    assert_eq!(made(&server.embedder(Api::OpenAi), &["abc"]).await.unwrap().values(), vector("abc"));
}

#[tokio::test]
async fn a_body_that_is_cut_is_asked_for_again_and_then_told() {
    let server = Server::start(|_, _| (200, "content-length: 1000\r\n", "{\"data\"".into())).await;
    let error = made(&server.embedder(Api::OpenAi), &["a"]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StreamInterrupted, "{error}");
    assert_eq!(server.calls(), 4);
}

#[tokio::test]
async fn many_texts_go_in_requests_of_a_fair_size_and_what_was_done_is_kept() {
    let server = Server::start(|number, body| match number {
        2 => (400, "", r#"{"error": {"message": "no"}}"#.into()),
        _ => (200, "", right(Api::Gemini, body, true)),
    })
    .await;
    let options = BatchOptions { max_texts: 1000, concurrency: 1, ..BatchOptions::default() };
    let embedder = server.embedder(Api::Gemini).batched(Some(options)).unwrap();
    let texts: Vec<String> = (0..350).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let error = made(&embedder, &texts).await.unwrap_err();
    let EmbedError::Partial { done, vectors, wanted: 350, .. } = &error else { panic!("{error:?}") };
    assert_eq!((done.len(), error.kind(), server.calls()), (200, Kind::InvalidRequest, 3));
    assert_eq!(vectors.row(150).unwrap(), vector("150"));
}

#[tokio::test]
async fn a_cancelled_call_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config =
        RemoteConfig::new(Api::Ollama, "m", &format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
    let embedder = RemoteEmbedder::new(config).unwrap();
    let ctx = CallCtx::new();
    let (ended, ()) = tokio::join!(embedder.embed(&["a"], &ctx), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ctx.cancel.cancel();
    });
    assert_eq!(ended.unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let error = RemoteConfig::new(Api::OpenAi, " ", "http://h", None).unwrap_err();
    assert!(error.to_string().starts_with("model is empty"), "{error}");
    let error = RemoteConfig::new(Api::OpenAi, "m", "nonsense", None).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    let error = RemoteConfig::from_env(Api::OpenAi, "m", Some("https://h.example"), Some(Secret::new(""))).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert_eq!([Api::named("gemini"), Api::named("nobody")], [Some(Api::Gemini), None]);
}
