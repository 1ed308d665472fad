//! Taking a run to another store.

use std::sync::Arc;

use super::fork::{bases, child_key};
use super::reader::{BASES, base_prefix};
use super::record::run_key;
use crate::{Batch, BlobId, Change, Entry, Expect, Key, NewEntry, RunLogError, RunRecord, Store};

/// How many entries are copied at once.
const PAGE: usize = 256;

/// Copies a run to another store as it is: its record, its log with the links of its chain, the bodies that it names. What it
/// was forked from must be there already. A copy that was broken off is begun anew; nobody may write the run meanwhile.
///
/// # Errors
/// [`RunLogError::NoSuchRun`]; [`RunLogError::Exists`] when the other store has a run of that name; and when either store
/// fails.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_state::{Journal, JournalOptions, MemoryStore, NewRun, RunReader, Store, copy_run};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
/// let new = NewRun { name: "r1".into(), kind: "workflow".into(), target: "demo".into(), ..NewRun::default() };
/// let _journal = Journal::begin(from.clone(), new, JournalOptions::default(), &()).await?;
/// copy_run(&from, &to, "r1").await?;
/// assert_eq!(RunReader::open(to, "r1").await?.frames().await?.len(), 1);
/// # Ok(()) }
/// ```
pub async fn copy_run(from: &Arc<dyn Store>, to: &Arc<dyn Store>, name: &str) -> Result<(), RunLogError> {
    let key = run_key(name)?;
    let Some(stored) = from.get(&key).await? else { return Err(RunLogError::NoSuchRun { run: name.to_owned() }) };
    let record = RunRecord::decode(name, &stored.value)?;
    if let Some(there) = to.get(&key).await? {
        let status = RunRecord::decode(name, &there.value)?.status;
        return Err(RunLogError::Exists { run: name.to_owned(), status });
    }
    let first = record.pruned.as_ref().map_or(0, |pruned| pruned.at);
    begin(to, &key, first).await?;
    let mut at = first;
    loop {
        let page = from.read(&key, at, PAGE).await?;
        let Some(last) = page.last() else { break };
        let next = last.at + 1;
        to.commit(entries(from, &key, at, page).await?).await?;
        at = next;
    }
    // The record comes last: with it the run is there.
    let mut batch = Batch::new().put(&key, stored.value, Expect::Absent);
    for base in bases(&**from, name).await? {
        batch = batch.put(&Key::new(BASES, &format!("{}{base:020}", base_prefix(name)))?, "", Expect::Any);
    }
    if let Some(parent) = &record.parent {
        batch = batch.put(&child_key(&parent.run, name)?, parent.at.to_string(), Expect::Any);
    }
    Ok(to.commit(batch).await?)
}

/// An empty log whose next entry gets the position `first`.
async fn begin(to: &Arc<dyn Store>, key: &Key, first: u64) -> Result<(), RunLogError> {
    to.commit(Batch::new().with(Change::Drop { stream: key.clone() })).await?;
    let mut at = 0;
    while at < first {
        let count = usize::try_from(first - at).unwrap_or(PAGE).min(PAGE);
        let fill = Change::Append { stream: key.clone(), at: Some(at), entries: vec![NewEntry::default(); count] };
        at += count as u64;
        to.commit(Batch::new().with(fill).with(Change::Cut { stream: key.clone(), before: at })).await?;
    }
    Ok(())
}

async fn entries(from: &Arc<dyn Store>, key: &Key, at: u64, page: Vec<Entry>) -> Result<Batch, RunLogError> {
    let mut ids: Vec<BlobId> = page.iter().flat_map(|entry| entry.refs.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut batch = Batch::new();
    for (id, bytes) in ids.iter().zip(from.blobs(&ids).await?) {
        if let Some(bytes) = bytes {
            batch = batch.with(Change::Blob { id: *id, bytes });
        }
    }
    let entries = page.into_iter().map(|entry| NewEntry { body: entry.body, refs: entry.refs }).collect();
    Ok(batch.with(Change::Append { stream: key.clone(), at: Some(at), entries }))
}
