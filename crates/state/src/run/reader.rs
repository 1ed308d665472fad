//! Reading a run.

use std::collections::HashMap;
use std::sync::Arc;

use atomr_agents_core::{Event, RunId};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::frame::Chain;
use super::record::{RunRecord, run_key};
use crate::{BlobId, Body, Entry, Frame, Item, Key, RunLogError, Scan, Store};

/// How many frames are read at once.
const PAGE: usize = 512;

/// The longest line of forks that is followed; more is damage.
const LINEAGE_MAX: usize = 10_000;

/// A stretch of one run's log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) record: RunRecord,
    pub(crate) stream: Key,
    /// The first position of it that is not part of the run that is read; `None` for all there is.
    pub(crate) to: Option<u64>,
}

/// A frame and where it stands.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The run whose log it is in: an ancestor's, before a fork.
    pub run: Arc<str>,
    /// The position in that log.
    pub at: u64,
    /// The frame.
    pub frame: Frame,
}

/// A run's log, and those of the runs that it was forked from, read as one.
#[derive(Clone, Debug)]
pub struct RunReader {
    store: Arc<dyn Store>,
    /// From the oldest ancestor to the run itself.
    segments: Vec<Segment>,
}

/// The frames that were read, and where the log goes on.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) frames: Vec<Placed>,
    pub(crate) end: u64,
    pub(crate) chain: Chain,
}

impl RunReader {
    /// Finds a run.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchRun`]; and when the store fails.
    pub async fn open(store: Arc<dyn Store>, name: &str) -> Result<Self, RunLogError> {
        Self::open_to(store, name, None).await
    }

    /// Finds a run, to read it up to before position `to` only.
    pub(crate) async fn open_to(store: Arc<dyn Store>, name: &str, to: Option<u64>) -> Result<Self, RunLogError> {
        let mut segments = Vec::new();
        let mut next = Some((name.to_owned(), to));
        while let Some((name, to)) = next {
            let stream = run_key(&name)?;
            let Some(stored) = store.get(&stream).await? else {
                return Err(RunLogError::NoSuchRun { run: name });
            };
            let record = RunRecord::decode(&name, &stored.value)?;
            next = record.parent.as_ref().map(|parent| (parent.run.clone(), Some(parent.at)));
            segments.push(Segment { record, stream, to });
            if segments.len() > LINEAGE_MAX {
                let message = "its line of forks has no beginning".to_owned();
                return Err(RunLogError::Corrupt { run: name, at: 0, message });
            }
        }
        segments.reverse();
        Ok(Self { store, segments })
    }

