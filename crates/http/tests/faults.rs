//! Each fault of a connection has its own error, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the helpers of tests are tests, too

mod common;

use std::time::{Duration, Instant};

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_http::{Auth, Client, ClientConfig, HttpError, Phase, Secret};
use bytes::Bytes;
use common::{Peer, drain, post, post_in, read_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-request-id: req-1\r\n\r\n";
const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_whole_answer_arrives_and_its_connection_serves_the_next() {
    let peer = Peer::start(|mut stream, first| async move {
        let mut request = first;
        for number in 1..=2 {
            assert!(request.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{request}");
            for line in ["content-type: application/json", "accept-encoding: identity", "authorization: Bearer sk-1"] {
                assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
            }
            stream.write_all(format!("{HEAD}5\r\nhallo\r\n1\r\n{number}\r\n0\r\n\r\n").as_bytes()).await.unwrap();
            if number == 1 {
                request = read_request(&mut stream).await;
            }
        }
    })
    .await;
    let mut config = peer.config();
    config.auth = Some(Auth::Bearer(Secret::new("sk-1")));
    let client = Client::new(config).unwrap();
    for expected in ["hallo1", "hallo2"] {
        let response = client.post_json("chat", Bytes::from_static(b"{}"), &CallCtx::new()).await.unwrap();
        assert_eq!((response.status, response.request_id.as_deref()), (200, Some("req-1")));
        assert_eq!(response.body.collect(100).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = post(ClientConfig::new(&format!("http://{free}")).unwrap()).await.unwrap_err();
    assert!(matches!(&error, HttpError::Connect { host, .. } if *host == free.to_string()), "{error:?}");
    assert_eq!(error.kind(), Kind::Connect);
    let unknown = post(ClientConfig::new("http://surely-unknown.invalid/").unwrap()).await.unwrap_err();
    assert!(matches!(unknown, HttpError::Connect { .. }), "{unknown:?}");
}

#[tokio::test]
async fn a_peer_that_never_answers() {
    let peer = Peer::start(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mut config = peer.config();
    config.first_byte_timeout = SHORT;
    let error = post(config.clone()).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { phase: Phase::FirstByte, after } if after == SHORT), "{error:?}");

    config.first_byte_timeout = Duration::from_secs(60);
    let error = post_in(config.clone(), &CallCtx::new().with_timeout(SHORT)).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { phase: Phase::Deadline, .. }), "{error:?}");

    let ctx = CallCtx::new();
    let begin = Instant::now();
    let (outcome, ()) = tokio::join!(post_in(config, &ctx), async {
        tokio::time::sleep(SHORT).await;
        ctx.cancel.cancel();
    });
    assert!(matches!(outcome, Err(HttpError::Cancelled)), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_body_that_stalls() {
    let peer = Peer::start(|mut stream, _| async move {
        stream.write_all(format!("{HEAD}5\r\nhallo\r\n").as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let mut config = peer.config();
    config.idle_timeout = SHORT;
    let (read, end) = drain(post(config.clone()).await.unwrap()).await;
    assert_eq!(read, b"hallo");
    assert!(matches!(end, Err(HttpError::Timeout { phase: Phase::Idle, after }) if after == SHORT), "{end:?}");

    config.idle_timeout = Duration::from_secs(60);
    let ctx = CallCtx::new().with_timeout(SHORT);
    let (_, end) = drain(post_in(config.clone(), &ctx).await.unwrap()).await;
    assert!(matches!(end, Err(HttpError::Timeout { phase: Phase::Deadline, .. })), "{end:?}");

    let ctx = CallCtx::new();
    let response = post_in(config, &ctx).await.unwrap();
    let ((_, end), ()) = tokio::join!(drain(response), async {
        tokio::time::sleep(SHORT).await;
        ctx.cancel.cancel();
    });
    assert!(matches!(end, Err(HttpError::Cancelled)), "{end:?}");
}

#[tokio::test]
async fn connections_lost_at_every_stage_are_interruptions() {
    for (sent, expected) in [
        ("", ""),
        ("HTTP/1.1 200 OK\r\ntransfer-enc", ""),
        (HEAD, ""),
        (&format!("{HEAD}5\r\nhal"), "hal"),
        (&format!("{HEAD}5\r\nhallo\r\n"), "hallo"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhallo", "hallo"),
    ] {
        for reset in [true, false] {
            let sent = sent.to_owned();
            let bytes = sent.clone();
            let peer = Peer::start(move |mut stream, _| {
                let bytes = bytes.clone();
                async move {
                    stream.write_all(bytes.as_bytes()).await.unwrap();
                    // Time for the bytes to be read: a reset throws away what is still on its way.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if reset {
                        stream.set_zero_linger().unwrap();
                    }
                }
            })
            .await;
            let (read, error) = match post(peer.config()).await {
                Ok(response) => match drain(response).await {
                    (read, Err(error)) => (read, error),
                    (read, Ok(())) => panic!("{sent:?} counts as whole: {read:?}"),
                },
                Err(error) => (Vec::new(), error),
            };
            assert_eq!(read, expected.as_bytes(), "{sent:?}");
            assert!(matches!(error, HttpError::Interrupted { .. }), "{sent:?} reset={reset}: {error:?}");
            assert_eq!(error.kind(), Kind::StreamInterrupted);
        }
    }
}

#[tokio::test]
async fn nonsense_is_a_broken_protocol() {
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    for sent in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
        "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("{HEAD}zz\r\nhallo\r\n0\r\n\r\n"),
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".to_owned(),
    ] {
        let peer = Peer::answering(sent.clone()).await;
        let error = match post(peer.config()).await {
            Ok(response) => drain(response).await.1.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, HttpError::Protocol { .. }), "{sent:.60}: {error:?}");
    }
}

#[tokio::test]
async fn redirects_are_errors_and_carry_no_credential_on() {
    let (told, mut followed) = tokio::sync::mpsc::unbounded_channel();
    let thief = Peer::start(move |_, request| {
        told.send(request).unwrap();
        std::future::ready(())
    })
    .await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: http://{}/v1?token=secret-part\r\ncontent-length: 0\r\n\r\n",
            thief.address
        );
        let peer = Peer::answering(answer).await;
        let mut config = peer.config();
        config.auth = Some(Auth::Bearer(Secret::new("sk-canary")));
        let error = post(config).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(&error, HttpError::Redirect { status: s, .. } if *s == status), "{text}");
        assert!(text.contains(&thief.address.to_string()), "{text}");
        assert!(!text.contains("secret-part") && !text.contains("canary"), "{text}");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(followed.try_recv().is_err(), "a redirect was followed");
}

#[tokio::test]
async fn giant_bodies_stop_at_the_limit() {
    let declared = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
    let error = post(declared.config()).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error:?}");

    let endless = Peer::start(|mut stream, _| async move {
        stream.write_all(HEAD.as_bytes()).await.unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", 65536, "x".repeat(65536));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let mut config = endless.config();
    config.max_response_bytes = 1024 * 1024;
    let (read, end) = drain(post(config.clone()).await.unwrap()).await;
    assert!(matches!(end, Err(HttpError::TooLarge { limit, .. }) if limit == 1024 * 1024), "{end:?}");
    assert!(read.len() <= 1024 * 1024);
    let error = post(config.clone()).await.unwrap().body.collect(1000).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { limit: 1000, .. }), "{error:?}");
    assert_eq!(post(config).await.unwrap().body.prefix(1000).await.len(), 1000);
}

#[tokio::test]
async fn error_statuses_are_answers_and_their_cut_bodies_are_kept() {
    let peer = Peer::answering("HTTP/1.1 429 Slow\r\nretry-after: 2\r\ncontent-length: 99\r\n\r\n{\"error\":").await;
    let response = post(peer.config()).await.unwrap();
    assert_eq!((response.status, response.is_success(), response.header("retry-after")), (429, false, Some("2")));
    assert_eq!(response.body.prefix(1000).await, "{\"error\":");
}

#[tokio::test]
async fn dropping_a_body_or_cancelling_closes_the_connection() {
    let (told, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream, _| {
        let told = told.clone();
        async move {
            stream.write_all(format!("{HEAD}5\r\nhallo\r\n").as_bytes()).await.unwrap();
            let end = stream.read(&mut [0; 16]).await;
            told.send(matches!(end, Ok(0) | Err(_))).unwrap();
        }
    })
    .await;
    let mut response = post(peer.config()).await.unwrap();
    assert_eq!(response.body.next().await.unwrap().unwrap(), "hallo");
    drop(response);
    let wait = Duration::from_secs(5);
    assert_eq!(tokio::time::timeout(wait, closed.recv()).await, Ok(Some(true)));

    let ctx = CallCtx::new();
    let mut response = post_in(peer.config(), &ctx).await.unwrap();
    assert_eq!(response.body.next().await.unwrap().unwrap(), "hallo");
    ctx.cancel.cancel();
    assert!(matches!(response.body.next().await, Some(Err(HttpError::Cancelled))));
    // The body is still held: the error itself freed the connection.
    assert_eq!(tokio::time::timeout(wait, closed.recv()).await, Ok(Some(true)));
    drop(response);

    let before = post_in(peer.config(), &ctx).await.unwrap_err();
    assert!(matches!(before, HttpError::Cancelled), "{before:?}");
}
