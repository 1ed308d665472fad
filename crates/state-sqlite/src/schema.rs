//! Tables, and how older formats become today's.

use atomr_agents_state::StoreError;
use rusqlite::{Connection, OptionalExtension};

use crate::fault::{Fault, damaged};
use crate::place::Place;
use crate::tables::Head;

/// The newest format that is known here: one migration for each.
pub(crate) const FORMAT: u32 = MIGRATIONS.len() as u32;

/// Says in the header whose database this is: "atmr".
const APPLICATION: i64 = 0x6174_6d72;

/// From nothing to format 1, from 1 to 2 …
///
/// Columns that are often read stand before the long one, so that reading them does not touch its overflow pages. The
/// twins hold each name a second time, in another tree: a name counts as absent when neither has it.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES ('id', randomblob(16));
    CREATE TABLE head (
        one INTEGER PRIMARY KEY, commits INTEGER NOT NULL, tails BLOB NOT NULL, sum INTEGER NOT NULL);
    INSERT INTO head VALUES (1, 0, x'', 0);

    CREATE TABLE records (
        id INTEGER PRIMARY KEY, space TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        due INTEGER, refs BLOB, sum INTEGER NOT NULL, value BLOB NOT NULL);
    CREATE UNIQUE INDEX records_name ON records (space, name);
    CREATE UNIQUE INDEX records_twin ON records (name, space);
    CREATE INDEX records_due ON records (space, due, name) WHERE due IS NOT NULL;

    CREATE TABLE logs (
        id INTEGER PRIMARY KEY, space TEXT NOT NULL, name TEXT NOT NULL,
        first INTEGER NOT NULL, end INTEGER NOT NULL, sum INTEGER NOT NULL);
    CREATE UNIQUE INDEX logs_name ON logs (space, name);
    CREATE UNIQUE INDEX logs_twin ON logs (name, space);
    CREATE TABLE entries (at INTEGER PRIMARY KEY, refs BLOB, sum INTEGER NOT NULL, body BLOB NOT NULL);

    CREATE TABLE blobs (id BLOB PRIMARY KEY, body INTEGER NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE bodies (id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, body BLOB NOT NULL);

    CREATE TABLE leases (
        space TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, token INTEGER NOT NULL, until INTEGER NOT NULL,
        sum INTEGER NOT NULL, PRIMARY KEY (space, name)) WITHOUT ROWID;
"];

/// Makes the tables in an empty database, or brings them to today's format. Gives the id of the database.
pub(crate) fn ensure(conn: &Connection, place: &Place) -> Result<[u8; 16], Fault> {
    if format(conn, place)? < FORMAT {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        match migrate(conn, place) {
            Ok(()) => conn.execute_batch("COMMIT")?,
            Err(fault) => {
                // The first fault is the one to tell.
                let _ = conn.execute_batch("ROLLBACK");
                return Err(fault);
            }
        }
    }
    id(conn, place)
}

fn migrate(conn: &Connection, place: &Place) -> Result<(), Fault> {
    // Another process may have done it in the meantime.
    let from = format(conn, place)?;
    for migration in MIGRATIONS.iter().skip(from as usize) {
        conn.execute_batch(migration)?;
    }
    if from == 0 {
        Head::default().write(conn)?;
    }
    conn.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?1)", [FORMAT])?;
    conn.pragma_update(None, "application_id", APPLICATION)?;
    Ok(())
}

/// The format of a database, 0 for one without tables.
pub(crate) fn format(conn: &Connection, place: &Place) -> Result<u32, Fault> {
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION {
        let message = format!("{} is a database of another program", place.shown());
        return Err(StoreError::Config { setting: "path", message }.into());
    }
    let found = conn.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0)).optional()?;
    let Some(found) = found else {
        return Err(damaged(place.shown(), "it does not say which format it has"));
    };
    if found > FORMAT {
        return Err(StoreError::UnsupportedFormat { subject: place.shown(), found, supported: FORMAT }.into());
    }
    Ok(found)
}

fn id(conn: &Connection, place: &Place) -> Result<[u8; 16], Fault> {
    let found = conn.query_row("SELECT value FROM meta WHERE name = 'id'", [], |row| row.get(0)).optional()?;
    found.ok_or_else(|| damaged(place.shown(), "it has no id"))
}
