//! What several tests need.

#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use atomr_agents_state::Key;
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};

pub(crate) fn open(path: impl AsRef<Path>) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

pub(crate) fn key(space: &str, name: &str) -> Key {
    Key::new(space, name).unwrap()
}

/// How long a lease lasts that must not run out.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// This test binary once more, as another process that runs the ignored test `name` and is told `what` to do.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

const TOLD: &str = "STATE_SQLITE_CHILD";
const MARK: &str = "said: ";

impl Process {
    pub(crate) fn start(name: &str, what: &[&str]) -> Self {
        Self::start_in(Command::new(std::env::current_exe().unwrap()), name, what)
    }

    /// As a command that ends in the path of this test binary.
    pub(crate) fn start_in(mut command: Command, name: &str, what: &[&str]) -> Self {
        command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(TOLD, what.join("\n")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it says next; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            // The test runner writes to the same pipe, without ending its line.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let rest = std::iter::from_fn(|| self.hear()).collect();
        self.child.wait().unwrap();
        rest
    }
}

/// What this process was told, if it is one of [`Process`].
pub(crate) fn told() -> Option<Vec<String>> {
    Some(std::env::var(TOLD).ok()?.split('\n').map(str::to_owned).collect())
}

pub(crate) fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{what}").unwrap();
    out.flush().unwrap();
}
