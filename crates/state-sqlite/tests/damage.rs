//! Files that are not what was written: a typed error or the right data, never something else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use atomr_agents_core::Kind;
use atomr_agents_state::{Batch, BlobId, Change, Durability, Expect, NewEntry, Scan, Store, StoreError};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;

use crate::support::{LONG, Process, key, open, say, told};

const RUNS: u64 = 3;
const ENTRIES: u64 = 12;

fn body(run: u64, at: u64) -> Bytes {
    Bytes::from(format!("{run} {at} ").repeat(usize::try_from(1 + at * 20).unwrap()))
}

async fn fill(store: &SqliteStore, durability: Durability) {
    for at in 0..ENTRIES {
        for run in 0..RUNS {
            let (name, blob) = (key("run", &run.to_string()), body(run, at + 100));
            let entry = NewEntry { body: body(run, at), refs: vec![BlobId::of(&blob)] };
            let append = Change::Append { stream: name.clone(), at: Some(at), entries: vec![entry] };
            let batch = Batch::new().durability(durability).blob(blob).with(append);
            store.commit(batch.put(&name, at.to_string(), Expect::Any)).await.unwrap();
        }
    }
}

/// Reads everything. Panics when something is other than it was written.
async fn read(path: &Path) -> Result<(), StoreError> {
    let store = SqliteStore::open(path, SqliteOptions::default())?;
    for run in 0..RUNS {
        let name = key("run", &run.to_string());
        let record = store.get(&name).await?.unwrap();
        assert_eq!((record.version, record.value), (ENTRIES, Bytes::from((ENTRIES - 1).to_string())));
        assert_eq!(store.end(&name).await?, ENTRIES);
        let entries = store.read(&name, 0, 1_000).await?;
        assert_eq!(entries.len() as u64, ENTRIES);
        for entry in entries {
            assert_eq!(entry.body, body(run, entry.at));
            let blob = store.blobs(&entry.refs).await?.remove(0);
            // A blob that is missing is told by whoever needs it.
            let Some(blob) = blob else { return Err(missing(&name)) };
            assert_eq!(blob, body(run, entry.at + 100));
        }
    }
    Ok(())
}

fn missing(subject: &atomr_agents_state::Key) -> StoreError {
    StoreError::Corrupt { subject: subject.to_string(), message: "a blob is missing".to_owned() }
}

