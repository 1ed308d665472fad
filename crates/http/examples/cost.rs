//! What a request and an open connection cost this client, measured against a peer of bare sockets in this process'
//! child. Run it with `cargo run --release -p atomr-agents-http --example cost`.
#![allow(clippy::print_stdout)] // showing is what it is for

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use atomr_agents_core::CallCtx;
use atomr_agents_http::{Client, ClientConfig};
use bytes::Bytes;

type Outcome<T> = Result<T, Box<dyn Error>>;

const REQUESTS: u32 = 5_000;
const CONNECTIONS: u32 = 1_000;

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some("peer") {
        return peer();
    }
    let mut peer = Command::new(std::env::current_exe()?).arg("peer").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(peer.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let outcome = measure(line.trim());
    peer.kill()?;
    peer.wait()?;
    outcome
}

fn measure(address: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new(ClientConfig::new(&format!("http://{address}/v1"))?)?;
        let ctx = CallCtx::new();
        let once = || async {
            let answer = client.post_json("whole", Bytes::from_static(b"{}"), &ctx).await?;
            answer.body.collect(1 << 20).await
        };
        for _ in 0..200 {
            once().await?;
        }
        let before = cpu()?;
        for _ in 0..REQUESTS {
            once().await?;
        }
        let ours = (cpu()? - before) / f64::from(REQUESTS) * 1e6;
        let floor = bare(address)?;
        println!("{ours:.1} us of CPU per request; a bare blocking socket takes {floor:.1} us");

        let before = resident()?;
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut answer = client.post_json("open", Bytes::from_static(b"{}"), &ctx).await?;
            answer.body.next().await.ok_or("no first piece")??;
            held.push(answer);
        }
        println!("{:.1} KiB per open stream", (resident()? - before) / f64::from(CONNECTIONS) / 1024.0);
        Ok(())
    })
}

/// Microseconds of CPU per request of a client that only writes and reads bytes.
fn bare(address: &str) -> Outcome<f64> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let before = cpu()?;
    for _ in 0..REQUESTS {
        stream.write_all(b"POST /v1/whole HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")?;
        let mut read = 0;
        while !buffer[..read].ends_with(b"0\r\n\r\n") {
            read += stream.read(&mut buffer[read..])?;
        }
    }
    Ok((cpu()? - before) / f64::from(REQUESTS) * 1e6)
}

/// Seconds of CPU of this thread, which is all that works here.
fn cpu() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = stat.split_whitespace().next().ok_or("no number")?.parse()?;
    Ok(nanoseconds / 1e9)
}

fn resident() -> Outcome<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = statm.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(pages * 4096.0)
}

/// One thread per connection: `/whole` is answered whole, `/open` with a first piece and then silence.
fn peer() -> Outcome<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                let open = buffer[..read].starts_with(b"POST /v1/open");
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let end = if open { "" } else { "0\r\n\r\n" };
                let answer = format!("{head}10\r\ndata: 0123456789\r\n{end}");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        })?;
    }
    Ok(())
}
