//! The head of a store: how many commits it has, and where the logs end that were written last.
//!
//! Every commit writes this one row. The ends of a few logs lie in it, so that an append writes two pages and not three: that of
//! its entry and this one. A log that has not been written for a while has its end in its own row, as a log that is found
//! in here once had.

use std::cell::RefCell;
use std::collections::HashMap;

use atomr_agents_state::Key;
use rusqlite::Connection;

use super::logs::Log;
use crate::fault::{Fault, damaged};
use crate::sum::Sum;

/// What damage of it is said of.
const SUBJECT: &str = "the count of commits";

/// So many logs have their ends in the head.
const TAILS: usize = 16;

/// The number of a log and its end, in eight bytes each.
const TAIL: usize = 16;

/// The head as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) commits: u64,
    /// The log that was written last comes last.
    tails: Vec<u8>,
    sum: i64,
}

impl Head {
    /// Reads the head, and tells whether it is the one that `known` is, which was looked at before.
    pub(crate) fn read(conn: &Connection, known: Option<Self>) -> Result<(Self, bool), Fault> {
        let mut select = conn.prepare_cached("SELECT commits, tails, sum FROM head WHERE one = 1")?;
        let mut rows = select.query([])?;
        let row = rows.next()?.ok_or_else(|| damaged(SUBJECT, "it is missing"))?;
        let (commits, tails, sum): (i64, _, i64) = (row.get(0)?, row.get_ref(1)?, row.get(2)?);
        let tails = tails.as_blob().map_err(rusqlite::Error::from)?;
        if let Some(known) = known
            && (known.commits.cast_signed(), &known.tails[..], known.sum) == (commits, tails, sum)
        {
            return Ok((known, true));
        }
        let head = Self { commits: commits.cast_unsigned(), tails: tails.to_vec(), sum };
        if head.sum == head.summed() { Ok((head, false)) } else { Err(damaged(SUBJECT, "it is not what was written")) }
    }

    /// Writes it.
    pub(crate) fn write(&mut self, conn: &Connection) -> Result<(), Fault> {
        self.sum = self.summed();
        let mut update = conn.prepare_cached("UPDATE head SET commits = ?1, tails = ?2, sum = ?3 WHERE one = 1")?;
        if update.execute((self.commits.cast_signed(), &self.tails[..], self.sum))? == 1 {
            return Ok(());
        }
        Err(damaged(SUBJECT, "it is missing"))
    }

    fn summed(&self) -> i64 {
        Sum::of("head").number(self.commits.cast_signed()).bytes(&self.tails).end()
    }

    fn place(&self, log: i64) -> Option<usize> {
        let at = self.tails.chunks_exact(TAIL).rposition(|tail| tail[..8] == log.to_le_bytes())?;
        Some(at * TAIL)
    }

    /// Where a log ends, if that is said here and not in the log's own row.
    pub(crate) fn end(&self, log: i64) -> Option<u64> {
        let tail = self.tails.get(self.place(log)?..)?;
        tail.get(8..TAIL)?.first_chunk().map(|eight| u64::from_le_bytes(*eight))
    }

    /// Forgets a log: its own row says where it ends, or it is gone.
    pub(super) fn forget(&mut self, log: i64) {
        if let Some(at) = self.place(log) {
            self.tails.drain(at..at + TAIL);
        }
    }

    /// The logs whose ends are said here.
    pub(crate) fn logs(&self) -> impl Iterator<Item = i64> {
        let (tails, _) = self.tails.as_chunks::<TAIL>();
        tails.iter().filter_map(|tail| tail.first_chunk().map(|eight| i64::from_le_bytes(*eight)))
    }

    /// A log ends here now. Gives the log that has no room any more and where it ends: its row has to say it.
    pub(super) fn moved(&mut self, log: i64, end: u64) -> Option<(i64, u64)> {
        self.forget(log);
        self.tails.extend(log.to_le_bytes());
        self.tails.extend(end.to_le_bytes());
        if self.tails.len() <= TAILS * TAIL {
            return None;
        }
        let oldest: Vec<u8> = self.tails.drain(..TAIL).collect();
        let (log, end) = (oldest.first_chunk()?, oldest.last_chunk()?);
        Some((i64::from_le_bytes(*log), u64::from_le_bytes(*end)))
    }
}

/// What a connection has read and checked, for as long as it is true.
///
/// Each transaction of each process that writes a store changes its head. A transaction that finds the head that the one before
/// it on this connection left knows therefore that nobody has written in between, and that a lease or a log is still what was
/// read then: reading it again would give the same page out of SQLite's own cache, which is kept by the same rule. The
/// check of the fence is that one look at the head, in the transaction that it lets through.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The head that the last transaction left.
    pub(crate) head: Option<Head>,
    /// The newest tokens of leases.
    pub(super) tokens: RefCell<HashMap<Key, u64>>,
    /// Logs, with the ends that their rows have.
    pub(super) logs: RefCell<HashMap<Key, Log>>,
}

impl Known {
    /// How much is known at most.
    const MOST: usize = 256;

    /// Forgets what was read.
    pub(crate) fn forget(&self) {
        self.tokens.borrow_mut().clear();
        self.logs.borrow_mut().clear();
    }

    pub(super) fn note<T>(map: &RefCell<HashMap<Key, T>>, key: &Key, value: T) {
        let mut map = map.borrow_mut();
        if map.len() >= Self::MOST {
            map.clear();
        }
        map.insert(key.clone(), value);
    }
}
