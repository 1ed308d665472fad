//! Logs.

use atomr_agents_state::{Entry, Key, NewEntry, StoreError};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::{Head, Known, Tx, conflict};
use crate::fault::{Fault, damaged};
use crate::sum::{Sum, pack, unpack};

/// The number of a log and the position of an entry share the 63 bits of a row's number, so that the entries of a log lie
/// together in one tree and a long entry fills its pages.
const POSITION_BITS: u32 = 32;
const ENTRIES_MAX: u64 = u32::MAX as u64;
const LOGS_MAX: i64 = i32::MAX as i64;

/// A log: entries from `first` to before `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    id: i64,
    first: u64,
    end: u64,
}

impl Log {
    fn row(self, position: u64) -> i64 {
        (self.id << POSITION_BITS) + position.cast_signed()
    }

    fn sum(self, key: &Key) -> i64 {
        let ends = Sum::of("log").text(key.space()).text(key.name()).number(self.id);
        ends.number(self.first.cast_signed()).number(self.end.cast_signed()).end()
    }
}

fn entry_sum(row: i64, refs: &[u8], body: &[u8]) -> i64 {
    Sum::of("entry").number(row).bytes(refs).bytes(body).end()
}

/// What the row of a log says. Where it ends may be said by the head.
fn find(conn: &Connection, key: &Key) -> Result<Option<Log>, Fault> {
    let names = (key.space(), key.name());
    let found = conn
        .prepare_cached("SELECT id, first, end, sum FROM logs INDEXED BY logs_name WHERE space = ?1 AND name = ?2")?
        .query_row(names, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?)))
        .optional()?;
    if let Some((id, first, end, sum)) = found {
        let log = Log { id, first: first.cast_unsigned(), end: end.cast_unsigned() };
        if log.sum(key) != sum || log.first > log.end || log.end > ENTRIES_MAX {
            return Err(damaged(key, "where its log begins and ends is not what was written"));
        }
        return Ok(Some(log));
    }
    let twin =
        conn.prepare_cached("SELECT 1 FROM logs INDEXED BY logs_twin WHERE space = ?1 AND name = ?2")?.exists(names)?;
    if twin { Err(damaged(key, "its log is in one index and not in the other")) } else { Ok(None) }
}

/// A log with its end.
fn whole(head: &Head, key: &Key, row: Option<Log>) -> Result<Option<Log>, Fault> {
    let Some(mut log) = row else { return Ok(None) };
    if let Some(end) = head.end(log.id) {
        if end < log.end || end > ENTRIES_MAX {
            return Err(damaged(key, "where its log ends is not what was written"));
        }
        log.end = end;
    }
    Ok(Some(log))
}

/// A log, read in a transaction that only reads.
fn look(conn: &Connection, key: &Key) -> Result<Option<Log>, Fault> {
    match find(conn, key)? {
        None => Ok(None),
        row => whole(&Head::read(conn, None)?.0, key, row),
    }
}

/// A log in a transaction that writes. Its row is read unless nobody has written since it was, see [`Known`].
fn open(tx: &Tx<'_>, key: &Key) -> Result<Option<Log>, Fault> {
    let known = tx.known.logs.borrow().get(key).copied();
    let row = match known {
        Some(log) => Some(log),
        None => find(tx.conn, key)?,
    };
    if let (Some(row), None) = (row, known) {
        Known::note(&tx.known.logs, key, row);
    }
    whole(&tx.head.borrow(), key, row)
}

/// Where the next entry goes, read in a transaction of the caller.
pub(crate) fn end(conn: &Connection, key: &Key) -> Result<u64, Fault> {
    Ok(look(conn, key)?.map_or(0, |log| log.end))
}

