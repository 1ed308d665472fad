//! An index whose process dies while it is saved, and a medium that has no room.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // helpers of tests fail as tests do
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_embed::{IndexOptions, Metric, VectorIndex, Vectors};
use support::Random;

const DIM: usize = 48;
const ROWS: u64 = 2000;

/// An index that says in each of its vectors which save it is.
fn of(save: u32) -> VectorIndex {
    let index = VectorIndex::new(DIM, IndexOptions { metric: Metric::L2, ..IndexOptions::default() }).unwrap();
    let values = (0..ROWS).flat_map(|_| [save as f32; DIM]).collect();
    index.insert(&(0..ROWS).collect::<Vec<_>>(), &Vectors::new(DIM, values).unwrap()).unwrap();
    index
}

/// Which save a file is, all of it.
fn which(path: &Path) -> u32 {
    let index = VectorIndex::load(path).unwrap();
    assert_eq!(index.len() as u64, ROWS);
    let save = index.vector(0).unwrap()[0];
    assert!((0..ROWS).all(|id| index.vector(id).unwrap() == [save; DIM]), "a file of several saves");
    save as u32
}

#[test]
#[ignore = "the process that the tests below start"]
fn child_saves() {
    let Some(path) = std::env::var_os("ATOMR_SAVES") else { return };
    let mut out = std::io::stdout();
    for save in 1.. {
        let saved = of(save).save(&path);
        let said = saved.as_ref().map_or_else(|error| format!("{}: {error}", error.kind()), |()| save.to_string());
        // Past the test harness, which keeps what is printed.
        writeln!(out, "saved {said}").unwrap();
        if saved.is_err() {
            return;
        }
    }
}

fn child(command: &mut Command, path: &Path) -> std::process::Child {
    let arguments = ["child_saves", "--exact", "--ignored", "--nocapture"];
    command.args(arguments).env("ATOMR_SAVES", path).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn after_a_kill_there_is_the_old_index_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    let mut random = Random(23);
    let mut between = 0;
    for _ in 0..50 {
        let mut child = child(&mut Command::new(std::env::current_exe().unwrap()), &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The first save is done; the kill comes at any moment of those behind it.
        assert!(lines.any(|line| line.ends_with("saved 1")));
        std::thread::sleep(Duration::from_micros(random.next() % 40_000));
        child.kill().unwrap();
        let told = lines.filter_map(|line| line.strip_prefix("saved ")?.parse().ok()).last().unwrap_or(1);
        child.wait().unwrap();
        let found = which(&path);
        assert!(found == told || found == told + 1, "save {told} was acknowledged, and the file is save {found}");
        between += u32::from(std::fs::read_dir(&folder).unwrap().count() > 1);
        // What the dead left beside it is in nobody's way.
        for left in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|left| *left != path)
        {
            std::fs::remove_file(left).unwrap();
        }
    }
    assert!(between > 0, "no kill hit a save");
}

#[test]
fn a_save_without_room_is_an_error_and_the_old_index_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    of(7).save(&path).unwrap();
    let mut shell = Command::new("sh");
    // The signal of that limit is ignored, as Python does. The unit is 512 bytes.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let said = child(&mut shell, &path).wait_with_output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said);
    let error = said.lines().find_map(|line| line.split_once("saved ")).unwrap().1;
    assert!(error.starts_with("storage_full: ") && error.contains("vectors"), "{said}");
    assert_eq!(which(&path), 7);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left of what did not fit");
}

/// A file system in memory, which goes when the test ends.
struct Medium(tempfile::TempDir);

impl Medium {
    /// None, and the reason on standard error, where this process may not make one.
    fn of(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: only root can make a small file system");
        None
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_medium_is_an_error_and_the_old_index_stays() {
    let Some(medium) = Medium::of("1m") else { return };
    let path = medium.0.path().join("vectors");
    of(7).save(&path).unwrap();
    let error = of(8).save(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull, "{error}");
    assert_eq!((which(&path), std::fs::read_dir(&medium.0).unwrap().count()), (7, 1));
}
