//! One connection of a server: requests in, answers out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::answer::{Answer, End};
use crate::server::Shared;
use crate::{Exchange, Received, Reply};

/// The largest head and the largest body that are read.
const MOST_HEAD: usize = 64 * 1024;
const MOST_BODY: usize = 64 * 1024 * 1024;

/// Counts one up for as long as it lives, also when its task is aborted.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(counter: &'a watch::Sender<usize>) -> Self {
        counter.send_modify(|count| *count += 1);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _open = Counted::new(&shared.open);
    // Without it small pieces wait for each other's acknowledgement; a client only gets slower.
    let _ = stream.set_nodelay(true);
    let mut connection = Connection { stream, buffer: BytesMut::new() };
    while let Ok(Some(request)) = connection.request().await {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let _in_flight = Counted::new(&shared.in_flight);
        let reply = shared.script.reply(&request).unwrap_or_else(|| {
            shared.unscripted.fetch_add(1, Ordering::Relaxed);
            unscripted(&request)
        });
        shared.received.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(request);
        let end = Answer::new(reply).send(&mut connection.stream, &mut connection.buffer).await;
        let counter = if end.is_ok() { &shared.answered } else { &shared.abandoned };
        counter.fetch_add(1, Ordering::Relaxed);
        if !matches!(end, Ok(End::Complete)) {
            return;
        }
    }
}

fn unscripted(request: &Received) -> Reply {
    let message = format!("the replay server's script has no answer to {} {}", request.method, request.path);
    let error = json!({"error": {"message": message, "type": "replay", "code": "unscripted_request"}});
    Exchange::json(400, &error).into()
}

struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    /// The next request; `None` when the client has closed the connection.
    async fn request(&mut self) -> io::Result<Option<Received>> {
        let (mut request, length) = loop {
            if let Some((request, framing, head)) = parse_head(&self.buffer)? {
                let _ = self.buffer.split_to(head);
                break (request, framing);
            }
            if self.buffer.len() > MOST_HEAD {
                return Err(invalid("the head is too large"));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        };
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.raw = match length {
            Framing::Length(length) => self.exactly(length).await?,
            Framing::Chunked => self.chunked().await?,
        };
        request.body = serde_json::from_slice(&request.raw).unwrap_or(Value::Null);
        Ok(Some(request))
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        if length > MOST_BODY {
            return Err(invalid("the body is too large"));
        }
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn chunked(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let (head, size) = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete(found)) => break found,
                    Ok(httparse::Status::Partial) => self.fill().await?,
                    Err(_) => return Err(invalid("a chunk's size is no number")),
                }
            };
            let _ = self.buffer.split_to(head);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size.saturating_add(body.len()) > MOST_BODY {
                return Err(invalid("the body is too large"));
            }
            body.extend_from_slice(&self.exactly(size).await?);
            // The line end after the chunk; after the last one there may be trailers before it.
            while self.line().await? > 0 && size == 0 {}
            if size == 0 {
                return Ok(body.freeze());
            }
        }
    }

    /// Takes a line; how many bytes it has without its end.
    async fn line(&mut self) -> io::Result<usize> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let _ = self.buffer.split_to(end + 2);
                return Ok(end);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

/// A request without its body, how its body is framed, and how long the head is; `None` when it is not complete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(Received, Framing, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    let pair = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    let request = Received {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed.headers.iter().map(pair).collect(),
        body: Value::Null,
        raw: Bytes::new(),
    };
    let framing = match request.header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        Some(_) => return Err(invalid("an unknown transfer coding")),
        None => {
            let length = request.header("content-length").unwrap_or("0").trim().parse();
            Framing::Length(length.map_err(|_| invalid("the content length is no number"))?)
        }
    };
    Ok(Some((request, framing, head)))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
