//! The server over real HTTP, driven by the house's own client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the helpers of tests are tests, too

use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_http::{Body, Client, ClientConfig, HttpError, Response};
use atomr_agents_testkit::{
    Cut, Exchange, Fault, Flaw, ReplayServer, Reply, RetryAfter, Script, Summary, Trouble, Turn, recordings,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(5);

async fn serve(script: Script) -> (ReplayServer, Client) {
    serve_patient(script, Duration::from_secs(30)).await
}

async fn serve_patient(script: Script, patience: Duration) -> (ReplayServer, Client) {
    let server = ReplayServer::start(script).await.unwrap();
    let mut config = ClientConfig::new(&server.url()).unwrap();
    config.idle_timeout = patience;
    config.first_byte_timeout = patience;
    (server, Client::new(config).unwrap())
}

async fn post(client: &Client, body: &Value) -> Result<Response, HttpError> {
    client.post_json("chat/completions", Bytes::from(body.to_string()), &CallCtx::new()).await
}

/// The pieces and how the body ended.
async fn pieces(mut body: Body) -> (Vec<Bytes>, Option<HttpError>) {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => all.push(piece),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

fn asked(assistant_turns: usize) -> Value {
    let turn = json!({"role": "assistant", "content": "x"});
    let mut messages = vec![json!({"role": "user", "content": "?"})];
    messages.extend(std::iter::repeat_n(turn, assistant_turns));
    json!({"model": "m", "messages": messages})
}

#[tokio::test]
async fn recordings_arrive_byte_for_byte_however_they_are_cut() {
    let demo = recordings::demo().unwrap();
    for cut in [
        Cut::Whole,
        Cut::PerEvent(Duration::ZERO),
        Cut::PerEvent(Duration::from_millis(1)),
        Cut::Every(7),
        Cut::Seeded(3),
        Cut::At(vec![1, 100]),
    ] {
        let (server, client) = serve(Script::conversation(demo.clone()).cut(cut.clone())).await;
        for (turns, exchange) in demo.iter().enumerate() {
            let response = post(&client, &asked(turns)).await.unwrap();
            assert_eq!(response.header("content-type"), Some("text/event-stream; charset=utf-8"));
            let (pieces, error) = pieces(response.body).await;
            assert!(error.is_none(), "{cut:?}: {error:?}");
            assert_eq!(pieces.concat(), exchange.body, "{cut:?}");
            assert_eq!(pieces.len(), cut.pieces(&exchange.body).len(), "{cut:?}");
        }
        assert_eq!(server.connections(), 1, "the connection is kept");
        assert!(server.quiet(SOON).await);
        assert_eq!(server.stop().await, Summary { requests: 3, answered: 3, ..Summary::default() });
    }
}

#[tokio::test]
async fn requests_are_kept_for_the_test_to_look_at() {
    let (server, client) = serve(Script::always(Exchange::json(200, &json!({"ok": true})))).await;
    let response = post(&client, &asked(0)).await.unwrap();
    assert_eq!(response.body.collect(100).await.unwrap(), r#"{"ok":true}"#);
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].body["messages"][0]["content"], "?");
    assert_eq!(server.take_requests().len(), 1);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_sequence_runs_out_and_says_so() {
    let script = Script::new().then(Exchange::event_stream("data: 1\n\n")).then(Fault::Status {
        status: 429,
        headers: vec![("retry-after".into(), "2".into())],
        body: r#"{"error":{}}"#.into(),
    });
    let (server, client) = serve(script).await;
    assert_eq!(post(&client, &asked(0)).await.unwrap().body.collect(100).await.unwrap(), "data: 1\n\n");
    let limited = post(&client, &asked(0)).await.unwrap();
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("2")));
    assert_eq!(limited.header("content-type"), Some("application/json"));
    assert_eq!(limited.body.collect(100).await.unwrap(), r#"{"error":{}}"#);
    let beyond = post(&client, &asked(0)).await.unwrap();
    assert_eq!(beyond.status, 400);
    let text = beyond.body.collect(1000).await.unwrap();
    assert!(String::from_utf8_lossy(&text).contains("no answer to POST /v1/chat/completions"), "{text:?}");
    assert_eq!(server.summary().unscripted, 1);
}

#[tokio::test]
async fn each_fault_is_seen_by_the_client_as_what_it_is() {
    let stream = || Exchange::event_stream("data: hello\n\n");
    let plain = || Exchange::new(200, "application/json", r#"{"hello":1}"#);
    for exchange in [stream, plain as fn() -> Exchange] {
        let whole = exchange().body;
        for (fault, read, kind) in [
            (Fault::ResetAt(4), 4, Some(Kind::StreamInterrupted)),
            (Fault::CloseAt(4), 4, Some(Kind::StreamInterrupted)),
            (Fault::CloseAt(0), 0, Some(Kind::StreamInterrupted)),
            (Fault::CleanEndAt(4), 4, None),
            (Fault::CleanEndAt(999), whole.len(), None),
            (Fault::StallAt(4), 4, Some(Kind::Timeout)),
            (Fault::StallBeforeHeaders, 0, Some(Kind::Timeout)),
            (Fault::CloseBeforeHeaders, 0, Some(Kind::StreamInterrupted)),
            (Fault::RedirectTo("https://evil.example/x".into()), 0, Some(Kind::Protocol)),
        ] {
            let patience = Duration::from_millis(if kind == Some(Kind::Timeout) { 200 } else { 30_000 });
            let script = Script::always(Reply::new(exchange()).fault(fault.clone()));
            let (server, client) = serve_patient(script, patience).await;
            let (got, error) = match post(&client, &asked(0)).await {
                Ok(response) => pieces(response.body).await,
                Err(error) => (Vec::new(), Some(error)),
            };
            assert_eq!(got.concat(), whole[..read], "{fault:?}");
            assert_eq!(error.as_ref().map(HttpError::kind), kind, "{fault:?}: {error:?}");
            assert!(server.quiet(SOON).await, "{fault:?} goes on");
        }
    }
}

#[tokio::test]
async fn what_is_inserted_and_what_is_halved_arrives_so() {
    let stream = || Exchange::event_stream("data: one\n\ndata: two\n\n");
    for cut in [Cut::Whole, Cut::Every(3), Cut::PerEvent(Duration::ZERO), Cut::Seeded(5)] {
        for (fault, arrives) in [
            (Fault::insert(11, ": ping\n\n"), "data: one\n\n: ping\n\ndata: two\n\n".to_owned()),
            (Fault::insert(0, "a"), "adata: one\n\ndata: two\n\n".to_owned()),
            (Fault::insert(999, "z"), "data: one\n\ndata: two\n\nz".to_owned()),
            (Fault::HalfEvent(1), "data: one\n\ndata:".to_owned()),
            (Fault::HalfEvent(9), "data: one\n\ndata:".to_owned()),
            (
                Fault::Insert { at: 8, bytes: b"xy".to_vec(), times: 100_000 },
                format!("data: on{}e\n\ndata: two\n\n", "xy".repeat(100_000)),
            ),
        ] {
            let script = Script::always(Reply::new(stream()).fault(fault.clone()).cut(cut.clone()));
            let (server, client) = serve(script).await;
            let body = post(&client, &asked(0)).await.unwrap().body.collect(1 << 20).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&body), arrives, "{fault:?} {cut:?}");
            assert_eq!(server.stop().await.answered, 1);
        }
    }
}