    /// What is known of the run without its log.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        // There is always one: the run itself is the last.
        &self.segments[self.segments.len() - 1].record
    }

    /// The names of the runs that it was forked from, the oldest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.segments[..self.segments.len() - 1].iter().map(|segment| segment.record.name.as_str())
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Every frame that is left, the oldest first.
    ///
    /// # Errors
    /// [`RunLogError::Corrupt`] for a frame that is not what was written; and when the store fails.
    pub async fn frames(&self) -> Result<Vec<Placed>, RunLogError> {
        Ok(self.load(None).await?.frames)
    }

    /// The frames from the newest one on that has a whole state in it; all if there is none.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub async fn frames_from_base(&self) -> Result<Vec<Placed>, RunLogError> {
        let base = self.base().await?;
        Ok(self.load(base).await?.frames)
    }

    /// The frames from `from` (a segment and a position in it) on.
    pub(crate) async fn load(&self, from: Option<(usize, u64)>) -> Result<Loaded, RunLogError> {
        let (first, mut position) = from.unwrap_or((0, 0));
        let mut loaded = Loaded { frames: Vec::new(), end: 0, chain: Chain::start(&self.record().name) };
        for segment in &self.segments[first..] {
            (loaded.end, loaded.chain) = self.read_segment(segment, position, &mut loaded.frames).await?;
            position = 0;
        }
        Ok(loaded)
    }

    async fn read_segment(
        &self,
        segment: &Segment,
        from: u64,
        into: &mut Vec<Placed>,
    ) -> Result<(u64, Chain), RunLogError> {
        let name: Arc<str> = Arc::from(segment.record.name.as_str());
        let (mut at, mut chain) = start_of(&segment.record, from)?;
        // One entry earlier for its link.
        let mut skip = at < from;
        if skip {
            at = from - 1;
        }
        let to = segment.to.unwrap_or(u64::MAX);
        while at < to {
            let limit = PAGE.min(usize::try_from(to - at).unwrap_or(PAGE));
            let page = self.store.read(&segment.stream, at, limit).await?;
            let last = page.len() < limit;
            for entry in page {
                expect_at(&name, &entry, at)?;
                at += 1;
                if std::mem::take(&mut skip) {
                    chain = Some(Frame::decode(&name, &entry, None)?.1);
                    continue;
                }
                let (frame, link) = Frame::decode(&name, &entry, chain)?;
                chain = Some(link);
                into.push(Placed { run: Arc::clone(&name), at: entry.at, frame });
            }
            if last {
                break;
            }
        }
        if segment.to.is_some_and(|to| at < to) {
            let message = format!("it ends here, and a fork needs it up to position {to}");
            return Err(RunLogError::Corrupt { run: name.to_string(), at, message });
        }
        Ok((at, chain.unwrap_or_else(|| Chain::start(&name))))
    }

    /// Where the newest frame with a whole state is.
    pub(crate) async fn base(&self) -> Result<Option<(usize, u64)>, RunLogError> {
        self.base_before(None).await
    }

    /// Where the newest frame with a whole state is that stands before `limit`: a segment and a position in it.
    pub(crate) async fn base_before(&self, limit: Option<(usize, u64)>) -> Result<Option<(usize, u64)>, RunLogError> {
        for (index, segment) in self.segments.iter().enumerate().rev() {
            let before = match limit {
                Some((last, _)) if index > last => continue,
                Some((last, at)) if index == last => Some(at),
                _ => segment.to,
            };
            let prefix = base_prefix(&segment.record.name);
            let mut scan = Scan::of(BASES).prefix(&prefix).limit(1).reversed();
            if let Some(before) = before {
                scan = scan.after(&format!("{prefix}{before:020}"));
            }
            if let Some((key, _)) = self.store.scan(&scan).await?.first() {
                let at = key.name()[prefix.len()..].parse().unwrap_or(0);
                return Ok(Some((index, at)));
            }
        }
        Ok(None)
    }

    /// The values of bodies, in the same order.
    ///
    /// # Errors
    /// [`RunLogError::Corrupt`] when the bytes of one are gone or not those that were written; and when the store fails.
    pub async fn values<T: DeserializeOwned>(&self, bodies: &[&Body]) -> Result<Vec<T>, RunLogError> {
        read_bodies(&*self.store, &self.record().name, bodies).await
    }

    /// Up to `limit` events from number `from` on, in their order.
    ///
    /// # Errors
    /// As [`Self::frames`].
    pub async fn events(&self, from: u64, limit: usize) -> Result<Vec<Event>, RunLogError> {
        let mut events = Vec::new();
        let mut turn = None;
        for placed in self.frames().await? {
            for item in &placed.frame.items {
                match item {
                    Item::Begin(begin) => turn = Some(begin.id),
                    Item::Event(event) if event.seq >= from => {
                        let id = turn.unwrap_or(self.record().id);
                        let event = event.event(id).map_err(|message| RunLogError::Corrupt {
                            run: placed.run.to_string(),
                            at: placed.at,
                            message,
                        })?;
                        events.push(event);
                        if events.len() == limit {
                            return Ok(events);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(events)
    }

    /// The store that it is read from.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The id of the turn that `frames` end in.
    pub(crate) fn turn_of(&self, frames: &[Placed]) -> (u32, RunId) {
        let begins = frames.iter().rev().flat_map(|placed| placed.frame.items.iter().rev());
        begins
            .filter_map(|item| if let Item::Begin(begin) = item { Some((begin.turn, begin.id)) } else { None })
            .next()
            .unwrap_or((self.record().turns, self.record().id))
    }
}

/// The space of records that say where whole states stand.
pub(crate) const BASES: &str = "base";

/// What the names of these records begin with, for a run. The length in front keeps runs apart whose names begin alike.
pub(crate) fn base_prefix(run: &str) -> String {
    format!("{}:{run}:", run.len())
}

/// Where a run's own log begins now, and the link before it if `from` is there.
pub(crate) fn start_of(record: &RunRecord, from: u64) -> Result<(u64, Option<Chain>), RunLogError> {
    let Some(pruned) = &record.pruned else { return Ok((0, Some(Chain::start(&record.name)))) };
    let Some(chain) = Chain::parse(&pruned.chain) else {
        let message = "its record does not say what was pruned".to_owned();
        return Err(RunLogError::Corrupt { run: record.name.clone(), at: pruned.at, message });
    };
    if from > 0 && from < pruned.at {
        return Err(RunLogError::NoSuchStep {
            run: record.name.clone(),
            what: "position",
            wanted: from,
            have: format!("what is left begins at {}", pruned.at),
        });
    }
    Ok((pruned.at, Some(chain)))
}

pub(crate) fn expect_at(run: &str, entry: &Entry, at: u64) -> Result<(), RunLogError> {
    if entry.at == at {
        return Ok(());
    }
    let message = format!("the next entry is at {}: some are missing", entry.at);
    Err(RunLogError::Corrupt { run: run.to_owned(), at, message })
}

/// Reads bodies of `run`.
pub(crate) async fn read_bodies<T: DeserializeOwned>(
    store: &dyn Store,
    run: &str,
    bodies: &[&Body],
) -> Result<Vec<T>, RunLogError> {
    let mut ids: Vec<BlobId> = bodies.iter().filter_map(|body| body.blob()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut blobs: HashMap<BlobId, Bytes> = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(PAGE) {
        let found = store.blobs(ids).await?;
        blobs.extend(ids.iter().zip(found).filter_map(|(id, bytes)| Some((*id, bytes?))));
    }
    let read = |body: &&Body| {
        let bytes = body.blob().and_then(|id| blobs.get(&id));
        body.read(bytes).map_err(|message| RunLogError::Corrupt { run: run.to_owned(), at: 0, message })
    };
    bodies.iter().map(read).collect()
}
