//! Whether what is kept of a run is what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fork::bases;
use super::frame::Chain;
use super::reader::{RunReader, Segment};
use crate::{
    BlobId, EffectClass, EffectKey, Entry, Frame, Intent, Item, Placed, RunLogError, RunRecord, Store, StoreError,
    StoredState,
};

/// How many entries or blobs are read at once.
const PAGE: usize = 512;

/// Something in a run that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The run whose log it is in: an ancestor's, before a fork.
    pub run: String,
    /// The position in that log; `None` for the record of the run.
    pub at: Option<u64>,
    /// How it was noticed.
    pub message: String,
}

/// What was found in a run.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// What is damaged, in order; empty for a run that is whole.
    pub damage: Vec<Damage>,
    /// What is known of the run, if its record can be read.
    pub record: Option<RunRecord>,
    /// How many commits were read.
    pub commits: u64,
    /// How many blobs they name.
    pub blobs: u64,
    /// How many checkpoints there are; each was folded into the state after it.
    pub checkpoints: u64,
    /// Effects that were begun and have no outcome. In a run that ended, that is a call of which nobody knows what came
    /// of it.
    pub open: Vec<Intent>,
}

impl Verified {
    /// Whether everything that is kept is what was written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }

    fn add(&mut self, run: &str, at: Option<u64>, message: impl Into<String>) {
        self.damage.push(Damage { run: run.to_owned(), at, message: message.into() });
    }

    /// An error that is damage becomes part of the answer; every other one is an error.
    fn note(&mut self, run: &str, at: Option<u64>, error: RunLogError) -> Result<(), RunLogError> {
        match error {
            RunLogError::Corrupt { run, at, message } => self.add(&run, Some(at), message),
            RunLogError::NoSuchRun { run: missing } => {
                self.add(run, at, format!("it needs run {missing:?}, which is gone"));
            }
            RunLogError::Store(error @ (StoreError::Corrupt { .. } | StoreError::UnsupportedFormat { .. })) => {
                self.add(run, at, error.to_string());
            }
            other => return Err(other),
        }
        Ok(())
    }
}

/// Reads everything that is kept of a run: the record, every frame and its link in the chain, every blob that a frame names, and
/// the state after every checkpoint. Names each damaged position, not only the first.
///
/// # Errors
/// [`RunLogError::NoSuchRun`]; and when the store fails for another reason than damage.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_state::{Journal, JournalOptions, MemoryStore, NewRun, Store, verify_run};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let new = NewRun { name: "r1".into(), kind: "workflow".into(), target: "demo".into(), ..NewRun::default() };
/// let _journal = Journal::begin(store.clone(), new, JournalOptions::default(), &()).await?;
/// assert!(verify_run(&store, "r1").await?.is_whole());
/// # Ok(()) }
/// ```
pub async fn verify_run(store: &Arc<dyn Store>, name: &str) -> Result<Verified, RunLogError> {
    let mut found = Verified::default();
    let reader = match RunReader::open(Arc::clone(store), name).await {
        Ok(reader) => reader,
        Err(RunLogError::NoSuchRun { run }) if run == name => return Err(RunLogError::NoSuchRun { run }),
        Err(error) => {
            found.note(name, None, error)?;
            return Ok(found);
        }
    };
    found.record = Some(reader.record().clone());
    let mut frames = Vec::new();
    for segment in reader.segments() {
        read(store, segment, &mut frames, &mut found).await?;
    }
    found.commits = frames.len() as u64;
    blobs(store, &frames, &mut found).await?;
    fold(&frames, &mut found);
    marks(store, reader.record(), &frames, &mut found).await?;
    found.open = open_effects(&frames);
    Ok(found)
}