#[tokio::test]
async fn heads_and_packings_that_no_client_has_to_take() {
    let whole = Exchange::json(200, &json!({"hello": 1}));
    for (fault, kind) in [
        (Fault::Garbage { bytes: 4096, seed: 1 }, Kind::Protocol),
        (Fault::ManyHeaders(100_000), Kind::Protocol),
        (Fault::HugeHeader(4 << 20), Kind::Protocol),
    ] {
        let (server, client) = serve(Script::always(Reply::new(whole.clone()).fault(fault.clone()))).await;
        let error = post(&client, &asked(0)).await.unwrap_err();
        assert!([kind, Kind::TooLarge, Kind::StreamInterrupted].contains(&error.kind()), "{fault:?}: {error:?}");
        assert!(server.quiet(SOON).await, "{fault:?} goes on");
    }
    let (_server, client) = serve(Script::always(Reply::new(whole).fault(Fault::Gzip))).await;
    match post(&client, &asked(0)).await {
        Ok(answer) => assert_eq!(answer.header("content-encoding"), Some("gzip")),
        Err(error) => assert_eq!(error.kind(), Kind::Protocol),
    }
}

#[tokio::test]
async fn one_script_serves_the_clients_of_every_provider() {
    let script = Script::turns([Turn::text("first "), Turn::tool_calls([("add", json!({"a": 1}))])]);
    let (server, client) = serve(script).await;
    for (path, field, role) in [
        ("chat/completions", "messages", "assistant"),
        ("messages", "messages", "assistant"),
        ("responses", "input", "assistant"),
        ("models/gemini:streamGenerateContent?alt=sse", "contents", "model"),
    ] {
        for (said, word) in [(0, "first "), (1, "\"add\"")] {
            let turn = json!({"role": role, "content": "x"});
            let turns: Vec<Value> = std::iter::repeat_n(turn, said).collect();
            let body = json!({field: turns, "stream": true});
            let answer = client.post_json(path, Bytes::from(body.to_string()), &CallCtx::new()).await.unwrap();
            assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
            let body = answer.body.collect(1 << 20).await.unwrap();
            assert!(String::from_utf8_lossy(&body).contains(word), "{path}: {body:?}");
        }
    }
    let whole = post(&client, &asked(0)).await.unwrap();
    assert_eq!(whole.header("content-type"), Some("application/json"));
    assert_eq!(client.post_json("embeddings", Bytes::from("{}"), &CallCtx::new()).await.unwrap().status, 400);
    assert_eq!(server.summary().unscripted, 1);
}

