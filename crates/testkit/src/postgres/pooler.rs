//! A pooler before a server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::cluster::unprivileged;
use super::handshake::answers;

const READY: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
/// Where Debian's package puts it.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

/// PgBouncer in transaction mode: each transaction may get another connection to the server. It ends when it is dropped.
#[derive(Debug)]
pub struct Pooler {
    _folder: TempDir,
    port: u16,
    database: String,
    process: Child,
}

impl Pooler {
    /// Starts one before the database `database` of the server at `server`, with `connections` connections to it.
    ///
    /// # Errors
    /// Why it cannot be: it is not installed, or what it says.
    pub fn start(server: SocketAddr, database: &str, connections: usize) -> Result<Self, String> {
        let program =
            PROGRAMS.into_iter().find(|path| Path::new(path).exists()).ok_or("PgBouncer is not installed here")?;
        let folder = tempfile::Builder::new().prefix("pooler-").tempdir().map_err(|error| error.to_string())?;
        // Like the server, it refuses to run as root.
        let user = unprivileged(folder.path())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        drop(listener);
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\n\
             max_client_conn = 200\nserver_round_robin = 1\n",
            server.ip(),
            server.port(),
        )
        // Everybody is let in as one user.
        .replace("* = ", "* = user=postgres ");
        let path = folder.path().join("settings.ini");
        fs::write(&path, settings).map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = user {
            chown(&path, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
            command.gid(gid).uid(uid);
        }
        let process = command.spawn().map_err(|error| format!("{program} cannot be run: {error}"))?;
        let mut pooler = Self { _folder: folder, port, database: database.to_owned(), process };
        let until = Instant::now() + READY;
        while let Err(error) = answers(pooler.address(), "postgres", database) {
            if Instant::now() > until || matches!(pooler.process.try_wait(), Ok(Some(_))) {
                return Err(format!("PgBouncer does not answer: {error}"));
            }
            thread::sleep(PAUSE);
        }
        Ok(pooler)
    }

    /// Its address.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("postgres://postgres@{}/{}", self.address(), self.database)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}
