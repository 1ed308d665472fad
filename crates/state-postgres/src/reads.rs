//! What is there.

use std::collections::HashMap;

use atomr_agents_postgres::{Server, number, number_or_none, signed};
use atomr_agents_state::{BlobId, Entry, Key, Record, Scan, StoreError};
use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::numbers::ids;

/// The statements of the reads.
#[derive(Debug)]
pub(crate) struct ReadSql {
    get: String,
    forward: String,
    backward: String,
    entries: String,
    end: String,
    blobs: String,
    now: String,
}

impl ReadSql {
    pub(crate) fn new(server: &Server) -> Self {
        let of = |sql: &str| server.schema().of(sql);
        let scan = "SELECT name, version, value, refs, due_ms FROM SCHEMA.records
            WHERE space = $1 AND name >= $2 AND ($3::text IS NULL OR name < $3) AND ($4::text IS NULL OR name";
        Self {
            get: of("SELECT version, value, refs, due_ms FROM SCHEMA.records WHERE space = $1 AND name = $2"),
            forward: of(&format!("{scan} > $4) ORDER BY name LIMIT $5")),
            backward: of(&format!("{scan} < $4) ORDER BY name DESC LIMIT $5")),
            entries: of("SELECT e.at, e.body, e.refs FROM SCHEMA.logs l JOIN SCHEMA.entries e ON e.log = l.id
                WHERE l.space = $1 AND l.name = $2 AND e.at >= $3 ORDER BY e.at LIMIT $4"),
            end: of("SELECT next FROM SCHEMA.logs WHERE space = $1 AND name = $2"),
            blobs: of("SELECT id, bytes FROM SCHEMA.blobs WHERE id = ANY ($1)"),
            now: of("SELECT SCHEMA.now_ms()"),
        }
    }
}

pub(crate) async fn get(server: &Server, sql: &ReadSql, key: &Key) -> Result<Option<Record>, StoreError> {
    let args = [(&key.space() as _, Type::TEXT), (&key.name() as _, Type::TEXT)];
    let rows = server.ask(&sql.get, &args).await?;
    rows.first().map(|row| record(server, row, 0)).transpose()
}

pub(crate) async fn scan(server: &Server, sql: &ReadSql, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
    let space = without_nul(&scan.space);
    let (prefix, after) = (without_nul(&scan.prefix), scan.after.as_deref().map(without_nul));
    let (above, limit) = (above(&prefix), signed(scan.limit as u64));
    let args = [
        (&space as _, Type::TEXT),
        (&prefix as _, Type::TEXT),
        (&above as _, Type::TEXT),
        (&after as _, Type::TEXT),
        (&limit as _, Type::INT8),
    ];
    let rows = server.ask(if scan.reverse { &sql.backward } else { &sql.forward }, &args).await?;
    let found = rows.iter().map(|row| {
        let name: &str = row.try_get(0).map_err(|error| server.odd(error))?;
        Ok((key(server, &scan.space, name)?, record(server, row, 1)?))
    });
    found.collect()
}

pub(crate) async fn read(
    server: &Server,
    sql: &ReadSql,
    stream: &Key,
    from: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let (from, limit) = (signed(from), signed(limit as u64));
    let args = [
        (&stream.space() as _, Type::TEXT),
        (&stream.name() as _, Type::TEXT),
        (&from as _, Type::INT8),
        (&limit as _, Type::INT8),
    ];
    let rows = server.ask(&sql.entries, &args).await?;
    let entries = rows
        .iter()
        .map(|row| Ok(Entry { at: number(server, row, 0)?, body: bytes(server, row, 1)?, refs: ids(server, row, 2)? }));
    entries.collect()
}

pub(crate) async fn end(server: &Server, sql: &ReadSql, stream: &Key) -> Result<u64, StoreError> {
    let args = [(&stream.space() as _, Type::TEXT), (&stream.name() as _, Type::TEXT)];
    let rows = server.ask(&sql.end, &args).await?;
    rows.first().map_or(Ok(0), |row| number(server, row, 0))
}

pub(crate) async fn blobs(server: &Server, sql: &ReadSql, wanted: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<&[u8]> = wanted.iter().map(|id| &id.as_bytes()[..]).collect();
    let rows = server.ask(&sql.blobs, &[(&asked, Type::BYTEA_ARRAY)]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        for id in ids(server, row, 0)? {
            found.insert(id, bytes(server, row, 1)?);
        }
    }
    Ok(wanted.iter().map(|id| found.get(id).cloned()).collect())
}

pub(crate) async fn now_ms(server: &Server, sql: &ReadSql) -> Result<u64, StoreError> {
    number(server, &server.ask_one(&sql.now, &[]).await?, 0)
}

/// A record whose columns begin at `at`.
pub(crate) fn record(server: &Server, row: &Row, at: usize) -> Result<Record, StoreError> {
    Ok(Record {
        version: number(server, row, at)?,
        value: bytes(server, row, at + 1)?,
        refs: ids(server, row, at + 2)?,
        due_ms: number_or_none(server, row, at + 3)?,
    })
}

/// A key that came back.
pub(crate) fn key(server: &Server, space: &str, name: &str) -> Result<Key, StoreError> {
    Key::new(space, name).map_err(|error| server.odd(error))
}

fn bytes(server: &Server, row: &Row, at: usize) -> Result<Bytes, StoreError> {
    row.try_get::<_, &[u8]>(at).map(Bytes::copy_from_slice).map_err(|error| server.odd(error))
}

/// The database takes no NUL, and no name has a control character: any other stands at the same place among names.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{1}")
}

/// The first text after all that begin with `prefix`; `None` where there is no end.
fn above(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text_of_its_length() {
        assert_eq!(above("ab").as_deref(), Some("ac"));
        assert_eq!(above("").as_deref(), None);
        assert_eq!(above("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(above("\u{10ffff}"), None);
        assert_eq!(above("\u{d7ff}").as_deref(), Some("\u{e000}"), "past what is no character");
    }
}
