//! Whether a server lets somebody in.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Protocol 3.0.
const VERSION: i32 = 196_608;
/// No message before the first `ReadyForQuery` is longer.
const MESSAGE_MAX: usize = 1 << 16;

/// Logs in as `user` without a password and out again.
pub(super) fn answers(address: SocketAddr, user: &str, database: &str) -> io::Result<()> {
    let mut stream = log_in(address, user, database)?;
    stream.write_all(b"X\0\0\0\x04")
}

/// Whether the server has an extension of this name, made or not.
pub(super) fn knows(address: SocketAddr, user: &str, database: &str, extension: &str) -> io::Result<bool> {
    let mut stream = log_in(address, user, database)?;
    let sql = format!("SELECT 1 FROM pg_available_extensions WHERE name = '{extension}'\0");
    let length = u32::try_from(sql.len() + 4).map_err(io::Error::other)?;
    stream.write_all(b"Q")?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(sql.as_bytes())?;
    let mut rows = 0;
    until_ready(&mut stream, |kind, _| {
        rows += u32::from(kind == b'D');
        Ok(())
    })?;
    stream.write_all(b"X\0\0\0\x04")?;
    Ok(rows > 0)
}

fn log_in(address: SocketAddr, user: &str, database: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut startup = VERSION.to_be_bytes().to_vec();
    for text in ["user", user, "database", database, ""] {
        startup.extend_from_slice(text.as_bytes());
        startup.push(0);
    }
    let length = u32::try_from(startup.len() + 4).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&startup)?;
    until_ready(&mut stream, |kind, body| match kind {
        b'R' if body != [0; 4] => Err(io::Error::other("it asks for a password")),
        _ => Ok(()),
    })?;
    Ok(stream)
}

/// Reads messages until the server waits for the next question.
fn until_ready(stream: &mut TcpStream, mut each: impl FnMut(u8, &[u8]) -> io::Result<()>) -> io::Result<()> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = (u32::from_be_bytes(length) as usize).saturating_sub(4);
        if length > MESSAGE_MAX {
            return Err(io::Error::other("no PostgreSQL server"));
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        match kind {
            b'Z' => return Ok(()),
            b'E' => return Err(io::Error::other(String::from_utf8_lossy(&body).replace('\0', " "))),
            kind => each(kind, &body)?,
        }
    }
}
