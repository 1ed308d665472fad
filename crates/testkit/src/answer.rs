//! One answer on its way: what is sent, in which pieces, and what goes wrong with it.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Cut, Exchange, Fault, Reply};

/// How much of what is repeated is written at once.
const AT_ONCE: usize = 64 << 10;

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// Complete; the connection can serve another request.
    Complete,
    /// As the fault wanted; the connection is done.
    Broken,
}

/// What happens after the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    End,
    Close,
    Reset,
    Stall,
}

/// An answer with its fault worked in.
#[derive(Debug)]
pub(crate) struct Answer {
    exchange: Arc<Exchange>,
    cut: Cut,
    /// How many bytes of the body are sent.
    sent: usize,
    /// How many the head promises.
    promised: usize,
    /// What comes after how many of them, and how often.
    insert: Option<(usize, Vec<u8>, usize)>,
    /// In place of an answer in HTTP.
    instead: Option<Vec<u8>>,
    then: Then,
}

impl Answer {
    pub(crate) fn new(reply: Reply) -> Self {
        let Reply { exchange, cut, fault } = reply;
        let whole = exchange.body.len();
        let mut answer =
            Self { exchange, cut, sent: whole, promised: whole, insert: None, instead: None, then: Then::End };
        if let Some(fault) = fault {
            answer.spoil(fault);
        }
        answer
    }