/// The files of a database, as they were.
struct Image {
    path: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Image {
    fn take(path: &Path) -> Self {
        let beside = ["", "-wal", "-high"].map(|suffix| PathBuf::from(format!("{}{suffix}", path.display())));
        let files = beside.into_iter().filter_map(|file| Some((file.clone(), fs::read(file).ok()?))).collect();
        Self { path: path.to_owned(), files }
    }

    /// Puts them back, one of them changed.
    fn restore(&self, suffix: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let _ = fs::remove_file(format!("{}-wal", self.path.display()));
        let _ = fs::remove_file(format!("{}-shm", self.path.display()));
        let mut change = Some(change);
        for (file, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if file.to_str().unwrap() == format!("{}{suffix}", self.path.display()) {
                change.take().unwrap()(&mut bytes);
            }
            fs::write(file, bytes).unwrap();
        }
        assert!(change.is_none(), "there is no {suffix}");
    }
}

/// How the damage was told; `None` if it did no harm. Panics when it went unseen.
async fn outcome(path: &Path) -> Option<Kind> {
    match read(path).await {
        Ok(()) => None,
        Err(error) => {
            let kind = error.kind();
            assert!(matches!(kind, Kind::Corrupt | Kind::UnsupportedFormat | Kind::Config | Kind::Storage), "{error}");
            Some(kind)
        }
    }
}

/// A file without a log beside it.
async fn closed(folder: &Path) -> Image {
    let path = folder.join("runs.db");
    let store = open(&path);
    fill(&store, Durability::Relaxed).await;
    drop(store);
    assert!(!folder.join("runs.db-wal").exists(), "the last to close it copies the log");
    Image::take(&path)
}

/// A file and its log, as a process leaves them that is killed.
#[tokio::test]
#[ignore = "a process of the tests below"]
async fn child_fills() {
    let Some(what) = told() else { return };
    let store = open(&what[0]);
    fill(&store, if what[1] == "full" { Durability::Full } else { Durability::Relaxed }).await;
    say("done");
    std::future::pending::<()>().await;
}

fn killed(folder: &Path, durability: &str) -> Image {
    let path = folder.join("runs.db");
    let mut child = Process::start("child_fills", &[path.to_str().unwrap(), durability]);
    assert_eq!(child.hear().as_deref(), Some("done"));
    child.kill();
    let mut image = Image::take(&path);
    // The room that is kept ahead of a log is no part of it: what is cut off there is no loss.
    let (head, frame) = (32, 24 + 2_048);
    let log = &mut image.files[1].1;
    let last = log.iter().rposition(|byte| *byte != 0).unwrap();
    log.truncate(head + (last - head) / frame * frame + frame);
    image
}

#[tokio::test]
async fn a_bit_that_turned_over_in_the_database_is_never_data() {
    let folder = tempfile::tempdir().unwrap();
    let image = closed(folder.path()).await;
    let size = image.files[0].1.len();
    let (mut told, tries) = (0, 600);
    for number in 0..tries {
        // Spread over the file by a multiplier that shares no factor with it.
        let bit = (number * 7_919 * 104_729 + number) % (size * 8);
        image.restore("", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        told += usize::from(outcome(&image.path).await.is_some());
    }
    assert!(told > tries / 3, "most of the file is data: {told} of {tries}");
}

#[tokio::test]
async fn a_page_of_zeros_or_of_another_place_is_never_data() {
    let folder = tempfile::tempdir().unwrap();
    let image = closed(folder.path()).await;
    let pages = image.files[0].1.len() / 2_048;
    for page in 0..pages {
        image.restore("", |bytes| bytes[page * 2_048..][..2_048].fill(0));
        outcome(&image.path).await;
        image.restore("", |bytes| bytes.copy_within((pages - 1 - page) * 2_048..(pages - page) * 2_048, page * 2_048));
        outcome(&image.path).await;
    }
}

#[tokio::test]
async fn a_database_that_was_cut_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let image = closed(folder.path()).await;
    let size = image.files[0].1.len();
    for length in (0..size).step_by(1_536) {
        image.restore("", |bytes| bytes.truncate(length));
        assert!(outcome(&image.path).await.is_some(), "cut at {length} of {size}");
    }
}

#[tokio::test]
async fn a_log_that_was_cut_or_damaged_is_told_where_sqlite_would_roll_back_in_silence() {
    for durability in ["full", "relaxed"] {
        let folder = tempfile::tempdir().unwrap();
        let image = killed(folder.path(), durability);
        image.restore("", |_| {});
        assert_eq!(outcome(&image.path).await, None, "undamaged");
        let size = image.files[1].1.len();
        for length in (0..size).step_by(5_120).chain([size - 1]) {
            image.restore("-wal", |bytes| bytes.truncate(length));
            assert_eq!(outcome(&image.path).await, Some(Kind::Corrupt), "{durability}, cut at {length} of {size}");
        }
        for number in 0..60 {
            let bit = number * 104_729 % (size * 8);
            image.restore("-wal", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            // The log has no checksum of the few bytes that it does not need.
            outcome(&image.path).await;
        }
        image.restore("", |_| {});
        fs::remove_file(folder.path().join("runs.db-wal")).unwrap();
        assert_eq!(outcome(&image.path).await, Some(Kind::Corrupt), "removed");
    }
}

#[tokio::test]
async fn what_was_lost_is_counted_and_an_older_copy_can_be_used_on_purpose() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed(folder.path(), "full");
    image.restore("-wal", |bytes| bytes.truncate(bytes.len() / 2));
    let error = SqliteStore::open(&image.path, SqliteOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("commit 36 was made") && text.contains("runs.db-high"), "{text}");
    fs::remove_file(folder.path().join("runs.db-high")).unwrap();
    let store = open(&image.path);
    assert!(store.end(&key("run", "0")).await.unwrap() < ENTRIES);
    assert_eq!(store.verify().await.unwrap(), []);
}

#[tokio::test]
async fn verify_names_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let image = closed(folder.path()).await;
    let text = body(1, 5);
    image.restore("", |bytes| {
        let at = bytes.windows(text.len()).position(|window| window == &text[..]).unwrap();
        bytes[at + 3] ^= 1;
    });
    let store = open(&image.path);
    let found = store.verify().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].subject.as_str(), found[0].message.as_str()),
        ("run/1", "its entry 5 is not what was written")
    );
    assert_eq!(store.read(&key("run", "0"), 0, 99).await.unwrap().len() as u64, ENTRIES, "the others are whole");
}