/// Reads the frames of a stretch of log, past those that are damaged.
async fn read(
    store: &Arc<dyn Store>,
    segment: &Segment,
    frames: &mut Vec<Placed>,
    found: &mut Verified,
) -> Result<(), RunLogError> {
    let run: Arc<str> = Arc::from(segment.record.name.as_str());
    // Where the frame before was damaged, several links are possible; where it is missing, none is known.
    let (mut at, mut links) = (0, vec![Chain::start(&run)]);
    if let Some(pruned) = &segment.record.pruned {
        (at, links) = (pruned.at, Chain::parse(&pruned.chain).into_iter().collect());
        if links.is_empty() {
            found.add(&run, None, "the record does not say what was pruned");
        }
    }
    let end = match store.end(&segment.stream).await {
        Ok(end) => end,
        Err(error) => {
            found.note(&run, None, error.into())?;
            u64::MAX
        }
    };
    let to = segment.to.unwrap_or(end);
    if to > end {
        found.add(&run, Some(end), format!("its log ends here, and a fork needs it up to position {to}"));
    }
    let to = to.min(end);
    let mut cursor = at;
    while cursor < to {
        let page = page(store, segment, cursor, to, found).await?;
        for (place, entry) in page.entries {
            if place > at {
                found.add(&run, Some(at), format!("nothing is left until position {place}"));
                links.clear();
            }
            at = place + 1;
            links = match entry {
                Some(entry) => decode(&run, &entry, &links, frames, found)?,
                None => Vec::new(),
            };
        }
        cursor = page.next;
    }
    if to != u64::MAX && at < to {
        found.add(&run, Some(at), format!("nothing is left until position {to}"));
    }
    Ok(())
}

/// Some entries of a log; `None` for one that the store cannot give, which is told already.
struct Page {
    entries: Vec<(u64, Option<Entry>)>,
    /// Where the next page begins; past the end of the log if there is none.
    next: u64,
}

/// Reads a page of entries; where the store cannot give it whole, one by one.
async fn page(
    store: &Arc<dyn Store>,
    segment: &Segment,
    at: u64,
    to: u64,
    found: &mut Verified,
) -> Result<Page, RunLogError> {
    let limit = PAGE.min(usize::try_from(to - at).unwrap_or(PAGE));
    let error = match store.read(&segment.stream, at, limit).await {
        Ok(entries) => {
            let next = entries.last().filter(|_| entries.len() == limit).map_or(u64::MAX, |last| last.at + 1);
            let entries = entries.into_iter().map(|entry| (entry.at, Some(entry))).collect();
            return Ok(Page { entries, next });
        }
        Err(error) => error,
    };
    if to == u64::MAX {
        // Not even the end of the log is known.
        found.note(&segment.record.name, Some(at), error.into())?;
        return Ok(Page { entries: Vec::new(), next: to });
    }
    let next = at + limit as u64;
    let mut entries = Vec::new();
    for at in at..next {
        match store.read(&segment.stream, at, 1).await {
            Ok(one) => entries.extend(one.into_iter().filter(|entry| entry.at == at).map(|entry| (at, Some(entry)))),
            Err(error) => {
                found.note(&segment.record.name, Some(at), error.into())?;
                entries.push((at, None));
            }
        }
    }
    Ok(Page { entries, next })
}

/// Reads a frame that follows one of `links` and gives its own; where it is damaged, those that it may have had, so that
/// the next frame is judged by itself.
fn decode(
    run: &Arc<str>,
    entry: &Entry,
    links: &[Chain],
    frames: &mut Vec<Placed>,
    found: &mut Verified,
) -> Result<Vec<Chain>, RunLogError> {
    let first = Frame::decode(run, entry, links.first().copied());
    let others = links.iter().skip(1).map(|link| Frame::decode(run, entry, Some(*link)));
    match others.fold(first, Result::or) {
        Ok((frame, link)) => {
            frames.push(Placed { run: Arc::clone(run), at: entry.at, frame });
            Ok(vec![link])
        }
        Err(error) => {
            found.note(run, Some(entry.at), error)?;
            Ok(Frame::links_past(entry, links))
        }
    }
}

