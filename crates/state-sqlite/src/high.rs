//! How far the database has come, noted outside of it.
//!
//! SQLite takes a write-ahead log that was cut for one whose end was never written, and rolls back without a word. The mark
//! beside the database is written after each commit and read when the database is opened: fewer commits than it says are
//! damage. It is not flushed, so after a power failure it may say less than the truth, never more: what a relaxed
//! commit notes counts only until the machine is started anew.

use std::fs::{self, File};
use std::io;

use atomr_agents_state::{Durability, StoreError};

use crate::fault::Fault;
use crate::place::Place;
use crate::platform;

const MAGIC: &[u8; 8] = b"atomr-hw";
const SLOT: usize = 48;
/// Each slot has a sector of its own. The two of one durability are written by turns, so that one is always whole.
const SECTOR: u64 = 512;
const FILE: usize = 4 * SECTOR as usize;

/// The mark of an open database.
#[derive(Debug)]
pub(crate) struct High {
    /// None where the medium cannot be written.
    file: Option<File>,
    id: [u8; 16],
    boot: Option<u64>,
}

/// What one slot says.
struct Slot {
    id: [u8; 16],
    commits: u64,
    /// 0 for a full commit.
    boot: u64,
}

impl High {
    /// Opens the mark of a database that has `commits` of them.
    pub(crate) fn open(
        place: &Place,
        id: [u8; 16],
        commits: impl FnOnce() -> Result<u64, Fault>,
        write: bool,
    ) -> Result<Self, Fault> {
        let boot = platform::boot();
        // In this order: another process may write at the same time, and notes a commit only after it was made.
        let slots = slots(place)?;
        let commits = commits()?;
        let counts = |slot: &&Slot| slot.id == id && (slot.boot == 0 || Some(slot.boot) == boot);
        let noted = slots.iter().filter(counts).map(|slot| slot.commits).max().unwrap_or(0);
        if commits < noted {
            return Err(lost(place, noted, commits).into());
        }
        let file = if write { Some(opened(place)?) } else { None };
        if let Some(file) = file.as_ref().filter(|_| slots.iter().any(|slot| slot.id != id)) {
            // The mark of another database that was here before.
            platform::write_at(file, &[0; FILE], 0).map_err(|error| place.io(&error))?;
        }
        Ok(Self { file, id, boot })
    }

    /// Notes a commit. One that cannot be noted is a commit all the same: only a later loss of it could go unseen.
    pub(crate) fn note(&self, durability: Durability, commits: u64) {
        let (Some(file), Some(boot)) = (&self.file, if durability == Durability::Full { Some(0) } else { self.boot })
        else {
            return;
        };
        let sector = commits % 2 + if boot == 0 { 0 } else { 2 };
        let _ = platform::write_at(file, &Slot { id: self.id, commits, boot }.bytes(), sector * SECTOR);
    }
}

/// Refuses a file that is empty although commits were noted for it.
pub(crate) fn check_empty(place: &Place) -> Result<(), StoreError> {
    match slots(place)?.iter().map(|slot| slot.commits).max() {
        Some(noted) if noted > 0 => Err(lost(place, noted, 0)),
        _ => Ok(()),
    }
}

fn lost(place: &Place, noted: u64, commits: u64) -> StoreError {
    let message = format!(
        "commit {noted} was made, the file ends at commit {commits}: {} are lost. Its write-ahead log was cut or removed, or \
         an older copy was put in its place; if that was on purpose, remove {}",
        noted - commits,
        place.beside("-high").display()
    );
    StoreError::Corrupt { subject: place.shown(), message }
}

fn opened(place: &Place) -> Result<File, StoreError> {
    let path = place.beside("-high");
    let file = platform::open_beside(&path, true).map_err(|error| place.io(&error))?;
    let data = file.metadata().map_err(|error| place.io(&error))?;
    if !data.is_file() {
        let message = format!("{} is no plain file", path.display());
        return Err(StoreError::Io { store: place.shown(), message });
    }
    if data.len() < FILE as u64 {
        // All of its room is taken now, so that a full medium does not stop it later.
        platform::write_at(&file, &vec![0; FILE - data.len() as usize], data.len())
            .map_err(|error| place.io(&error))?;
    }
    Ok(file)
}

