//! Processes that die while they save, and media without room. Other crates' tests of saves include it by its path.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // helpers of tests fail as tests do

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use atomr_agents_core::Kind;

/// Where the process shall save, that is a child of the test.
const PLACE: &str = "ATOMR_SAVES";

/// What the ignored test `child_saves` does: saves 1, 2, … to its place and says so, until one is refused.
pub(crate) fn save_on<E: Display>(save: impl Fn(u32, OsString) -> Result<(), E>, kind: impl Fn(&E) -> Kind) {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let mut out = std::io::stdout();
    for number in 1.. {
        let saved = save(number, place.clone());
        let said = saved.as_ref().map_or_else(|error| format!("{}: {error}", kind(error)), |()| number.to_string());
        // Past the test harness, which keeps what is printed.
        writeln!(out, "saved {said}").unwrap();
        if saved.is_err() {
            return;
        }
    }
}

fn child(command: &mut Command, place: &Path) -> Child {
    let arguments = ["child_saves", "--exact", "--ignored", "--nocapture"];
    command.args(arguments).env(PLACE, place).stdout(Stdio::piped()).spawn().unwrap()
}

/// A process that saves one after the other.
pub(crate) struct Saving {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Saving {
    pub(crate) fn to(place: &Path) -> Self {
        let mut child = child(&mut Command::new(std::env::current_exe().unwrap()), place);
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Which save was the next to succeed; none if the process is no more.
    pub(crate) fn next(&mut self) -> Option<u32> {
        loop {
            let mut line = String::new();
            if self.out.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The kill may have cut the line.
            if let (Some((_, said)), true) = (line.split_once("saved "), line.ends_with('\n')) {
                return Some(said.trim_end().parse().unwrap_or_else(|_| panic!("a save failed: {said}")));
            }
        }
    }

    /// Kills it after a while of saves behind the first; answers the last one that it told of.
    pub(crate) fn killed_after(mut self, while_: Duration) -> u32 {
        let mut told = self.next().unwrap();
        std::thread::sleep(while_);
        self.child.kill().unwrap();
        while let Some(next) = self.next() {
            told = next;
        }
        self.child.wait().unwrap();
        told
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process is told that may write no file longer than this, in units of 512 bytes.
pub(crate) fn refused_beyond(length: u32, place: &Path) -> String {
    let mut shell = Command::new("sh");
    // The signal of that limit is ignored, as Python does.
    let limited = format!("trap '' XFSZ; ulimit -f {length}; exec \"$0\" \"$@\"");
    shell.args(["-c", &limited]).arg(std::env::current_exe().unwrap());
    let said = child(&mut shell, place).wait_with_output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said);
    said.lines().find_map(|line| line.split_once("saved ")).unwrap_or_else(|| panic!("{said}")).1.to_owned()
}

/// How many files and folders a folder has.
pub(crate) fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// A file system in memory, which goes when the test ends.
pub(crate) struct Medium(tempfile::TempDir);

impl Medium {
    /// None, and the reason on standard error, where this process may not make one.
    pub(crate) fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: only root can make a small file system");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}
