//! Records.

use atomr_agents_state::{BlobId, Expect, Key, Record, Scan, StoreError};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};

use super::conflict;
use crate::fault::{Fault, damaged};
use crate::sum::{Sum, pack, unpack};

/// What a record becomes.
pub(super) struct New<'a> {
    pub(super) value: &'a Bytes,
    pub(super) refs: &'a [BlobId],
    pub(super) due_ms: Option<u64>,
}

/// The columns after the name, in the order of the queries.
struct Columns {
    version: i64,
    due: Option<i64>,
    refs: Option<Vec<u8>>,
    sum: i64,
    value: Vec<u8>,
}

impl Columns {
    fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            version: row.get(at)?,
            due: row.get(at + 1)?,
            refs: row.get(at + 2)?,
            sum: row.get(at + 3)?,
            value: row.get(at + 4)?,
        })
    }

    fn record(self, key: &Key) -> Result<Record, Fault> {
        let bad = || damaged(key, "its record is not what was written");
        let packed = self.refs.as_deref().unwrap_or_default();
        if sum(key, self.version, self.due, packed, &self.value) != self.sum {
            return Err(bad());
        }
        Ok(Record {
            version: self.version.cast_unsigned(),
            refs: unpack(packed).ok_or_else(bad)?,
            due_ms: self.due.map(i64::cast_unsigned),
            value: Bytes::from(self.value),
        })
    }
}

fn sum(key: &Key, version: i64, due: Option<i64>, refs: &[u8], value: &[u8]) -> i64 {
    let due = due.unwrap_or(-1);
    Sum::of("record").text(key.space()).text(key.name()).number(version).number(due).bytes(refs).bytes(value).end()
}

/// The row of a record and what it says.
fn find(conn: &Connection, key: &Key) -> Result<Option<(i64, Record)>, Fault> {
    let names = (key.space(), key.name());
    let found = conn
        .prepare_cached(
            "SELECT id, version, due, refs, sum, value FROM records INDEXED BY records_name WHERE space = ?1 AND name = ?2",
        )?
        .query_row(names, |row| Ok((row.get(0)?, Columns::read(row, 1)?)))
        .optional()?;
    if let Some((id, columns)) = found {
        return Ok(Some((id, columns.record(key)?)));
    }
    let twin = conn
        .prepare_cached("SELECT 1 FROM records INDEXED BY records_twin WHERE space = ?1 AND name = ?2")?
        .exists(names)?;
    if twin { Err(damaged(key, "its record is in one index and not in the other")) } else { Ok(None) }
}

/// The record under a key, read in a transaction of the caller.
pub(crate) fn get(conn: &Connection, key: &Key) -> Result<Option<Record>, Fault> {
    Ok(find(conn, key)?.map(|(_, record)| record))
}

pub(super) fn put(conn: &Connection, key: &Key, new: &New<'_>, expect: Expect) -> Result<(), Fault> {
    let due = new.due_ms.map(i64::try_from).transpose().map_err(|_| StoreError::Config {
        setting: "due_ms",
        message: format!("{key} is due at a time that SQLite cannot store"),
    })?;
    let before = find(conn, key)?;
    let version = before.as_ref().map_or(0, |(_, record)| record.version);
    expected(key, expect, version)?;
    let version = (version + 1).cast_signed();
    let refs = pack(new.refs);
    let sum = sum(key, version, due, refs.as_deref().unwrap_or_default(), new.value);
    if let Some((id, _)) = before {
        conn.prepare_cached(
            "UPDATE records SET version = ?2, due = ?3, refs = ?4, sum = ?5, value = ?6 WHERE id = ?1",
        )?
        .execute((id, version, due, refs, sum, &new.value[..]))?;
    } else {
        conn.prepare_cached(
            "INSERT INTO records (space, name, version, due, refs, sum, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((key.space(), key.name(), version, due, refs, sum, &new.value[..]))?;
    }
    Ok(())
}

pub(super) fn delete(conn: &Connection, key: &Key, expect: Expect) -> Result<(), Fault> {
    let before = find(conn, key)?;
    expected(key, expect, before.as_ref().map_or(0, |(_, record)| record.version))?;
    if let Some((id, _)) = before {
        conn.prepare_cached("DELETE FROM records WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn expected(key: &Key, expect: Expect, have: u64) -> Result<(), StoreError> {
    let found = || if have == 0 { "nothing".to_owned() } else { format!("version {have}") };
    match expect {
        Expect::Absent if have != 0 => Err(conflict(key, "nothing", found())),
        Expect::Version(version) if have != version => Err(conflict(key, format!("version {version}"), found())),
        _ => Ok(()),
    }
}

/// Records of a space in the order of their names.
pub(crate) fn scan(conn: &Connection, scan: &Scan) -> Result<Vec<(Key, Record)>, Fault> {
    // Names with a prefix lie between it and it with a byte that no text has. A name is followed by itself and a NUL.
    let mut low = scan.prefix.clone().into_bytes();
    let mut high = [scan.prefix.as_bytes(), &[0xff]].concat();
    if let Some(after) = &scan.after {
        if scan.reverse {
            high = high.min(after.clone().into_bytes());
        } else {
            low = low.max([after.as_bytes(), &[0]].concat());
        }
    }
    let sql = if scan.reverse {
        "SELECT name, version, due, refs, sum, value FROM records INDEXED BY records_name
         WHERE space = ?1 AND name >= CAST(?2 AS TEXT) AND name < CAST(?3 AS TEXT) ORDER BY name DESC LIMIT ?4"
    } else {
        "SELECT name, version, due, refs, sum, value FROM records INDEXED BY records_name
         WHERE space = ?1 AND name >= CAST(?2 AS TEXT) AND name < CAST(?3 AS TEXT) ORDER BY name LIMIT ?4"
    };
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((&scan.space, low, high, limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key = named(&scan.space, row, 0)?;
        let record = Columns::read(row, 1)?.record(&key)?;
        found.push((key, record));
    }
    Ok(found)
}

/// Up to `limit` records of a space that are due and that nobody holds, the longest due first.
pub(super) fn due(conn: &Connection, space: &str, now_ms: i64, limit: usize) -> Result<Vec<(Key, Record)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT name, version, due, refs, sum, value FROM records AS record INDEXED BY records_due
         WHERE space = ?1 AND due IS NOT NULL AND due <= ?2 AND NOT EXISTS (
             SELECT 1 FROM leases WHERE leases.space = record.space AND leases.name = record.name AND leases.until > ?2)
         ORDER BY due, name LIMIT ?3",
    )?;
    let mut rows = statement.query((space, now_ms, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key = named(space, row, 0)?;
        let record = Columns::read(row, 1)?.record(&key)?;
        found.push((key, record));
    }
    Ok(found)
}

/// The key of a row. A name that could not have been written is damage.
fn named(space: &str, row: &Row<'_>, at: usize) -> Result<Key, Fault> {
    let name: String = row.get(at)?;
    Key::new(space, &name).map_err(|error| damaged(format!("a name of {space}"), error.to_string()))
}
