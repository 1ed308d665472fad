//! Whether everything is what was written.

use std::collections::HashSet;

use atomr_agents_state::{BlobId, Key, StoreError};
use rusqlite::Connection;

use crate::fault::Fault;
use crate::place::Place;
use crate::tables;

/// Something in a database that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The record, log, blob or file.
    pub subject: String,
    /// What is wrong with it.
    pub message: String,
}

/// How much is told at most: a file that is broken everywhere need not be described.
const MOST: usize = 1_000;
const STEP: usize = 256;

#[derive(Debug)]
struct Findings<'a> {
    conn: &'a Connection,
    place: &'a Place,
    found: Vec<Damage>,
    blobs: HashSet<BlobId>,
}

/// Reads everything, in a transaction of the caller. An error is what the medium did wrong, not what was found.
pub(crate) fn verify(conn: &Connection, place: &Place) -> Result<Vec<Damage>, Fault> {
    let mut findings = Findings { conn, place, found: Vec::new(), blobs: HashSet::new() };
    for check in [structure, blobs, records, logs, leases, strays] {
        let result = check(&mut findings);
        findings.note(result)?;
    }
    findings.found.truncate(MOST);
    Ok(findings.found)
}

impl Findings<'_> {
    fn add(&mut self, subject: String, message: String) {
        if self.found.len() < MOST {
            self.found.push(Damage { subject, message });
        }
    }

    /// Damage is a finding, and anything else an error.
    fn note<T>(&mut self, result: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match result.map_err(|fault| fault.told(self.place)) {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::Corrupt { subject, message }) => {
                self.add(subject, message);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn refs(&mut self, subject: &str, refs: &[BlobId]) {
        for id in refs.iter().filter(|id| !self.blobs.contains(id)).collect::<Vec<_>>() {
            self.add(subject.to_owned(), format!("it needs blob {id}, which is not there"));
        }
    }

    fn keys(&mut self, sql: &str) -> Result<Vec<Key>, Fault> {
        let mut statement = self.conn.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let (space, name): (String, String) = (row.get(0)?, row.get(1)?);
            match Key::new(&space, &name) {
                Ok(key) => keys.push(key),
                Err(error) => self.add(format!("{space}/{name}"), error.to_string()),
            }
        }
        Ok(keys)
    }
}

fn structure(findings: &mut Findings<'_>) -> Result<(), Fault> {
    let mut statement = findings.conn.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            findings.add(findings.place.shown(), line);
        }
    }
    Ok(())
}

fn blobs(findings: &mut Findings<'_>) -> Result<(), Fault> {
    let mut statement = findings.conn.prepare("SELECT id FROM blobs")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = BlobId::from_bytes(row.get(0)?);
        findings.blobs.insert(id);
        let read = tables::get_blob(findings.conn, &id);
        findings.note(read)?;
    }
    Ok(())
}

fn records(findings: &mut Findings<'_>) -> Result<(), Fault> {
    for key in findings.keys("SELECT space, name FROM records NOT INDEXED")? {
        let read = tables::get_record(findings.conn, &key);
        if let Some(Some(record)) = findings.note(read)? {
            findings.refs(&key.to_string(), &record.refs);
        }
    }
    Ok(())
}

fn logs(findings: &mut Findings<'_>) -> Result<(), Fault> {
    for key in findings.keys("SELECT space, name FROM logs NOT INDEXED")? {
        let mut from = 0;
        loop {
            let read = tables::read(findings.conn, &key, from, STEP);
            let Some(entries) = findings.note(read)? else { break };
            let Some(last) = entries.last() else { break };
            from = last.at + 1;
            for entry in &entries {
                findings.refs(&format!("{key}, entry {}", entry.at), &entry.refs);
            }
        }
    }
    Ok(())
}

fn leases(findings: &mut Findings<'_>) -> Result<(), Fault> {
    for key in findings.keys("SELECT space, name FROM leases")? {
        let read = tables::newest_token(findings.conn, &key);
        findings.note(read)?;
    }
    Ok(())
}

/// Rows that belong to nothing.
fn strays(findings: &mut Findings<'_>) -> Result<(), Fault> {
    let entries = number(findings.conn, "SELECT count(*) FROM entries")? - tables::count_entries(findings.conn)?;
    let bodies = number(findings.conn, "SELECT count(*) FROM bodies WHERE id NOT IN (SELECT body FROM blobs)")?;
    for (what, count) in [("entries", entries), ("bodies of blobs", bodies)] {
        if count != 0 {
            findings.add(findings.place.shown(), format!("it has {count} {what} that belong to nothing"));
        }
    }
    Ok(())
}

fn number(conn: &Connection, sql: &str) -> Result<i64, Fault> {
    Ok(conn.query_row(&format!("SELECT CAST(({sql}) AS INTEGER)"), [], |row| row.get(0))?)
}