    fn spoil(&mut self, fault: Fault) {
        let whole = self.exchange.body.len();
        match fault {
            Fault::StallBeforeHeaders => self.nothing(Then::Stall),
            Fault::CloseBeforeHeaders => self.nothing(Then::Close),
            Fault::Status { status, headers, body } => {
                let mut instead = Exchange::new(status, "application/json", body);
                if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                    instead.headers.clear();
                }
                instead.headers.extend(headers);
                self.give(instead);
            }
            Fault::RedirectTo(url) => self.give(Exchange::new(307, "text/plain", "").header("location", &url)),
            Fault::CleanEndAt(at) => self.end_at(at),
            Fault::HalfEvent(event) => {
                let events = Cut::PerEvent(Duration::ZERO).pieces(&self.exchange.body);
                let half = events.get(event).or(events.last()).map_or(0, |event| event.start.midpoint(event.end));
                self.end_at(half);
            }
            Fault::ResetAt(at) => (self.sent, self.then) = (at.min(whole), Then::Reset),
            Fault::CloseAt(at) => (self.sent, self.then) = (at.min(whole), Then::Close),
            Fault::StallAt(at) => (self.sent, self.then) = (at.min(whole), Then::Stall),
            Fault::Insert { at, bytes, times } => {
                self.promised += bytes.len() * times;
                self.insert = Some((at.min(whole), bytes, times));
            }
            Fault::Garbage { bytes, seed } => {
                let mut dice = StdRng::seed_from_u64(seed);
                self.instead = Some((0..bytes).map(|_| dice.random()).collect());
                self.then = Then::Close;
            }
            Fault::ManyHeaders(count) => {
                let more = (0..count).fold((*self.exchange).clone(), |all, at| all.header(&format!("x-{at}"), "y"));
                self.exchange = Arc::new(more);
            }
            Fault::HugeHeader(bytes) => {
                self.exchange = Arc::new((*self.exchange).clone().header("x-huge", &"y".repeat(bytes)));
            }
            Fault::Gzip => {
                let packed = gzip(&self.exchange.body, self.exchange.body.len());
                self.pack(packed);
            }
            Fault::GzipBomb(bytes) => self.pack(gzip(&[0; AT_ONCE], bytes)),
        }
    }

    fn nothing(&mut self, then: Then) {
        (self.instead, self.then) = (Some(Vec::new()), then);
    }

    fn give(&mut self, exchange: Exchange) {
        (self.sent, self.promised) = (exchange.body.len(), exchange.body.len());
        self.exchange = Arc::new(exchange);
    }

    fn end_at(&mut self, at: usize) {
        self.sent = at.min(self.exchange.body.len());
        self.promised = self.sent;
    }

    fn pack(&mut self, body: Vec<u8>) {
        let packed = Exchange { body: Bytes::from(body), ..(*self.exchange).clone() };
        self.give(packed.header("content-encoding", "gzip"));
    }

    /// Sends it. `unread` takes what the client sends meanwhile.
    pub(crate) async fn send(self, stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<End> {
        if let Some(instead) = &self.instead {
            stream.write_all(instead).await?;
            return self.part(stream, unread).await;
        }
        let chunked = self.exchange.is_stream() || self.cut != Cut::Whole;
        let mut out = head(&self.exchange, if chunked { None } else { Some(self.promised) });
        let body = &self.exchange.body[..self.sent];
        let insert = self.insert.as_ref().map_or(usize::MAX, |(at, ..)| *at);
        let mut begun = false;
        for piece in self.cut.pieces(body) {
            if begun {
                stream.write_all(&out).await?;
                out.clear();
                wait(self.cut.delay(), stream, unread).await?;
            }
            begun = true;
            // What is inserted may fall into the middle of a piece.
            let at = insert.clamp(piece.start, piece.end);
            push(&mut out, &body[piece.start..at], chunked);
            if (piece.start..piece.end).contains(&insert) {
                self.insert(&mut out, stream, chunked).await?;
            }
            push(&mut out, &body[at..piece.end], chunked);
        }
        if insert == self.sent {
            self.insert(&mut out, stream, chunked).await?;
        }
        if chunked && self.then == Then::End {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        stream.write_all(&out).await?;
        self.part(stream, unread).await
    }

    /// Sends what is inserted, in pieces that fit into memory however often it is repeated.
    async fn insert(&self, out: &mut Vec<u8>, stream: &mut TcpStream, chunked: bool) -> io::Result<()> {
        let Some((_, bytes, times)) = &self.insert else { return Ok(()) };
        let at_once = (AT_ONCE / bytes.len().max(1)).clamp(1, (*times).max(1));
        let piece = bytes.repeat(at_once);
        for _ in 0..times / at_once {
            push(out, &piece, chunked);
            stream.write_all(out).await?;
            out.clear();
        }
        push(out, &piece[..bytes.len() * (times % at_once)], chunked);
        Ok(())
    }

    /// What happens after the bytes.
    async fn part(&self, stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<End> {
        match self.then {
            Then::End => return Ok(End::Complete),
            Then::Close => stream.shutdown().await?,
            Then::Reset => {
                // A reset throws away what is still on its way: give the client time to read.
                wait(Duration::from_millis(30), stream, unread).await?;
                stream.set_zero_linger()?;
            }
            // Nothing until the client gives up: the fault has then been played to its end.
            Then::Stall => while stream.read_buf(unread).await.is_ok_and(|read| read > 0) {},
        }
        Ok(End::Broken)
    }
}

/// Waits and notices when the client goes away meanwhile.
async fn wait(delay: Duration, stream: &mut TcpStream, unread: &mut BytesMut) -> io::Result<()> {
    if delay.is_zero() {
        tokio::task::yield_now().await;
        return Ok(());
    }
    let sleep = tokio::time::sleep(delay);
    tokio::pin!(sleep);
    loop {
        tokio::select! {
            () = &mut sleep => return Ok(()),
            more = stream.read_buf(unread) => if more? == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            },
        }
    }
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

/// One chunk; an empty one would end the body.
fn push(out: &mut Vec<u8>, piece: &[u8], chunked: bool) {
    if piece.is_empty() {
        return;
    }
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
    }
    out.extend_from_slice(piece);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// The first `bytes` of `pattern` said again and again, packed. Writing into memory does not fail.
fn gzip(pattern: &[u8], bytes: usize) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let mut left = bytes;
    while left > 0 && !pattern.is_empty() {
        let more = left.min(pattern.len());
        if packer.write_all(&pattern[..more]).is_err() {
            break;
        }
        left -= more;
    }
    packer.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_bomb_is_small_and_unpacks_to_what_was_said() {
        let bomb = gzip(&[0; AT_ONCE], 1_000_000);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&bomb[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, vec![0; 1_000_000]);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&gzip(b"data: x\n\n", 9)[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "data: x\n\n");
    }
}