/// The slots that say something. A mark in which something is written and nothing can be read is damage.
fn slots(place: &Place) -> Result<Vec<Slot>, StoreError> {
    let path = place.beside("-high");
    let whole = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(place.io(&error)),
        Ok(data) if !data.is_file() => {
            let message = format!("{} is no plain file", path.display());
            return Err(StoreError::Io { store: place.shown(), message });
        }
        Ok(_) => fs::read(&path).map_err(|error| place.io(&error))?,
    };
    let sectors = || whole.chunks(SECTOR as usize).take(4);
    let slots: Vec<Slot> = sectors().filter_map(Slot::read).collect();
    if slots.is_empty() && sectors().any(|sector| sector.iter().any(|byte| *byte != 0)) {
        let message = format!(
            "{} cannot be read, so that nobody knows whether commits are missing; verify the database and remove it",
            path.display()
        );
        return Err(StoreError::Corrupt { subject: place.shown(), message });
    }
    Ok(slots)
}

impl Slot {
    fn bytes(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..32].copy_from_slice(&self.commits.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.boot.to_le_bytes());
        let sum = blake3::hash(&bytes[..40]);
        bytes[40..].copy_from_slice(&sum.as_bytes()[..8]);
        bytes
    }

    fn read(sector: &[u8]) -> Option<Self> {
        let bytes = sector.first_chunk::<SLOT>()?;
        let number = |at: usize| bytes[at..].first_chunk().map(|eight| u64::from_le_bytes(*eight));
        let slot = Self { id: *bytes[8..].first_chunk()?, commits: number(24)?, boot: number(32)? };
        (slot.bytes() == *bytes).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn place(folder: &tempfile::TempDir) -> Place {
        Place::find(&folder.path().join("x.db")).unwrap()
    }

    #[test]
    fn fewer_commits_than_noted_are_damage() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let mark = High::open(&place, ID, || Ok(0), true).unwrap();
        for commits in 1..=9 {
            mark.note(Durability::Full, commits);
        }
        High::open(&place, ID, || Ok(9), false).unwrap();
        High::open(&place, ID, || Ok(10), false).unwrap();
        let error = High::open(&place, ID, || Ok(6), true).unwrap_err().told(&place);
        assert!(error.to_string().contains("commit 9 was made, the file ends at commit 6: 3 are lost"), "{error}");
        assert!(check_empty(&place).is_err());
    }

    #[test]
    fn what_a_relaxed_commit_notes_ends_with_the_power() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let mark = High { boot: Some(1), ..High::open(&place, ID, || Ok(0), true).unwrap() };
        mark.note(Durability::Full, 3);
        mark.note(Durability::Relaxed, 8);
        High::open(&place, ID, || Ok(3), false).unwrap();
        assert!(High::open(&place, ID, || Ok(2), false).is_err());
    }

    #[test]
    fn one_damaged_slot_leaves_the_other_and_two_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let mark = High::open(&place, ID, || Ok(0), true).unwrap();
        mark.note(Durability::Full, 4);
        mark.note(Durability::Full, 5);
        let file = mark.file.as_ref().unwrap();
        platform::write_at(file, b"x", SECTOR + 30).unwrap();
        High::open(&place, ID, || Ok(4), false).unwrap();
        assert!(High::open(&place, ID, || Ok(3), false).is_err());
        platform::write_at(file, b"x", 30).unwrap();
        let error = High::open(&place, ID, || Ok(5), false).unwrap_err().told(&place);
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }

    #[test]
    fn the_mark_of_another_database_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        High::open(&place, ID, || Ok(0), true).unwrap().note(Durability::Full, 4);
        High::open(&place, [8; 16], || Ok(1), true).unwrap();
        High::open(&place, ID, || Ok(0), true).unwrap();
    }
}