/// Reads every blob that a frame names.
async fn blobs(store: &Arc<dyn Store>, frames: &[Placed], found: &mut Verified) -> Result<(), RunLogError> {
    let mut named: BTreeMap<BlobId, (Arc<str>, u64)> = BTreeMap::new();
    for placed in frames {
        for id in placed.frame.refs() {
            named.entry(id).or_insert_with(|| (Arc::clone(&placed.run), placed.at));
        }
    }
    found.blobs = named.len() as u64;
    let ids: Vec<BlobId> = named.keys().copied().collect();
    for ids in ids.chunks(PAGE) {
        let read = match store.blobs(ids).await {
            Ok(read) => read.into_iter().map(Ok).collect(),
            Err(_) => one_by_one(store, ids).await,
        };
        for (id, bytes) in ids.iter().zip(read) {
            let (run, at) = &named[id];
            match bytes {
                Ok(Some(bytes)) if BlobId::of(&bytes) == *id => {}
                Ok(Some(_)) => found.add(run, Some(*at), format!("the blob {id} has other bytes than its name says")),
                Ok(None) => found.add(run, Some(*at), format!("the blob {id} is gone")),
                Err(error) => found.note(run, Some(*at), RunLogError::from(error))?,
            }
        }
    }
    Ok(())
}

async fn one_by_one(store: &Arc<dyn Store>, ids: &[BlobId]) -> Vec<Result<Option<bytes::Bytes>, StoreError>> {
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        all.push(store.blobs(&[*id]).await.map(|mut found| found.pop().flatten()));
    }
    all
}

/// Goes through the states of all checkpoints.
fn fold(frames: &[Placed], found: &mut Verified) {
    let mut state = StoredState::default();
    // What stands before the first whole state that is left, or behind a damaged frame, says nothing by itself.
    let mut whole = frames.first().is_none_or(|placed| placed.at == 0);
    let mut before: Option<&Placed> = None;
    for placed in frames {
        let follows = before.is_none_or(|before| before.run != placed.run || before.at + 1 == placed.at);
        whole &= follows;
        before = Some(placed);
        for item in &placed.frame.items {
            let Item::Checkpoint(checkpoint) = item else { continue };
            found.checkpoints += 1;
            if checkpoint.base {
                whole = true;
            }
            if !whole {
                continue;
            }
            if let Err(message) = state.apply(checkpoint, placed.frame.time_ms) {
                found.add(&placed.run, Some(placed.at), message);
                whole = false;
            }
        }
    }
}

/// The records that say where whole states stand: a resume begins there.
async fn marks(
    store: &Arc<dyn Store>,
    record: &RunRecord,
    frames: &[Placed],
    found: &mut Verified,
) -> Result<(), RunLogError> {
    let marked: BTreeSet<u64> = match bases(&**store, &record.name).await {
        Ok(marked) => marked.into_iter().collect(),
        Err(error) => return found.note(&record.name, None, error),
    };
    for placed in frames.iter().filter(|placed| *placed.run == *record.name) {
        let base = placed.frame.items.iter().any(|item| matches!(item, Item::Checkpoint(each) if each.base));
        if marked.contains(&placed.at) && !base {
            found.add(&record.name, Some(placed.at), "it is marked as a whole state and has none");
        }
    }
    Ok(())
}

/// The effects in these frames that were begun and have no outcome, but for those that only look.
#[must_use]
pub fn open_effects(frames: &[Placed]) -> Vec<Intent> {
    let mut open: BTreeMap<&EffectKey, &Intent> = BTreeMap::new();
    for item in frames.iter().flat_map(|placed| &placed.frame.items) {
        match item {
            Item::Intent(intent) if intent.effect != EffectClass::None => {
                open.insert(&intent.key, intent);
            }
            Item::Outcome(outcome) => {
                open.remove(&outcome.key);
            }
            _ => {}
        }
    }
    open.into_values().cloned().collect()
}
