//! A batch as one statement.

use std::collections::{BTreeMap, BTreeSet};

use atomr_agents_postgres::{Fault, Patience, Refused, Server, Ticket, signed};
use atomr_agents_state::{Batch, BlobId, Change, Durability, Expect, Fence, Key, StoreError};
use tokio_postgres::types::{ToSql, Type};

use crate::append::Append;

const PUT: i16 = 1;
const DELETE: i16 = 2;
const APPEND: i16 = 3;
const CUT: i16 = 4;
const DROP: i16 = 5;

/// The types of the arguments of the function `commit`.
const TYPES: [Type; 15] = [
    Type::UUID,
    Type::INT8,
    Type::BOOL,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::INT2_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
];

/// The changes of a batch, in columns. Blobs stand apart: nothing depends on their place in the order.
#[derive(Default)]
struct Columns<'a> {
    kinds: Vec<i16>,
    keys: Vec<&'a str>,
    wants: Vec<Option<i64>>,
    counts: Vec<Option<i64>>,
    bodies: Vec<&'a [u8]>,
    refs: Vec<Vec<u8>>,
    /// In the order of their ids, so that two commits that store the same blobs never wait for each other in a circle.
    blobs: BTreeMap<BlobId, &'a [u8]>,
    named: BTreeSet<BlobId>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut columns = Self::default();
        for change in &batch.changes {
            match change {
                Change::Put { key, value, refs, due_ms, expect } => {
                    columns.add(PUT, key, wanted(*expect), due_ms.map(signed));
                    columns.body(value, refs);
                }
                Change::Delete { key, expect } => columns.add(DELETE, key, wanted(*expect), None),
                Change::Append { stream, at, entries } => {
                    columns.add(APPEND, stream, at.map(signed), Some(signed(entries.len() as u64)));
                    for entry in entries {
                        columns.body(&entry.body, &entry.refs);
                    }
                }
                Change::Cut { stream, before } => columns.add(CUT, stream, Some(signed(*before)), None),
                Change::Drop { stream } => columns.add(DROP, stream, None, None),
                Change::Blob { id, bytes } => {
                    columns.blobs.entry(*id).or_insert(bytes);
                }
            }
        }
        let blobs = &columns.blobs;
        columns.named.retain(|id| !blobs.contains_key(id));
        columns
    }

    fn add(&mut self, kind: i16, key: &'a Key, want: Option<i64>, count: Option<i64>) {
        self.kinds.push(kind);
        self.keys.extend([key.space(), key.name()]);
        self.wants.push(want);
        self.counts.push(count);
    }

    fn body(&mut self, body: &'a [u8], refs: &[BlobId]) {
        self.bodies.push(body);
        self.refs.push(refs.iter().flat_map(BlobId::as_bytes).copied().collect());
        self.named.extend(refs);
    }
}

fn wanted(expect: Expect) -> Option<i64> {
    match expect {
        Expect::Any => None,
        Expect::Absent => Some(0),
        Expect::Version(version) => Some(signed(version)),
    }
}

/// Does everything in `batch` or nothing, and does not leave its caller in doubt while the database can be asked.
pub(crate) async fn commit(server: &Server, sql: &CommitSql, batch: Batch) -> Result<(), StoreError> {
    if batch.fence.is_none() && batch.changes.is_empty() {
        return Ok(());
    }
    if let Some(append) = Append::of(&batch) {
        return append.commit(server, sql, &batch).await;
    }
    // By itself, as hardly any commit is one: what every commit takes with it shall be small.
    Box::pin(whole(server, sql, &batch)).await
}

async fn whole(server: &Server, sql: &CommitSql, batch: &Batch) -> Result<(), StoreError> {
    let columns = Columns::of(batch);
    let blobs: Vec<&[u8]> = columns.blobs.keys().map(|id| &id.as_bytes()[..]).collect();
    let bytes: Vec<&[u8]> = columns.blobs.values().copied().collect();
    let named: Vec<&[u8]> = columns.named.iter().map(|id| &id.as_bytes()[..]).collect();
    let fence = batch.fence.as_ref();
    let (space, name) = (fence.map(|fence| fence.key.space()), fence.map(|fence| fence.key.name()));
    let (token, relaxed) = (fence.map(|fence| signed(fence.token)), batch.durability == Durability::Relaxed);
    let mut patience = server.patience();
    loop {
        let mut link = server.link(&patience).await?;
        let ticket = link.ticket();
        let values: [&(dyn ToSql + Sync); 15] = [
            &ticket.writer,
            &ticket.number,
            &relaxed,
            &space,
            &name,
            &token,
            &columns.kinds,
            &columns.keys,
            &columns.wants,
            &columns.counts,
            &columns.bodies,
            &columns.refs,
            &blobs,
            &bytes,
            &named,
        ];
        let args: Vec<_> = values.into_iter().zip(TYPES).collect();
        let limit = server.options().call_timeout;
        match server.within(link, limit, async |asking| asking.execute(&sql.commit, &args).await).await {
            Ok(_) => return Ok(()),
            Err(Fault::Refused(refused)) => return Err(told(server, batch, &refused)),
            Err(Fault::Outage(why)) => {
                if Box::pin(settle(server, sql, ticket, &mut patience, &why)).await? {
                    return Ok(());
                }
                // It did not happen and will not: it is made again, if there is patience left.
                server.bear(Fault::Outage(why), &mut patience).await?;
            }
            Err(fault) => server.bear(fault, &mut patience).await?,
        }
    }
}

