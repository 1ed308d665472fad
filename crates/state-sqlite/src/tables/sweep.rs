//! What nobody needs any more.

use std::collections::HashMap;
use std::time::Duration;

use atomr_agents_state::{BlobId, Swept};
use rusqlite::Connection;

use super::Tx;
use super::blobs::TOUCH_MS;
use crate::fault::{Fault, damaged};
use crate::sum::unpack;

/// Removes blobs that nothing names and nobody has written for `grace`, and leases that were let go.
pub(crate) fn sweep(tx: &Tx<'_>, grace: Duration) -> Result<Swept, Fault> {
    // How long ago a blob was written is known to TOUCH_MS only: what may still be within its grace is kept.
    let grace_ms = match u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) {
        0 => 0,
        some => some.saturating_add(TOUCH_MS),
    };
    let mut loose = old(tx.conn, tx.now_ms.saturating_sub(grace_ms))?;
    if !loose.is_empty() {
        named(tx.conn, "SELECT refs FROM records WHERE refs IS NOT NULL", &mut loose)?;
        named(tx.conn, "SELECT refs FROM entries WHERE refs IS NOT NULL", &mut loose)?;
    }
    let mut swept = Swept::default();
    let mut size = tx.conn.prepare_cached("SELECT length(body) FROM bodies WHERE id = ?1")?;
    let mut remove_body = tx.conn.prepare_cached("DELETE FROM bodies WHERE id = ?1")?;
    let mut remove = tx.conn.prepare_cached("DELETE FROM blobs WHERE id = ?1")?;
    for (id, body) in loose {
        let bytes: i64 = size.query_row([body], |row| row.get(0))?;
        remove_body.execute([body])?;
        remove.execute([id.as_bytes()])?;
        swept.blobs += 1;
        swept.bytes += bytes.cast_unsigned();
    }
    tx.known.forget();
    tx.conn.prepare_cached("DELETE FROM leases WHERE until = 0 AND token < ?1")?.execute([tx.commit.cast_signed()])?;
    Ok(swept)
}

/// Blobs that were last written at `until_ms` or before, and where their bodies are.
fn old(conn: &Connection, until_ms: u64) -> Result<HashMap<BlobId, i64>, Fault> {
    let mut statement = conn.prepare_cached("SELECT id, body FROM blobs WHERE used <= ?1")?;
    let mut rows = statement.query([until_ms.cast_signed()])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        found.insert(BlobId::from_bytes(row.get(0)?), row.get(1)?);
    }
    Ok(found)
}

/// Takes out what a column of references names.
fn named(conn: &Connection, sql: &str, loose: &mut HashMap<BlobId, i64>) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let packed = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let ids = unpack(packed).ok_or_else(|| damaged("a reference", "it is no whole number of ids"))?;
        for id in ids {
            loose.remove(&id);
        }
    }
    Ok(())
}
