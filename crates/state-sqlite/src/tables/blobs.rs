//! Blobs.

use atomr_agents_state::BlobId;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};

use super::Tx;
use crate::fault::{Fault, damaged};
use crate::sum::Sum;

/// A blob that is written again is noted as used at most this often: noting it writes a page. [`super::sweep`] adds as much
/// to its grace.
pub(super) const TOUCH_MS: u64 = 30_000;

fn sum(id: &BlobId, body: &[u8]) -> i64 {
    Sum::of("blob").bytes(id.as_bytes()).bytes(body).end()
}

pub(super) fn put(tx: &Tx<'_>, id: &BlobId, bytes: &Bytes) -> Result<(), Fault> {
    let used: Option<i64> = tx
        .conn
        .prepare_cached("SELECT used FROM blobs WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    let now = tx.now_ms.cast_signed();
    match used {
        // A clock that was set back must not keep it for ever.
        Some(used) if used.abs_diff(now) < TOUCH_MS => {}
        Some(_) => {
            tx.conn
                .prepare_cached("UPDATE blobs SET used = ?2 WHERE id = ?1")?
                .execute((id.as_bytes().as_slice(), now))?;
        }
        None => {
            let body = tx
                .conn
                .prepare_cached("INSERT INTO bodies (sum, body) VALUES (?1, ?2)")?
                .insert((sum(id, bytes), &bytes[..]))?;
            tx.conn.prepare_cached("INSERT INTO blobs (id, body, used) VALUES (?1, ?2, ?3)")?.execute((
                id.as_bytes().as_slice(),
                body,
                now,
            ))?;
        }
    }
    Ok(())
}

/// The bytes of a blob.
pub(crate) fn get(conn: &Connection, id: &BlobId) -> Result<Option<Bytes>, Fault> {
    let found = conn
        .prepare_cached(
            "SELECT bodies.sum, bodies.body FROM blobs LEFT JOIN bodies ON bodies.id = blobs.body WHERE blobs.id = ?1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?)))
        .optional()?;
    match found {
        None => Ok(None),
        Some((Some(noted), Some(body))) if noted == sum(id, &body) => Ok(Some(Bytes::from(body))),
        Some(_) => Err(damaged(format!("blob {id}"), "its bytes are not what was written")),
    }
}
