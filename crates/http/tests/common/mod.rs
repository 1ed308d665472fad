//! A peer made of bare sockets: it reads one request and then does what the test wants.
#![allow(dead_code)] // each test binary uses its part

use std::future::Future;
use std::net::SocketAddr;

use atomr_agents_core::CallCtx;
use atomr_agents_http::{Client, ClientConfig, HttpError, Response};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tasks: JoinSet<()>,
}

impl Peer {
    /// Calls `play` with each connection once its request was read.
    pub(crate) async fn start<F, Fut>(play: F) -> Self
    where
        F: Fn(TcpStream, String) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                connections.spawn(play(stream, request));
            }
        });
        Self { address, tasks }
    }

    /// Answers with these bytes, then ends the connection.
    pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |mut stream, _| {
            let bytes = bytes.clone();
            async move {
                stream.write_all(&bytes).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.url()).unwrap()
    }
}

/// Head and body of one request; the body's length is in its head.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if read == 0 || body.is_some_and(|have| have >= length.unwrap_or(0)) {
            return text.into_owned();
        }
    }
}

pub(crate) async fn post(config: ClientConfig) -> Result<Response, HttpError> {
    post_in(config, &CallCtx::new()).await
}

pub(crate) async fn post_in(config: ClientConfig, ctx: &CallCtx) -> Result<Response, HttpError> {
    Client::new(config)?.post_json("/chat", Bytes::from_static(b"{}"), ctx).await
}

/// The pieces that arrived and how it ended.
pub(crate) async fn drain(mut response: Response) -> (Vec<u8>, Result<(), HttpError>) {
    let mut all = Vec::new();
    while let Some(piece) = response.body.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(error) => {
                assert!(response.body.next().await.is_none(), "something after {error}");
                return (all, Err(error));
            }
        }
    }
    (all, Ok(()))
}
