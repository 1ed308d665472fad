//! A server of the test's own.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::handshake::answers;

/// How long a server may take until it answers, after a crash too.
const READY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// Where Debian's packages put the programs of each version.
const PACKAGES: &str = "/usr/lib/postgresql";

/// A PostgreSQL server in a folder of its own and on a free port of this machine. It ends when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    /// The server refuses to run as root; whose it is then.
    user: Option<(u32, u32)>,
    process: Option<Child>,
}

impl Cluster {
    /// Makes and starts one, with settings such as `max_connections=20`. The user is `postgres`, without a password.
    ///
    /// # Errors
    /// Why it cannot be: no server is installed, or what the server says.
    pub fn start(settings: &[&str]) -> Result<Self, String> {
        Self::start_with(programs().ok_or("no PostgreSQL server is installed here")?, None, settings)
    }

    /// As [`Cluster::start`], of a server that was unpacked into a folder and is installed nowhere; `bin` is where its programs
    /// are in there.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_unpacked(installed: &Path, bin: &str, settings: &[&str]) -> Result<Self, String> {
        Self::start_with(PathBuf::from(bin), Some(installed), settings)
    }

    fn start_with(mut programs: PathBuf, unpacked: Option<&Path>, settings: &[&str]) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().map_err(|error| error.to_string())?;
        let user = unprivileged(folder.path())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        drop(listener);
        if let Some(unpacked) = unpacked {
            // Whoever runs it may not read where it was unpacked.
            let here = if user.is_some() { folder.path().join("installed") } else { unpacked.to_owned() };
            if user.is_some() {
                copy(unpacked, &here).map_err(|error| format!("{}: {error}", unpacked.display()))?;
            }
            programs = here.join(programs);
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut cluster = Self { programs, folder, port, settings, user, process: None };
        let data = cluster.data();
        let made = cluster
            .command("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .map_err(|error| format!("initdb cannot be run: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        cluster.restart()?;
        Ok(cluster)
    }

    /// Its address.
    #[must_use]
    pub fn dsn(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// The folder of its data. Files that its settings name may lie here before [`Cluster::restart`].
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Adds a setting. It holds from the next [`Cluster::restart`] on.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// Writes a file into [`Cluster::data`] that only the server may read.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, name: &str, text: &str) -> Result<(), String> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.data().join(name);
        let write = || {
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            self.user.map_or(Ok(()), |(uid, gid)| chown(&path, Some(uid), Some(gid)))
        };
        write().map_err(|error: std::io::Error| format!("{name}: {error}"))
    }

    /// Kills the server and all its processes as a power failure would (`SIGKILL`).
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let children = children(process.id());
        // The first one first: it would replace the others.
        let _gone = process.kill();
        if !children.is_empty() {
            let _gone = Command::new("kill").arg("-9").args(&children).stderr(Stdio::null()).status();
        }
        let _gone = process.wait();
    }

    /// Starts it, after [`Cluster::kill`] or to take new settings, and waits until it answers.
    ///
    /// # Errors
    /// What the server says.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        let until = Instant::now() + READY;
        loop {
            let mut process = self.spawn()?;
            let why = loop {
                match answers(self.address(), "postgres", "postgres") {
                    Ok(()) => {
                        self.process = Some(process);
                        return Ok(());
                    }
                    Err(error) if Instant::now() > until => break error.to_string(),
                    // Processes of the one that was killed may still hold its memory.
                    Err(error) if matches!(process.try_wait(), Ok(Some(_))) => break error.to_string(),
                    Err(_) => thread::sleep(PAUSE),
                }
            };
            let _gone = process.kill();
            let _gone = process.wait();
            if Instant::now() > until {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                return Err(format!("the server does not answer: {why}; it says: {log}"));
            }
            thread::sleep(PAUSE);
        }
    }

    fn spawn(&self) -> Result<Child, String> {
        let log = fs::File::options().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map_err(|error| format!("postgres cannot be run: {error}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path());
        if let Some((uid, gid)) = self.user {
            command.gid(gid).uid(uid);
        }
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The newest version's programs.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let versions = fs::read_dir(PACKAGES).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let newest = versions.filter_map(|path| Some((version(&path)?, path))).max()?;
    Some(newest.1.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// Gives `folder` to the user `postgres` where this process is root; nothing is needed elsewhere.
pub(super) fn unprivileged(folder: &Path) -> Result<Option<(u32, u32)>, String> {
    use std::os::unix::fs::MetadataExt;
    let own = fs::metadata(folder).map_err(|error| error.to_string())?.uid();
    if own != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let entry = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut numbers =
        entry.into_iter().flat_map(|entry| entry.split(':').skip(1)).map_while(|field| field.parse().ok());
    let (Some(uid), Some(gid)) = (numbers.next(), numbers.next()) else {
        return Err("PostgreSQL does not run as root, and there is no user postgres".to_owned());
    };
    chown(folder, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
    Ok(Some((uid, gid)))
}

/// Copies a folder, readable for everybody.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<String> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_killed_comes_back_where_it_was() {
        let mut cluster = match Cluster::start(&[]) {
            Ok(cluster) => cluster,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let address = cluster.address();
        cluster.kill();
        assert!(answers(address, "postgres", "postgres").is_err());
        cluster.restart().unwrap();
        assert!(answers(address, "postgres", "postgres").is_ok());
        assert!(answers(address, "postgres", "nowhere").is_err());
        drop(cluster);
        assert!(answers(address, "postgres", "postgres").is_err());
    }
}