/// Entries from a position on, read in a transaction of the caller.
pub(crate) fn read(conn: &Connection, key: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, Fault> {
    let Some(log) = look(conn, key)? else { return Ok(Vec::new()) };
    let from = from.max(log.first);
    let to = from.saturating_add(limit as u64).min(log.end);
    let mut entries = Vec::new();
    if from >= to {
        return Ok(entries);
    }
    let mut statement =
        conn.prepare_cached("SELECT at, refs, sum, body FROM entries WHERE at >= ?1 AND at < ?2 ORDER BY at")?;
    let mut rows = statement.query((log.row(from), log.row(to)))?;
    for at in from..to {
        let missing = || damaged(key, format!("its entry {at} is missing"));
        let row = rows.next()?.ok_or_else(missing)?;
        let number: i64 = row.get(0)?;
        if number != log.row(at) {
            return Err(missing());
        }
        let (refs, sum, body): (Option<Vec<u8>>, i64, Vec<u8>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let packed = refs.as_deref().unwrap_or_default();
        match unpack(packed) {
            Some(refs) if entry_sum(number, packed, &body) == sum => {
                entries.push(Entry { at, body: Bytes::from(body), refs });
            }
            _ => return Err(damaged(key, format!("its entry {at} is not what was written"))),
        }
    }
    Ok(entries)
}

pub(super) fn append(tx: &Tx<'_>, key: &Key, at: Option<u64>, entries: &[NewEntry]) -> Result<(), Fault> {
    let before = open(tx, key)?;
    let end = before.map_or(0, |log| log.end);
    if let Some(at) = at.filter(|at| *at != end) {
        return Err(conflict(key, format!("an end at {at}"), format!("one at {end}")).into());
    }
    if entries.is_empty() {
        return Ok(());
    }
    let mut log = match before {
        Some(log) => log,
        None => make(tx, key)?,
    };
    if entries.len() as u64 > ENTRIES_MAX - log.end {
        return Err(full(tx, format!("{key} would have more than {ENTRIES_MAX} entries")));
    }
    let mut insert = tx.conn.prepare_cached("INSERT INTO entries (at, refs, sum, body) VALUES (?1, ?2, ?3, ?4)")?;
    for entry in entries {
        let (row, refs) = (log.row(log.end), pack(&entry.refs));
        let sum = entry_sum(row, refs.as_deref().unwrap_or_default(), &entry.body);
        insert.execute((row, refs, sum, &entry.body[..]))?;
        log.end += 1;
    }
    let evicted = tx.head.borrow_mut().moved(log.id, log.end);
    evicted.map_or(Ok(()), |(id, end)| settle(tx, id, end))
}

fn make(tx: &Tx<'_>, key: &Key) -> Result<Log, Fault> {
    let mut insert =
        tx.conn.prepare_cached("INSERT INTO logs (space, name, first, end, sum) VALUES (?1, ?2, 0, 0, 0)")?;
    let id = insert.insert((key.space(), key.name()))?;
    if id > LOGS_MAX {
        return Err(full(tx, format!("{key} would be log {id}, and {LOGS_MAX} is the last")));
    }
    let log = Log { id, first: 0, end: 0 };
    moved(tx, key, log)?;
    Ok(log)
}

fn full(tx: &Tx<'_>, message: String) -> Fault {
    StoreError::Full { store: tx.place.shown(), message }.into()
}

/// Writes where a log begins and ends into its row.
fn moved(tx: &Tx<'_>, key: &Key, log: Log) -> Result<(), Fault> {
    tx.known.logs.borrow_mut().remove(key);
    tx.conn.prepare_cached("UPDATE logs SET first = ?2, end = ?3, sum = ?4 WHERE id = ?1")?.execute((
        log.id,
        log.first.cast_signed(),
        log.end.cast_signed(),
        log.sum(key),
    ))?;
    Ok(())
}

/// Writes where a log ends into its row, as the head says it no more.
fn settle(tx: &Tx<'_>, id: i64, end: u64) -> Result<(), Fault> {
    let lost = || damaged(format!("log {id}"), "the head says where it ends, and it is not there");
    let mut select = tx.conn.prepare_cached("SELECT space, name FROM logs WHERE id = ?1")?;
    let mut rows = select.query([id])?;
    let row = rows.next()?.ok_or_else(lost)?;
    let (space, name): (String, String) = (row.get(0)?, row.get(1)?);
    drop(rows);
    let key = Key::new(&space, &name).map_err(|error| damaged(format!("log {id}"), error.to_string()))?;
    match find(tx.conn, &key)? {
        Some(log) if log.id == id => moved(tx, &key, Log { end, ..log }),
        _ => Err(lost()),
    }
}

pub(super) fn cut(tx: &Tx<'_>, key: &Key, before: u64) -> Result<(), Fault> {
    let Some(mut log) = open(tx, key)? else { return Ok(()) };
    let first = before.clamp(log.first, log.end);
    if first == log.first {
        return Ok(());
    }
    erase(tx.conn, log.row(log.first), log.row(first))?;
    log.first = first;
    tx.head.borrow_mut().forget(log.id);
    moved(tx, key, log)
}

pub(super) fn remove(tx: &Tx<'_>, key: &Key) -> Result<(), Fault> {
    let Some(log) = open(tx, key)? else { return Ok(()) };
    erase(tx.conn, log.row(0), log.row(log.end))?;
    tx.head.borrow_mut().forget(log.id);
    tx.known.logs.borrow_mut().remove(key);
    tx.conn.prepare_cached("DELETE FROM logs WHERE id = ?1")?.execute([log.id])?;
    Ok(())
}

/// How many entries all logs have together.
pub(crate) fn count(conn: &Connection) -> Result<i64, Fault> {
    let (head, _) = Head::read(conn, None)?;
    let mut statement = conn.prepare("SELECT CAST(total(end - first) AS INTEGER) FROM logs")?;
    let total: i64 = statement.query_row([], |row| row.get(0))?;
    let mut more = 0;
    for id in head.logs() {
        let found =
            conn.query_row("SELECT end FROM logs WHERE id = ?1", [id], |row| row.get::<_, i64>(0)).optional()?;
        let end =
            found.ok_or_else(|| damaged(format!("log {id}"), "the head says where it ends, and it is not there"))?;
        more += head.end(id).unwrap_or_default().cast_signed() - end;
    }
    Ok(total + more)
}

fn erase(conn: &Connection, from: i64, to: i64) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM entries WHERE at >= ?1 AND at < ?2")?.execute((from, to))?;
    Ok(())
}
