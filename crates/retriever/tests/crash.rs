//! Indexes whose process dies while they are saved, and a medium that has no room.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)] // helpers of tests fail as tests do
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Document, Kind};
use atomr_agents_embed::{IndexOptions, Metric, MockEmbedder, VectorIndex, Vectors};
use atomr_agents_retriever::{Bm25, Bm25Options, HybridIndex, HybridOptions, Query, RetrieveError};

const DIM: usize = 16;
const DOCUMENTS: usize = 400;

fn options() -> HybridOptions {
    let vectors = IndexOptions { metric: Metric::L2, ..IndexOptions::default() };
    HybridOptions { vectors, ..HybridOptions::default() }
}

/// Both kinds of index, with what says in every document, and in every vector, which save it is.
struct Both(Bm25, HybridIndex);

impl Both {
    fn of(save: u32) -> Self {
        let (words, hybrid) = (Bm25::new(Bm25Options::default()).unwrap(), HybridIndex::new(mock(), DIM, options()));
        let hybrid = hybrid.unwrap();
        let documents: Vec<Document> =
            (0..DOCUMENTS).map(|n| Document::new(format!("d{n}"), format!("save{save} {n}"))).collect();
        words.add(documents.clone()).unwrap();
        hybrid.insert(documents, &Vectors::new(DIM, vec![save as f32; DIM * DOCUMENTS]).unwrap()).unwrap();
        Self(words, hybrid)
    }

    fn save(&self, folder: &Path) -> Result<(), RetrieveError> {
        self.1.save(folder.join("hybrid"))?;
        self.0.save(folder.join("words"))
    }
}

fn mock() -> Arc<MockEmbedder> {
    Arc::new(MockEmbedder::new(DIM).unwrap())
}

/// Which saves the two are, all of them.
fn which(folder: &Path) -> (u32, u32) {
    let hybrid = HybridIndex::load(folder.join("hybrid"), mock(), options()).unwrap();
    let words = Bm25::load(folder.join("words"), Bm25Options::default()).unwrap();
    let all = Query::new("save").top_k(DOCUMENTS);
    let save = |text: &str| text.split_once(' ').unwrap().0.strip_prefix("save").unwrap().parse::<u32>().unwrap();
    let found = hybrid.search(&all, Some(&[0.0; DIM])).unwrap();
    let (first, near) = (save(&found[0].text), hybrid.search(&all, None).unwrap());
    assert_eq!((found.len(), near.len()), (DOCUMENTS, 0));
    for document in &found {
        assert_eq!(save(&document.text), first, "documents of several saves");
    }
    let index = String::from_utf8_lossy(&std::fs::read(folder.join("hybrid/index")).unwrap()).into_owned();
    let name = index.split_once("\"vectors\":\"").unwrap().1.split_once('"').unwrap().0;
    let vectors = VectorIndex::load(folder.join("hybrid").join(name)).unwrap();
    let written: Vec<Vec<f32>> = (0..10_000).filter_map(|key| vectors.vector(key)).collect();
    assert_eq!(written, vec![vec![first as f32; DIM]; DOCUMENTS], "vectors of another save than the documents");
    let by_words = |save: u32| words.search(&Query::new(format!("save{save}")).top_k(DOCUMENTS)).unwrap().len();
    let second = [first, first.saturating_sub(1)].into_iter().find(|save| by_words(*save) == DOCUMENTS);
    (first, second.unwrap_or_else(|| panic!("the words are of neither save")))
}

#[test]
#[ignore = "the process that the tests below start"]
fn child_saves() {
    let Some(folder) = std::env::var_os("ATOMR_SAVES").map(PathBuf::from) else { return };
    let mut out = std::io::stdout();
    for save in 1.. {
        let saved = Both::of(save).save(&folder);
        let said = saved.as_ref().map_or_else(|error| format!("{}: {error}", error.kind()), |()| save.to_string());
        // Past the test harness, which keeps what is printed.
        writeln!(out, "saved {said}").unwrap();
        if saved.is_err() {
            return;
        }
    }
}

fn child(command: &mut Command, folder: &Path) -> std::process::Child {
    let arguments = ["child_saves", "--exact", "--ignored", "--nocapture"];
    command.args(arguments).env("ATOMR_SAVES", folder).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn after_a_kill_there_is_the_old_index_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 29u64;
    let mut hit = 0;
    for _ in 0..50 {
        let mut child = child(&mut Command::new(std::env::current_exe().unwrap()), folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The first save is done; the kill comes at any moment of those behind it.
        assert!(lines.any(|line| line.ends_with("saved 1")));
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((state >> 33) % 40_000));
        child.kill().unwrap();
        let told: u32 = lines.filter_map(|line| line.strip_prefix("saved ")?.parse().ok()).last().unwrap_or(1);
        child.wait().unwrap();
        let (hybrid, words) = which(folder.path());
        let right = |found: u32| found == told || found == told + 1;
        assert!(right(hybrid) && right(words), "save {told} was acknowledged; there are {hybrid} and {words}");
        let left = std::fs::read_dir(folder.path().join("hybrid")).unwrap().count();
        hit += u32::from(left > 3 || hybrid != words);
        std::fs::remove_dir_all(folder.path().join("hybrid")).unwrap();
    }
    assert!(hit > 0, "no kill hit a save");
}

fn full(error: &str, folder: &Path) {
    assert!(error.starts_with("storage_full: ") && error.contains(folder.to_str().unwrap()), "{error}");
    assert_eq!(which(folder), (7, 7));
    let names = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((names(folder), names(&folder.join("hybrid"))), (2, 3), "nothing is left of what did not fit");
}

#[test]
fn a_save_without_room_is_an_error_and_the_old_index_stays() {
    let folder = tempfile::tempdir().unwrap();
    Both::of(7).save(folder.path()).unwrap();
    let mut shell = Command::new("sh");
    // The signal of that limit is ignored, as Python does. The unit is 512 bytes.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let said = child(&mut shell, folder.path()).wait_with_output().unwrap().stdout;
    let said = String::from_utf8_lossy(&said);
    full(said.lines().find_map(|line| line.split_once("saved ")).unwrap().1, folder.path());
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
    let Some(medium) = Medium::of("300k") else { return };
    let folder = medium.0.path();
    Both::of(7).save(folder).unwrap();
    // What is left of the medium, but for a few pages.
    let room = vec![0; 1 << 20];
    let filled = std::fs::write(folder.join("room"), &room).unwrap_err();
    let error = Both::of(8).1.save(folder.join("hybrid")).unwrap_err();
    let words = Both::of(8).0.save(folder.join("words")).unwrap_err();
    std::fs::remove_file(folder.join("room")).unwrap();
    full(&format!("{}: {error}", error.kind()), folder);
    assert_eq!((filled.kind(), words.kind()), (std::io::ErrorKind::StorageFull, Kind::StorageFull), "{words}");
}
