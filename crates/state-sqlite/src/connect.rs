//! Connections to the file.

use std::thread;
use std::time::{Duration, Instant};

use atomr_agents_state::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags};

use crate::fault::{Fault, damaged};
use crate::high::{self, High};
use crate::place::Place;
use crate::schema;
use crate::tables::Head;
use crate::watch::Counted;

/// Older ones can lose a reset of the write-ahead log between two processes.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Small pages: a commit writes whole pages, and most write little.
const PAGE: u32 = 2_048;

/// At this many pages SQLite itself copies the log, in the middle of a commit. Before it comes to that, the writer's thread
/// has done it.
const LOG_LIMIT: u32 = 32_000;

/// An open database.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) conn: Counted,
    pub(crate) high: High,
}

/// Opens the file, makes it if there is none, and finds out whether it is what was written.
pub(crate) fn open(place: &Place, patience: Duration) -> Result<Opened, StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let message = format!("SQLite {} was linked, 3.51.3 is the oldest that can be used", rusqlite::version());
        return Err(StoreError::Config { setting: "sqlite", message });
    }
    let created = place.create()?;
    prepare(place, created, patience).map_err(|fault| fault.told(place))
}

fn prepare(place: &Place, created: bool, patience: Duration) -> Result<Opened, Fault> {
    let conn = connect(place)?;
    conn.busy_timeout(patience)?;
    let write = !conn.is_readonly(MAIN_DB)?;
    if schema::format(&conn, place)? == 0 {
        if !created {
            high::check_empty(place)?;
        }
        conn.pragma_update(None, "page_size", PAGE)?;
    }
    if write {
        log_ahead(&conn, place, patience)?;
        conn.pragma_update(None, "synchronous", "FULL")?;
    }
    let id = schema::ensure(&conn, place)?;
    let high = High::open(place, id, || Ok(Head::read(&conn, None)?.0.commits), write)?;
    conn.busy_timeout(Duration::ZERO)?;
    Ok(Opened { conn, high })
}

/// Switches to a write-ahead log. Two processes that do it at once disturb each other, and SQLite does not wait there.
fn log_ahead(conn: &Connection, place: &Place, patience: Duration) -> Result<(), Fault> {
    let begun = Instant::now();
    loop {
        match conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let message = format!("the medium allows no write-ahead log (journal mode {mode})");
                return Err(StoreError::Io { store: place.shown(), message }.into());
            }
            Err(error) => {
                let fault = Fault::from(error);
                if !fault.is_busy() || begun.elapsed() >= patience {
                    return Err(fault);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// One more connection to a database that is there.
pub(crate) fn connect(place: &Place) -> Result<Counted, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Counted::open(place.path(), flags)?;
    conn.set_prepared_statement_cache_capacity(64);
    // A log that a failed flush has left in doubt is not copied by closing: it is read anew.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;",
    )?;
    conn.pragma_update(None, "wal_autocheckpoint", LOG_LIMIT)?;
    Ok(conn)
}

/// One more connection, which cannot write.
pub(crate) fn reader(place: &Place) -> Result<Counted, Fault> {
    let conn = connect(place)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// Gives a connection up after a failure of the medium. Nothing is copied out of the log on the way.
pub(crate) fn abandon(conn: Counted) {
    let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    drop(conn);
}

/// Looks through the structure of a database that was opened again after a failure.
pub(crate) fn quick_check(conn: &Connection, place: &Place) -> Result<(), Fault> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(damaged(place.shown(), found)) }
}