/// Finds out whether a commit happened whose answer was lost, and sees to it that it will not happen later if it did not.
async fn settle(
    server: &Server,
    sql: &CommitSql,
    ticket: Ticket,
    patience: &mut Patience,
    why: &str,
) -> Result<bool, StoreError> {
    let doubt = |error: StoreError| match error {
        StoreError::Unavailable { store, message } => {
            let message = format!("{why}; then {message}. Whether the commit happened is not known");
            StoreError::Unavailable { store, message }
        }
        other => other,
    };
    loop {
        let link = server.link(patience).await.map_err(doubt)?;
        let args: [(&(dyn ToSql + Sync), Type); 2] = [(&ticket.writer, Type::UUID), (&ticket.number, Type::INT8)];
        let limit = server.options().call_timeout;
        match server.within(link, limit, async |asking| asking.client().query_typed_one(&sql.settle, &args).await).await
        {
            Ok(row) => return row.try_get(0).map_err(|error| server.odd(error)),
            Err(fault) => server.bear(fault, patience).await.map_err(doubt)?,
        }
    }
}

/// What a function of the schema refused, in the words of the batch.
pub(crate) fn told(server: &Server, batch: &Batch, refused: &Refused) -> StoreError {
    let number = |at| refused.number(at);
    match refused.code.as_str() {
        "AT001" => fenced(server, batch.fence.as_ref(), number(0).unwrap_or(0)),
        "AT002" => {
            let change = usize::try_from(number(0).unwrap_or(1).saturating_sub(1)).unwrap_or(0);
            conflict(server, batch, change, number(1).unwrap_or(0))
        }
        code => server.odd(format!("{code} is no refusal")),
    }
}

fn fenced(server: &Server, fence: Option<&Fence>, newest: u64) -> StoreError {
    match fence {
        Some(fence) => StoreError::Fenced { key: fence.key.clone(), token: fence.token, newest },
        None => server.odd("a batch without a fence was fenced"),
    }
}

fn conflict(server: &Server, batch: &Batch, change: usize, found: u64) -> StoreError {
    let change = batch.changes.iter().filter(|change| !matches!(change, Change::Blob { .. })).nth(change);
    let version = |version: u64| if version == 0 { "nothing".to_owned() } else { format!("version {version}") };
    match change {
        Some(Change::Put { key, expect, .. } | Change::Delete { key, expect }) => {
            let expected = match expect {
                Expect::Version(wanted) => format!("version {wanted}"),
                Expect::Absent | Expect::Any => "nothing".to_owned(),
            };
            StoreError::Conflict { key: key.clone(), expected, found: version(found) }
        }
        Some(Change::Append { stream, at: Some(at), .. }) => StoreError::Conflict {
            key: stream.clone(),
            expected: format!("an end at {at}"),
            found: format!("one at {found}"),
        },
        _ => server.odd("a change without an expectation was refused"),
    }
}

/// The statements of a commit.
#[derive(Debug)]
pub(crate) struct CommitSql {
    pub(crate) commit: String,
    pub(crate) settle: String,
    pub(crate) append: String,
    pub(crate) entry: String,
}

impl CommitSql {
    pub(crate) fn new(server: &Server) -> Self {
        let commit = "SELECT SCHEMA.commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        let append = "SELECT SCHEMA.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let entry = "SELECT e.body = $4 AND e.refs = $5 FROM SCHEMA.logs l JOIN SCHEMA.entries e ON e.log = l.id
            WHERE l.space = $1 AND l.name = $2 AND e.at = $3";
        let of = |sql: &str| server.schema().of(sql);
        Self { commit: of(commit), settle: of("SELECT SCHEMA.settle($1, $2)"), append: of(append), entry: of(entry) }
    }
}
