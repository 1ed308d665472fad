//! One connection of a server: requests in, answers out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::server::Shared;
use crate::{Cut, Exchange, Fault, Received, Reply};

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

/// How an answer ended.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Complete; the connection can serve another request.
    Complete,
    /// As the fault wanted; the connection is done.
    Broken,
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
        let end = connection.answer(reply).await;
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

    async fn answer(&mut self, reply: Reply) -> io::Result<End> {
        let Reply { mut exchange, cut, fault } = reply;
        let mut promised = exchange.body.len();
        let mut sent = promised;
        match &fault {
            Some(Fault::StallBeforeHeaders) => return self.stall().await,
            Some(Fault::CloseBeforeHeaders) => return Ok(End::Broken),
            Some(Fault::Status { status, headers, body }) => {
                let mut instead = Exchange::new(*status, "application/json", body.clone());
                if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                    instead.headers.clear();
                }
                instead.headers.extend_from_slice(headers);
                exchange = Arc::new(instead);
                (promised, sent) = (body.len(), body.len());
            }
            Some(Fault::RedirectTo(url)) => {
                exchange = Arc::new(Exchange::new(307, "text/plain", "").header("location", url));
                (promised, sent) = (0, 0);
            }
            Some(Fault::CleanEndAt(at)) => {
                sent = sent.min(*at);
                promised = sent;
            }
            Some(Fault::ResetAt(at) | Fault::CloseAt(at) | Fault::StallAt(at)) => sent = sent.min(*at),
            None => {}
        }
        let chunked = exchange.is_stream() || cut != Cut::Whole;
        let mut out = head(&exchange, if chunked { None } else { Some(promised) });
        let body = &exchange.body[..sent];
        let mut pieces = cut.pieces(body).into_iter().peekable();
        while let Some(piece) = pieces.next() {
            push(&mut out, &body[piece], chunked);
            if pieces.peek().is_some() {
                self.stream.write_all(&out).await?;
                out.clear();
                self.wait(cut.delay()).await?;
            }
        }
        match fault {
            Some(Fault::ResetAt(_)) => {
                self.stream.write_all(&out).await?;
                // A reset throws away what is still on its way: give the client time to read.
                self.wait(Duration::from_millis(30)).await?;
                self.stream.set_zero_linger()?;
                Ok(End::Broken)
            }
            Some(Fault::CloseAt(_)) => {
                self.stream.write_all(&out).await?;
                self.stream.shutdown().await?;
                Ok(End::Broken)
            }
            Some(Fault::StallAt(_)) => {
                self.stream.write_all(&out).await?;
                self.stall().await
            }
            _ => {
                if chunked {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                self.stream.write_all(&out).await?;
                Ok(End::Complete)
            }
        }
    }

    /// Waits and notices when the client goes away meanwhile.
    async fn wait(&mut self, delay: Duration) -> io::Result<()> {
        if delay.is_zero() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let sleep = tokio::time::sleep(delay);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                more = self.stream.read_buf(&mut self.buffer) => if more? == 0 {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                },
            }
        }
    }

    /// Does nothing until the client gives up: the fault has then been played to its end.
    async fn stall(&mut self) -> io::Result<End> {
        while self.stream.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0) {}
        Ok(End::Broken)
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

/// Status line and headers; `length` is the body's, unless it is sent in chunks.
fn head(exchange: &Exchange, length: Option<usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + exchange.body.len());
    out.extend_from_slice(format!("HTTP/1.1 {} Replayed\r\n", exchange.status).as_bytes());
    for (name, value) in &exchange.headers {
        for part in [name, ": ", value, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    match length {
        Some(length) => out.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes()),
        None => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
    }
    out
}

fn push(out: &mut Vec<u8>, piece: &[u8], chunked: bool) {
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    }
    out.extend_from_slice(piece);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
