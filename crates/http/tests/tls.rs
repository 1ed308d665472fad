//! Encrypted connections: whom we trust and what we speak.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // the helpers of tests are tests, too

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_http::{Auth, ClientConfig, HttpError, Secret};
use common::{post, read_request};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

struct TlsPeer {
    port: u16,
    pem: String,
    /// The protocol that was agreed on and the request, of each handshake that succeeded.
    seen: mpsc::UnboundedReceiver<(Option<Vec<u8>>, String)>,
    _tasks: JoinSet<()>,
}

async fn tls_peer(name: &str, protocols: &[&str]) -> TlsPeer {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, seen) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            let request = read_request(&mut stream).await;
            tell.send((protocol, request)).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok();
        }
    });
    TlsPeer { port, pem: cert.pem(), seen, _tasks: tasks }
}

fn config(port: u16) -> ClientConfig {
    let mut config = ClientConfig::new(&format!("https://localhost:{port}")).unwrap();
    config.auth = Some(Auth::Bearer(Secret::new("sk-canary")));
    config.first_byte_timeout = Duration::from_secs(10);
    config
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_before_anything_is_sent() {
    let mut peer = tls_peer("localhost", &[]).await;
    let error = post(config(peer.port)).await.unwrap_err();
    assert!(matches!(&error, HttpError::Tls { host, .. } if *host == format!("localhost:{}", peer.port)), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"));
    assert!(peer.seen.try_recv().is_err(), "a request was sent");
}

#[tokio::test]
async fn a_peer_without_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream
    };
    let (outcome, _stream) = tokio::join!(post(config(port)), plain);
    let error = outcome.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
}

/// Runs `role` below in a process of its own, because the roots come from its environment.
fn child(role: &str, port: u16, certificates: &std::path::Path) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", role])
        .env("SSL_CERT_FILE", certificates)
        .env_remove("SSL_CERT_DIR")
        .env("ATOMR_TEST_PORT", port.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("1 passed") || !output.status.success(), "{role} did not run: {text}");
    output.status.success()
}

async fn in_child(role: &'static str, port: u16, pem: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("roots.pem");
    std::fs::write(&file, pem).unwrap();
    tokio::task::spawn_blocking(move || {
        let _dir = dir;
        child(role, port, &file)
    })
    .await
    .unwrap()
}

fn port() -> u16 {
    std::env::var("ATOMR_TEST_PORT").unwrap().parse().unwrap()
}

#[tokio::test]
async fn ssl_cert_file_is_trusted_and_http2_is_preferred() {
    let mut peer = tls_peer("localhost", &["http/1.1"]).await;
    assert!(in_child("role_succeeds", peer.port, &peer.pem).await);
    let (protocol, request) = peer.seen.recv().await.unwrap();
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    assert!(request.contains("authorization: Bearer sk-canary"), "{request}");

    let mut peer = tls_peer("localhost", &["h2", "http/1.1"]).await;
    assert!(in_child("role_fails_but_not_by_tls", peer.port, &peer.pem).await);
    let (protocol, request) = peer.seen.recv().await.unwrap();
    assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
    assert!(request.starts_with("PRI * HTTP/2.0"), "{request}");
}

#[tokio::test]
async fn a_trusted_certificate_of_another_name_is_refused() {
    let mut peer = tls_peer("other.example", &[]).await;
    assert!(in_child("role_fails_by_tls", peer.port, &peer.pem).await);
    assert!(peer.seen.try_recv().is_err(), "a request was sent");
}

#[tokio::test]
async fn an_empty_ssl_cert_file_is_an_error_and_no_fallback() {
    let peer = tls_peer("localhost", &[]).await;
    assert!(in_child("role_fails_by_config", peer.port, "nothing here").await);
}

#[tokio::test]
#[ignore = "run by ssl_cert_file_is_trusted_and_http2_is_preferred"]
async fn role_succeeds() {
    let response = post(config(port())).await.unwrap();
    assert_eq!(response.body.collect(10).await.unwrap(), "ok");
}

#[tokio::test]
#[ignore = "run by ssl_cert_file_is_trusted_and_http2_is_preferred"]
async fn role_fails_but_not_by_tls() {
    let error = post(config(port())).await.unwrap_err();
    assert!(matches!(error, HttpError::Interrupted { .. } | HttpError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "run by a_trusted_certificate_of_another_name_is_refused"]
async fn role_fails_by_tls() {
    let error = post(config(port())).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "run by an_empty_ssl_cert_file_is_an_error_and_no_fallback"]
async fn role_fails_by_config() {
    let error = post(config(port())).await.unwrap_err();
    assert!(matches!(&error, HttpError::Config { setting, .. } if setting.contains("SSL_CERT_FILE")), "{error:?}");
}
