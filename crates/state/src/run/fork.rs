//! Another run that begins where one was.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use atomr_agents_core::{RunId, Value};

use super::checkpoint::news;
use super::frame::Chain;
use super::pen::clock_ms;
use super::reader::{BASES, RunReader, base_prefix};
use super::record::{RECORD_FORMAT, run_key};
use crate::{
    Batch, BlobId, Body, Change, Checkpoint, Expect, Frame, Item, Key, Parent, Placed, RunLogError, RunRecord,
    RunStatus, Store, StoreError, StoredDelta, StoredState,
};

/// The space of records that say which runs were forked from which.
pub(crate) const FORKS: &str = "fork";

/// How often a fork is tried anew when the run that it comes from changes at the same time.
const TRIES: usize = 16;

/// Where a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkAt {
    /// At the end of what is written.
    End,
    /// After the checkpoint of this step.
    Step(u64),
    /// After the commit that has the event of this number.
    Seq(u64),
    /// Before this position of the log.
    Position(u64),
}

/// What a fork is like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForkOptions {
    /// Its name; empty for the text of a fresh id.
    pub name: String,
    /// Channels that have another value in it, as the whole value each.
    pub edits: BTreeMap<String, StoredDelta>,
    /// The blobs of these values.
    pub blobs: Vec<(BlobId, bytes::Bytes)>,
    /// The user's own words about it.
    pub labels: BTreeMap<String, String>,
}

