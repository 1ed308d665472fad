//! Room for the write-ahead log before it is needed.
//!
//! A flush of a file that has grown writes down its new length, too: in a journal of the file system, which is one more trip to
//! the disk. So a log that grows is made longer than it is needed, by zeros, and the commits that follow write into what is
//! there. SQLite reads a log up to the first frame whose salt is not that of the log, and zeros are none.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use crate::place::Place;
use crate::platform;

/// A log is made longer by as much as it has, within these bounds.
const LEAST: u64 = 128 << 10;
const MOST: u64 = 1 << 20;

/// It is made longer only where the medium has room for so many times as much.
const ROOM: u64 = 32;

/// The log as its writer knows it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Opened when it is needed. Unlike the database, nobody has locks on it that closing it would end.
    log: Option<File>,
    length: Option<u64>,
}

impl Ahead {
    /// Makes the log longer if it has grown since the last call. To be called inside of a transaction, which keeps every other
    /// process from appending, and before it is committed, so that its flush takes the zeros along. Nothing that fails here
    /// stops a commit: it only takes longer.
    pub(super) fn make(&mut self, place: &Place) {
        let path = place.beside("-wal");
        if self.log.is_none() {
            self.log = platform::open_there(&path).ok();
        }
        let Some(mut log) = self.log.as_ref() else { return };
        // Not by its metadata: a file whose times were looked at has them written anew by the next change.
        let Ok(length) = log.seek(SeekFrom::End(0)) else { return };
        let grown = self.length.replace(length).is_some_and(|before| length > before);
        let more = length.clamp(LEAST, MOST);
        if !grown || platform::room(&path).is_none_or(|room| room / ROOM < more) {
            return;
        }
        match platform::write_at(log, &vec![0; usize::try_from(more).unwrap_or(0)], length) {
            Ok(()) => self.length = Some(length + more),
            // What there was no room for shall not lack the commit.
            Err(_) => _ = log.set_len(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_was_compiled_to_flush_data_only() {
        let flags = option_env!("LIBSQLITE3_FLAGS").unwrap_or_default();
        assert!(flags.contains("-DHAVE_FDATASYNC=1"), "{flags:?}: see .cargo/config.toml");
    }

    #[test]
    fn a_log_that_grows_gets_room_and_one_that_does_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::find(&folder.path().join("x.db")).unwrap();
        let path = place.beside("-wal");
        let length = || std::fs::metadata(&path).unwrap().len();
        let mut ahead = Ahead::default();
        ahead.make(&place);
        assert!(!path.exists());
        std::fs::write(&path, [7; 5_000]).unwrap();
        ahead.make(&place);
        assert_eq!(length(), 5_000, "what was there before has not grown");
        let append = |bytes: &[u8]| {
            let file = platform::open_there(&path).unwrap();
            platform::write_at(&file, bytes, file.metadata().unwrap().len()).unwrap();
        };
        append(&[8; 1_000]);
        ahead.make(&place);
        assert_eq!(length(), 6_000 + LEAST);
        ahead.make(&place);
        assert_eq!(length(), 6_000 + LEAST);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[..6_000], [[7; 5_000].as_slice(), &[8; 1_000]].concat());
        assert!(bytes[6_000..].iter().all(|byte| *byte == 0));
        append(&vec![9; 2 << 20]);
        let before = length();
        ahead.make(&place);
        assert_eq!(length(), before + MOST);
        // Somebody cut it.
        std::fs::write(&path, []).unwrap();
        ahead.make(&place);
        assert_eq!(length(), 0);
    }
}
