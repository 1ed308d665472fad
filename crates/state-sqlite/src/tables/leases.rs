//! Leases.

use std::time::Duration;

use atomr_agents_state::{Fence, Key, Lease, Record, StoreError};
use rusqlite::{Connection, OptionalExtension};

use super::{Known, Tx, records};
use crate::fault::{Fault, damaged};
use crate::sum::Sum;

struct Held {
    owner: String,
    token: u64,
    until_ms: u64,
}

impl Held {
    fn sum(&self, key: &Key) -> i64 {
        let sum = Sum::of("lease").text(key.space()).text(key.name()).text(&self.owner);
        sum.number(self.token.cast_signed()).number(self.until_ms.cast_signed()).end()
    }
}

fn find(conn: &Connection, key: &Key) -> Result<Option<Held>, Fault> {
    let found = conn
        .prepare_cached("SELECT owner, token, until, sum FROM leases WHERE space = ?1 AND name = ?2")?
        .query_row((key.space(), key.name()), |row| {
            let (token, until): (i64, i64) = (row.get(1)?, row.get(2)?);
            let held = Held { owner: row.get(0)?, token: token.cast_unsigned(), until_ms: until.cast_unsigned() };
            Ok((held, row.get::<_, i64>(3)?))
        })
        .optional()?;
    match found {
        Some((held, sum)) if held.sum(key) != sum => Err(damaged(key, "its lease is not what was written")),
        found => Ok(found.map(|(held, _)| held)),
    }
}

fn write(tx: &Tx<'_>, key: &Key, held: &Held) -> Result<(), Fault> {
    tx.known.tokens.borrow_mut().remove(key);
    tx.conn
        .prepare_cached(
            "INSERT OR REPLACE INTO leases (space, name, owner, token, until, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            key.space(),
            key.name(),
            &held.owner,
            held.token.cast_signed(),
            held.until_ms.cast_signed(),
            held.sum(key),
        ))?;
    Ok(())
}

/// As long as a row can say: to the year 292 million.
fn until(now_ms: u64, ttl: Duration) -> u64 {
    let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    now_ms.saturating_add(ttl).min(i64::MAX.cast_unsigned())
}

/// The newest token of a lease, 0 if there is none.
pub(crate) fn newest_token(conn: &Connection, key: &Key) -> Result<u64, Fault> {
    Ok(find(conn, key)?.map_or(0, |held| held.token))
}

/// Whether a fence lets its writer through. The lease is read unless nobody has written since it was, see [`Known`].
pub(super) fn holds(tx: &Tx<'_>, fence: &Fence) -> Result<(), Fault> {
    if tx.known.tokens.borrow().get(&fence.key) == Some(&fence.token) {
        return Ok(());
    }
    held(tx.conn, fence)?;
    Known::note(&tx.known.tokens, &fence.key, fence.token);
    Ok(())
}

fn held(conn: &Connection, fence: &Fence) -> Result<Held, Fault> {
    match find(conn, &fence.key)? {
        Some(held) if held.token == fence.token => Ok(held),
        other => {
            let newest = other.map_or(0, |held| held.token);
            Err(StoreError::Fenced { key: fence.key.clone(), token: fence.token, newest }.into())
        }
    }
}

/// Tokens come from the count of commits, so that a lease that was let go can be forgotten ([`super::sweep`]) and its next
/// token is higher all the same.
fn take(tx: &Tx<'_>, key: &Key, owner: &str, ttl: Duration, before: u64) -> Result<Lease, Fault> {
    let (token, until_ms) = (tx.commit.max(before + 1), until(tx.now_ms, ttl));
    write(tx, key, &Held { owner: owner.to_owned(), token, until_ms })?;
    Ok(Lease { key: key.clone(), owner: owner.to_owned(), token, until_ms })
}

pub(crate) fn acquire(tx: &Tx<'_>, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, Fault> {
    let before = find(tx.conn, key)?;
    if let Some(held) = before.as_ref().filter(|held| held.owner != owner && held.until_ms > tx.now_ms) {
        let (owner, left_ms) = (held.owner.clone(), held.until_ms - tx.now_ms);
        return Err(StoreError::Held { key: key.clone(), owner, left_ms }.into());
    }
    take(tx, key, owner, ttl, before.map_or(0, |held| held.token))
}

pub(crate) fn renew(tx: &Tx<'_>, lease: &Lease, ttl: Duration) -> Result<Lease, Fault> {
    let held = held(tx.conn, &lease.fence())?;
    let until_ms = until(tx.now_ms, ttl);
    write(tx, &lease.key, &Held { until_ms, ..held })?;
    Ok(Lease { until_ms, ..lease.clone() })
}

pub(crate) fn release(tx: &Tx<'_>, lease: &Lease) -> Result<(), Fault> {
    match held(tx.conn, &lease.fence()) {
        // The old token lets nothing through any more.
        Ok(held) => write(tx, &lease.key, &Held { token: held.token + 1, until_ms: 0, ..held }),
        Err(Fault::Store(StoreError::Fenced { .. })) => Ok(()),
        Err(fault) => Err(fault),
    }
}

pub(crate) fn claim(
    tx: &Tx<'_>,
    space: &str,
    owner: &str,
    ttl: Duration,
    limit: usize,
) -> Result<Vec<(Key, Record, Lease)>, Fault> {
    let mut claimed = Vec::new();
    for (key, record) in records::due(tx.conn, space, tx.now_ms.cast_signed(), limit)? {
        let before = find(tx.conn, &key)?.map_or(0, |held| held.token);
        let lease = take(tx, &key, owner, ttl, before)?;
        claimed.push((key, record, lease));
    }
    Ok(claimed)
}