#[tokio::test]
async fn verify_finds_a_reference_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path().join("x.db"));
    let entry = NewEntry { body: Bytes::new(), refs: vec![BlobId::of(b"nowhere")] };
    let append = Change::Append { stream: key("run", "1"), at: None, entries: vec![entry] };
    store.commit(Batch::new().with(append)).await.unwrap();
    let found = store.verify().await.unwrap();
    assert!(found.len() == 1 && found[0].message.contains("needs blob"), "{found:?}");
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "a file that is about something else\n".repeat(100)).unwrap();
    let error = SqliteStore::open(&text, SqliteOptions::default()).unwrap_err();
    assert!(error.kind() == Kind::Corrupt && error.to_string().contains("text"), "{error}");
    let other = folder.path().join("other");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let before = fs::read(&other).unwrap();
    let error = SqliteStore::open(&other, SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(&other).unwrap(), before);
    let error = SqliteStore::open(folder.path(), SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("is a folder"), "{error}");
    let error = SqliteStore::open(folder.path().join("no/where.db"), SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no/where.db"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    drop(open(&path));
    rusqlite::Connection::open(&path).unwrap().execute("UPDATE meta SET value = 9 WHERE name = 'format'", []).unwrap();
    match SqliteStore::open(&path, SqliteOptions::default()).unwrap_err() {
        StoreError::UnsupportedFormat { found: 9, supported: 1, .. } => {}
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_database_unless_commits_were_noted_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    fs::write(&path, "").unwrap();
    let store = open(&path);
    store.commit(Batch::new().put(&key("a", "b"), "c", Expect::Any)).await.unwrap();
    drop(store);
    fs::write(&path, "").unwrap();
    assert_eq!(SqliteStore::open(&path, SqliteOptions::default()).unwrap_err().kind(), Kind::Corrupt);
    fs::remove_file(&path).unwrap();
    let store = open(&path);
    assert_eq!(store.scan(&Scan::of("a")).await.unwrap(), [], "who removes the file begins anew");
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_to_the_database_and_nowhere_else() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("x.db"), folder.path().join("link.db"));
    let store = open(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    symlink(&path, &link).unwrap();
    let same = open(&link);
    assert_eq!(same.path(), store.path());
    let lease = same.acquire(&key("run", "1"), "me", LONG).await.unwrap();
    store.commit(Batch::new().fenced(lease.fence()).put(&key("a", "b"), "c", Expect::Any)).await.unwrap();
    drop((store, same));

    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    for beside in ["x.db-high", "x.db-wal"] {
        let side = folder.path().join(beside);
        let _ = fs::remove_file(&side);
        symlink(&victim, &side).unwrap();
        let error = SqliteStore::open(&path, SqliteOptions::default()).unwrap_err();
        assert!(error.to_string().contains("x.db"), "{beside}: {error}");
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        fs::remove_file(&side).unwrap();
    }
    symlink(folder.path().join("elsewhere"), folder.path().join("dangling.db")).unwrap();
    assert!(SqliteStore::open(folder.path().join("dangling.db"), SqliteOptions::default()).is_err());
    assert!(!folder.path().join("elsewhere").exists());
}
