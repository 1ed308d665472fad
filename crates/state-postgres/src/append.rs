//! The batch that a run writes again and again, as a statement of its own: one entry at a known position, and blobs.

use std::collections::{BTreeMap, BTreeSet};

use atomr_agents_postgres::{Fault, Server, signed};
use atomr_agents_state::{Batch, BlobId, Change, Durability, Fence, Key, NewEntry, StoreError};
use tokio_postgres::types::{ToSql, Type};

use crate::commit::{CommitSql, told};

/// The types of the arguments of the function `append`.
const TYPES: [Type; 12] = [
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::BYTEA,
    Type::BYTEA,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
];

/// Such a batch.
pub(crate) struct Append<'a> {
    fence: &'a Fence,
    stream: &'a Key,
    at: u64,
    entry: &'a NewEntry,
    /// In the order of their ids, so that two commits that store the same blobs never wait for each other in a circle.
    blobs: BTreeMap<BlobId, &'a [u8]>,
}

impl<'a> Append<'a> {
    /// The batch, if it is one.
    pub(crate) fn of(batch: &'a Batch) -> Option<Self> {
        let (mut found, mut blobs) = (None, BTreeMap::new());
        for change in &batch.changes {
            match change {
                Change::Append { stream, at: Some(at), entries } if found.is_none() => {
                    let [entry] = &entries[..] else { return None };
                    found = Some((stream, *at, entry));
                }
                Change::Blob { id, bytes } => {
                    blobs.entry(*id).or_insert(&bytes[..]);
                }
                _ => return None,
            }
        }
        let (stream, at, entry) = found?;
        Some(Self { fence: batch.fence.as_ref()?, stream, at, entry, blobs })
    }

    /// Does it or nothing. When an answer is lost it is made again: it cannot happen twice, as its position is taken then, and
    /// by the entry that is there its writer knows its own.
    pub(crate) async fn commit(&self, server: &Server, sql: &CommitSql, batch: &Batch) -> Result<(), StoreError> {
        let relaxed = batch.durability == Durability::Relaxed;
        let (token, at) = (signed(self.fence.token), signed(self.at));
        let refs = self.entry.refs.iter().flat_map(BlobId::as_bytes).copied().collect::<Vec<u8>>();
        let body: &[u8] = &self.entry.body;
        let ids: Vec<&[u8]> = self.blobs.keys().map(|id| &id.as_bytes()[..]).collect();
        let bytes: Vec<&[u8]> = self.blobs.values().copied().collect();
        let named: BTreeSet<&BlobId> = self.entry.refs.iter().filter(|id| !self.blobs.contains_key(id)).collect();
        let named: Vec<&[u8]> = named.iter().map(|id| &id.as_bytes()[..]).collect();
        let values: [&(dyn ToSql + Sync); 12] = [
            &relaxed,
            &self.fence.key.space(),
            &self.fence.key.name(),
            &token,
            &self.stream.space(),
            &self.stream.name(),
            &at,
            &body,
            &refs,
            &ids,
            &bytes,
            &named,
        ];
        let args: Vec<_> = values.into_iter().zip(TYPES).collect();
        let mut patience = server.patience();
        let mut lost = false;
        loop {
            let link = server.link(&patience).await.map_err(|error| doubt(error, lost))?;
            let limit = server.options().call_timeout;
            match server.within(link, limit, async |asking| asking.execute(&sql.append, &args).await).await {
                Ok(_) => return Ok(()),
                // Whoever was taken over since may have written before: the entry says.
                Err(Fault::Refused(_)) if lost && self.is_there(server, sql, &refs).await? => {
                    return Ok(());
                }
                Err(Fault::Refused(refused)) => return Err(told(server, batch, &refused)),
                Err(fault) => {
                    lost |= matches!(fault, Fault::Outage(_));
                    server.bear(fault, &mut patience).await.map_err(|error| doubt(error, lost))?;
                }
            }
        }
    }

    /// Whether the entry at the position is this one.
    async fn is_there(&self, server: &Server, sql: &CommitSql, refs: &[u8]) -> Result<bool, StoreError> {
        let (at, body) = (signed(self.at), &self.entry.body[..]);
        let args = [
            (&self.stream.space() as &(dyn ToSql + Sync), Type::TEXT),
            (&self.stream.name(), Type::TEXT),
            (&at, Type::INT8),
            (&body, Type::BYTEA),
            (&refs, Type::BYTEA),
        ];
        let rows = server.ask(&sql.entry, &args).await.map_err(|error| doubt(error, true))?;
        rows.first().map_or(Ok(false), |row| row.try_get(0).map_err(|error| server.odd(error)))
    }
}

/// An error after an answer was lost leaves open whether the commit happened.
fn doubt(error: StoreError, lost: bool) -> StoreError {
    match error {
        StoreError::Unavailable { store, message } if lost => {
            let message = format!("{message}. Whether the commit happened is not known");
            StoreError::Unavailable { store, message }
        }
        other => other,
    }
}
