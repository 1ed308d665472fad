//! Who else in this process has the file open.
//!
//! POSIX locks belong to a process and a file, not to a descriptor: whoever closes any descriptor of the file lets go of every
//! lock that the process has on it. SQLite knows this of its own connections, but another copy of SQLite in the same process
//! (that of Python's `sqlite3`) or a plain `open` does not. So the descriptors on the file are counted now and then, beside
//! the connections of this crate.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::place::Place;
use crate::platform::{self, Inode};

static OURS: Mutex<BTreeMap<Inode, Count>> = Mutex::new(BTreeMap::new());
static TELL: OnceLock<fn(&str)> = OnceLock::new();

/// Connections of this crate to one file.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    open: usize,
    /// The most since there was none: SQLite keeps the descriptor of a closed connection, for the next one, while another has
    /// locks.
    most: usize,
}

/// Says where warnings about stores go, beside `tracing`: to the first function that was given here. It is called on whatever
/// thread noticed, which must not wait.
pub fn on_warning(tell: fn(&str)) {
    let _first = TELL.set(tell);
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    // Closed before it is counted no more.
    conn: Connection,
    _one: One,
}

impl Counted {
    pub(crate) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        let one = One::of(path);
        Ok(Self { conn: Connection::open_with_flags(path, flags)?, _one: one })
    }
}

impl Deref for Counted {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.conn
    }
}

#[derive(Debug)]
struct One(Option<Inode>);

impl One {
    fn of(path: &Path) -> Self {
        let inode = platform::inode(path);
        if let Some(inode) = inode {
            let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
            let count = ours.entry(inode).or_default();
            count.open += 1;
            count.most = count.most.max(count.open);
        }
        Self(inode)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        let Some(inode) = self.0 else { return };
        let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = ours.get_mut(&inode) {
            count.open -= 1;
            if count.open == 0 {
                ours.remove(&inode);
            }
        }
    }
}

fn most(inode: Inode) -> usize {
    OURS.lock().unwrap_or_else(PoisonError::into_inner).get(&inode).map_or(0, |count| count.most)
}

/// How many descriptors of this process are on the file that no connection of this crate needs.
fn foreign(place: &Place) -> usize {
    let Some(inode) = platform::inode(place.path()) else { return 0 };
    // On both sides: a connection that is opened or closed meanwhile must not look like somebody else's.
    let before = most(inode);
    let found = platform::descriptors(inode);
    found.saturating_sub(before.max(most(inode)))
}

/// Looks, and warns if there is somebody. True if there is.
pub(crate) fn look(place: &Place) -> bool {
    let foreign = foreign(place);
    if foreign == 0 {
        return false;
    }
    let message = format!(
        "{} is also open in this process outside of its store ({foreign} descriptors), by another SQLite library such as Python's \
         sqlite3 or as a plain file. Closing it there lets go of the store's locks, and another process can then damage the \
         database. Leave it open until the store is closed; look at the file from another process, or at a copy that the \
         store made",
        place.shown()
    );
    tracing::warn!(target: "atomr_agents::store", "{message}");
    if let Some(tell) = TELL.get() {
        tell(&message);
    }
    true
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn flags() -> OpenFlags {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    }

    #[test]
    fn what_this_crate_did_not_open_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::find(&folder.path().join("x.db")).unwrap();
        place.create().unwrap();
        let conns: Vec<_> = (0..3).map(|_| Counted::open(place.path(), flags()).unwrap()).collect();
        conns[0].execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (a)").unwrap();
        assert_eq!(foreign(&place), 0);
        let other = std::fs::File::open(place.path()).unwrap();
        let unrelated = std::fs::File::open(folder.path()).unwrap();
        assert_eq!(foreign(&place), 1);
        assert!(look(&place));
        drop((other, unrelated));
        assert_eq!(foreign(&place), 0);
        assert!(!look(&place));
    }

    #[test]
    fn descriptors_that_sqlite_keeps_are_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::find(&folder.path().join("x.db")).unwrap();
        place.create().unwrap();
        let first = Counted::open(place.path(), flags()).unwrap();
        first.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (a); BEGIN IMMEDIATE").unwrap();
        for _ in 0..3 {
            let more: Vec<_> = (0..4).map(|_| Counted::open(place.path(), flags()).unwrap()).collect();
            assert!(more.iter().all(|conn| conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)) == Ok(0)));
            drop(more);
            assert_eq!(foreign(&place), 0);
        }
    }
}