/// Forks a run: the new one shares everything up to `at`, stores nothing of it again, and is resumed like one that was
/// interrupted there. The run itself does not change and need not stand still. Gives the new run's name.
///
/// # Errors
/// [`RunLogError::NoSuchRun`], [`RunLogError::NoSuchStep`]; [`RunLogError::Exists`] when the new name is taken; and when the store
/// fails.
pub async fn fork(store: &Arc<dyn Store>, run: &str, at: ForkAt, options: &ForkOptions) -> Result<String, RunLogError> {
    let id = RunId::new();
    let name = if options.name.is_empty() { id.to_string() } else { options.name.clone() };
    let key = run_key(&name)?;
    if let Some(stored) = store.get(&key).await? {
        let status = RunRecord::decode(&name, &stored.value)?.status;
        return Err(RunLogError::Exists { run: name, status });
    }
    let mut tried = 0;
    loop {
        tried += 1;
        let version = store.get(&run_key(run)?).await?.map(|record| record.version);
        let Some(version) = version else { return Err(RunLogError::NoSuchRun { run: run.to_owned() }) };
        let reader = RunReader::open(Arc::clone(store), run).await?;
        let frames = reader.frames().await?;
        let count = position(run, &frames, at)?;
        let shared = &frames[..count];
        let parent = parent_of(&reader, shared);
        let origin = find(&reader, &parent.run);
        let mut record = fresh(&name, id, reader.record(), parent);
        record.turns = reader.turn_of(shared).0;
        record.labels.clone_from(&options.labels);
        let batch = batch(&record, origin, version, reader.record(), shared, options)?;
        match store.commit(batch).await {
            Ok(()) => return Ok(name),
            // The run went on, or was pruned: look again.
            Err(StoreError::Conflict { key: at, .. }) if at != key && tried < TRIES => {}
            Err(StoreError::Conflict { key: at, .. }) if at == key => {
                return Err(RunLogError::Exists { run: name, status: RunStatus::Paused });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn fresh(name: &str, id: RunId, of: &RunRecord, parent: Parent) -> RunRecord {
    let now = clock_ms();
    RunRecord {
        format: RECORD_FORMAT,
        name: name.to_owned(),
        id,
        kind: of.kind.clone(),
        target: of.target.clone(),
        version: of.version.clone(),
        status: RunStatus::Paused,
        turns: 0,
        begun_ms: now,
        updated_ms: now,
        parent: Some(parent),
        pruned: None,
        labels: BTreeMap::new(),
    }
}

/// Everything that a fork writes: its record, what keeps its parent's log, and its edits.
fn batch(
    record: &RunRecord,
    origin: &RunRecord,
    version: u64,
    run: &RunRecord,
    shared: &[Placed],
    options: &ForkOptions,
) -> Result<Batch, RunLogError> {
    let key = run_key(&record.name)?;
    let mut batch = Batch::new();
    // Written as it is, so that a prune at the same time is noticed.
    batch = batch.put(&run_key(&run.name)?, run.encode()?, Expect::Version(version));
    batch = batch.put(&key, record.encode()?, Expect::Absent);
    let needed = record.parent.as_ref().map_or(0, |parent| parent.at);
    batch = batch.put(&child_key(&origin.name, &record.name)?, needed.to_string(), Expect::Any);
    if options.edits.is_empty() {
        return Ok(batch);
    }
    let last = shared.iter().rev().flat_map(|placed| placed.frame.items.iter().rev()).find_map(|item| match item {
        Item::Checkpoint(checkpoint) => Some(checkpoint),
        _ => None,
    });
    let Some(last) = last else {
        return Err(RunLogError::NoSuchStep {
            run: run.name.clone(),
            what: "step",
            wanted: 0,
            have: "it has no state that could be edited".to_owned(),
        });
    };
    // Read from here on, as the steps that follow are: an edit costs what is new in it. Of a state that cannot be read nothing is
    // known, and an edit is the whole channel.
    let state = StoredState::after(shared).ok().flatten().unwrap_or_default();
    let edits = options.edits.iter().map(|(name, whole)| (name.clone(), news(state.channels.get(name), whole)));
    let checkpoint = Checkpoint {
        step: last.step,
        source: "fork".to_owned(),
        channels: edits.collect(),
        next: last.next.clone(),
        version: last.version.clone(),
        ..Checkpoint::default()
    };
    let next_seq = shared.last().map_or(0, |placed| placed.frame.next_seq);
    let frame = Frame { epoch: 0, time_ms: clock_ms(), next_seq, items: vec![Item::Checkpoint(checkpoint)] };
    let (entry, _) = frame.encode(Chain::start(&record.name), 0)?;
    let named: HashSet<BlobId> = entry.refs.iter().copied().collect();
    for (id, bytes) in options.blobs.iter().filter(|(id, _)| named.contains(id)) {
        batch.changes.push(Change::Blob { id: *id, bytes: bytes.clone() });
    }
    Ok(batch.append(&key, Some(0), entry))
}

/// The run that wrote the last frame that is shared, and where the fork leaves it.
fn parent_of(reader: &RunReader, shared: &[Placed]) -> Parent {
    match shared.last() {
        Some(last) => Parent { run: last.run.to_string(), at: last.at + 1 },
        None => Parent { run: reader.record().name.clone(), at: 0 },
    }
}

fn find<'a>(reader: &'a RunReader, name: &str) -> &'a RunRecord {
    let found = reader.segments().iter().map(|segment| &segment.record).find(|record| record.name == name);
    found.unwrap_or_else(|| reader.record())
}

/// How many of the frames a fork shares.
fn position(run: &str, frames: &[Placed], at: ForkAt) -> Result<usize, RunLogError> {
    let missing = |what, wanted, have| Err(RunLogError::NoSuchStep { run: run.to_owned(), what, wanted, have });
    let steps = |placed: &Placed| -> Vec<u64> {
        let items = placed.frame.items.iter();
        items
            .filter_map(|item| if let Item::Checkpoint(checkpoint) = item { Some(checkpoint.step) } else { None })
            .collect()
    };
    let last_seq = |placed: &Placed| {
        let items = placed.frame.items.iter();
        items.filter_map(|item| if let Item::Event(event) = item { Some(event.seq) } else { None }).max()
    };
    match at {
        ForkAt::End => Ok(frames.len()),
        ForkAt::Step(step) => match frames.iter().rposition(|placed| steps(placed).contains(&step)) {
            Some(index) => Ok(index + 1),
            None => {
                let all: Vec<u64> = frames.iter().flat_map(steps).collect();
                let have = match (all.iter().min(), all.iter().max()) {
                    (Some(first), Some(last)) => format!("it has {first} to {last}"),
                    _ => "it has none".to_owned(),
                };
                missing("step", step, have)
            }
        },
        ForkAt::Seq(seq) => match frames.iter().position(|placed| last_seq(placed).is_some_and(|last| last >= seq)) {
            Some(index) if seq > 0 => Ok(index + 1),
            _ => {
                let last = frames.iter().filter_map(last_seq).max().unwrap_or(0);
                missing("event", seq, format!("the last one is {last}"))
            }
        },
        ForkAt::Position(wanted) => {
            let own = |placed: &&Placed| *placed.run == *run;
            let count = frames.iter().take_while(|placed| !own(placed) || placed.at < wanted).count();
            let end = frames.iter().rev().find(own).map_or(0, |placed| placed.at + 1);
            if wanted > end { missing("position", wanted, format!("its log ends at {end}")) } else { Ok(count) }
        }
    }
}

/// The key of the record that says that `child` needs the log of `run`.
pub(crate) fn child_key(run: &str, child: &str) -> Result<Key, StoreError> {
    Key::new(FORKS, &format!("{}{child}", base_prefix(run)))
}

/// The runs that were forked from `run` and are still there, with the position up to which each needs its log.
pub(crate) async fn children(store: &dyn Store, run: &str) -> Result<Vec<(String, u64)>, RunLogError> {
    let prefix = base_prefix(run);
    let mut found = Vec::new();
    let mut scan = crate::Scan::of(FORKS).prefix(&prefix);
    loop {
        let page = store.scan(&scan).await?;
        let full = page.len() == scan.limit;
        if let Some((last, _)) = page.last() {
            scan = scan.after(last.name());
        }
        for (key, record) in page {
            let at = std::str::from_utf8(&record.value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            found.push((key.name()[prefix.len()..].to_owned(), at));
        }
        if !full {
            return Ok(found);
        }
    }
}

/// The records that say where whole states of `run` stand.
pub(crate) async fn bases(store: &dyn Store, run: &str) -> Result<Vec<u64>, RunLogError> {
    let prefix = base_prefix(run);
    let found = store.scan(&crate::Scan::of(BASES).prefix(&prefix)).await?;
    Ok(found.iter().filter_map(|(key, _)| key.name()[prefix.len()..].parse().ok()).collect())
}

/// A value as the whole of a channel, for the edits of a fork.
///
/// # Errors
/// [`RunLogError::NotJson`].
pub fn whole(value: &Value, blobs: &mut Vec<(BlobId, bytes::Bytes)>) -> Result<StoredDelta, RunLogError> {
    let mut body = |value: &Value| -> Result<Body, RunLogError> {
        let new = Body::of(value)?;
        if let (Some(id), Some(bytes)) = (new.body.blob(), new.bytes) {
            blobs.push((id, bytes));
        }
        Ok(new.body)
    };
    Ok(match value {
        Value::Array(items) => StoredDelta::List(items.iter().map(body).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            let each = map.iter().map(|(key, value)| Ok((key.clone(), body(value)?)));
            StoredDelta::Map(each.collect::<Result<_, RunLogError>>()?)
        }
        other => StoredDelta::Set(body(other)?),
    })
}