#[tokio::test]
async fn the_first_answers_of_a_script_meet_troubles() {
    let status = |status| Trouble::Status { status, message: "no".into(), after: RetryAfter::Seconds(2) };
    let script = Script::turns([Turn::text("fine")]).troubles([
        Some(status(429)),
        Some(Trouble::Fault(Fault::CleanEndAt(5))),
        None,
        Some(Trouble::Flaw(Flaw::NoEvents)),
        Some(Trouble::Flaw(Flaw::DuplicateIndex)), // a turn without calls cannot
    ]);
    let (_server, client) = serve(script).await;
    let ask = async || {
        let answer = post(&client, &json!({"messages": [], "stream": true})).await.unwrap();
        let (status, after) = (answer.status, answer.header("retry-after").map(str::to_owned));
        (status, after, String::from_utf8(answer.body.collect(1 << 20).await.unwrap().to_vec()).unwrap())
    };
    let (status, after, body) = ask().await;
    assert_eq!((status, after.as_deref()), (429, Some("2")));
    assert!(body.contains("rate_limit_exceeded"), "{body}");
    assert_eq!(ask().await.2, "data:");
    assert!(ask().await.2.contains("fine"));
    assert_eq!(ask().await.2, "");
    assert_eq!(ask().await.0, 400);
    assert!(ask().await.2.contains("fine"));
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_and_nothing_stays() {
    let reply = Reply::new(recordings::demo().unwrap().remove(0)).cut(Cut::PerEvent(Duration::from_secs(60)));
    let (server, client) = serve(Script::always(reply)).await;
    let mut response = post(&client, &asked(0)).await.unwrap();
    assert!(response.body.next().await.unwrap().unwrap().ends_with(b"\n\n"));
    assert_eq!(server.in_flight(), 1);
    assert!(!server.quiet(Duration::from_millis(20)).await);
    drop(response);
    assert!(server.quiet(SOON).await);
    assert_eq!(server.summary().abandoned, 1);
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections() {
    let (server, client) = serve(Script::always(Fault::StallAt(0))).await;
    let mut response = post(&client, &asked(0)).await.unwrap();
    let address = server.address();
    drop(server);
    assert!(matches!(response.body.next().await, Some(Err(HttpError::Interrupted { .. }))));
    assert!(TcpStream::connect(address).await.is_err(), "somebody still listens");
}

#[tokio::test]
async fn many_conversations_at_once_each_get_their_own_steps() {
    let demo = recordings::demo().unwrap();
    let (server, client) = serve(Script::conversation(demo.clone()).cut(Cut::Seeded(1))).await;
    let talks = (0..50).map(|_| async {
        for turns in 0..6 {
            let body = post(&client, &asked(turns)).await.unwrap().body.collect(1 << 20).await.unwrap();
            assert_eq!(body, demo[turns % 3].body);
        }
    });
    futures_util::future::join_all(talks).await;
    assert_eq!(server.stop().await, Summary { requests: 300, answered: 300, ..Summary::default() });
}

#[tokio::test]
async fn other_clients_ways_of_sending_are_understood() {
    let (server, _) = serve(Script::always(Exchange::json(200, &json!(1)))).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // Chunks with an extension and a trailer, then a pipelined request without a body, then one that waits to go on.
    let chunked = "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;x=y\r\n{\"a\":\r\n2\r\n1}\r\n0\r\ntrailer: z\r\n\r\nGET /v1/b HTTP/1.1\r\n\r\n";
    stream.write_all(chunked.as_bytes()).await.unwrap();
    stream.write_all(b"POST /v1/c HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("100 Continue") {
        let mut piece = [0; 1024];
        let read = tokio::time::timeout(SOON, stream.read(&mut piece)).await.unwrap().unwrap();
        assert!(read > 0, "closed after {seen}");
        seen += &String::from_utf8_lossy(&piece[..read]);
    }
    stream.write_all(b"7").await.unwrap();
    let mut piece = [0; 1024];
    assert!(tokio::time::timeout(SOON, stream.read(&mut piece)).await.unwrap().unwrap() > 0);
    let requests = server.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/v1/a", "/v1/b", "/v1/c"]);
    assert_eq!((&requests[0].body, &requests[1].body, &requests[2].body), (&json!({"a": 1}), &Value::Null, &json!(7)));
}

#[tokio::test]
async fn nonsense_closes_the_connection_and_the_server_goes_on() {
    let (server, client) = serve(Script::always(Exchange::json(200, &json!(1)))).await;
    for nonsense in [
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\ncontent-length: 99999999999999\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(70_000)),
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let end = tokio::time::timeout(SOON, stream.read(&mut [0; 16])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{nonsense:.40}: {end:?}");
    }
    assert_eq!(post(&client, &asked(0)).await.unwrap().status, 200);
}
