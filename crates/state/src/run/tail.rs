//! Following the events of a run.

use std::sync::Arc;

use atomr_agents_core::{Event, RunId};

use super::frame::Chain;
use super::reader::{RunReader, Segment, expect_at, start_of};
use crate::{Frame, Item, RunLogError, Store};

/// How many frames are read at once.
const PAGE: usize = 512;

/// Reads the events of a run from a number on, page by page, and goes on where it stopped: also with those that are
/// written later.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_state::{EventTail, Journal, JournalOptions, MemoryStore, NewRun, Store};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let new = NewRun { name: "r1".into(), kind: "agent".into(), target: "demo".into(), ..NewRun::default() };
/// let _journal = Journal::begin(store.clone(), new, JournalOptions::default(), &()).await?;
/// let mut tail = EventTail::open(store, "r1", 0).await?;
/// assert!(tail.next_page().await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EventTail {
    store: Arc<dyn Store>,
    segments: Vec<Segment>,
    /// The segment that is read, the position in it, and the link before that.
    segment: usize,
    at: u64,
    chain: Option<Chain>,
    turn: RunId,
    from: u64,
}

impl EventTail {
    /// Begins with the event of number `from`.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchRun`]; and when the store fails.
    pub async fn open(store: Arc<dyn Store>, run: &str, from: u64) -> Result<Self, RunLogError> {
        let reader = RunReader::open(Arc::clone(&store), run).await?;
        let segments = reader.segments().to_vec();
        let (at, chain) = start_of(&segments[0].record, 0)?;
        Ok(Self { store, turn: reader.record().id, segments, segment: 0, at, chain, from })
    }

    /// The next events, in their order; none when everything that is written by now was given.
    ///
    /// # Errors
    /// [`RunLogError::Corrupt`] for a frame that is not what was written; and when the store fails. The same page is tried again
    /// by the next call.
    pub async fn next_page(&mut self) -> Result<Vec<Event>, RunLogError> {
        loop {
            let segment = &self.segments[self.segment];
            let to = segment.to.unwrap_or(u64::MAX);
            let limit = PAGE.min(usize::try_from(to.saturating_sub(self.at)).unwrap_or(PAGE));
            let page = if limit == 0 { Vec::new() } else { self.store.read(&segment.stream, self.at, limit).await? };
            if page.is_empty() {
                if self.segment + 1 == self.segments.len() {
                    return Ok(Vec::new());
                }
                if self.at < to {
                    let (run, at) = (segment.record.name.clone(), self.at);
                    let message = format!("it ends here, and a fork needs it up to position {to}");
                    return Err(RunLogError::Corrupt { run, at, message });
                }
                (self.at, self.chain) = start_of(&self.segments[self.segment + 1].record, 0)?;
                self.segment += 1;
                continue;
            }
            let (mut at, mut chain, mut turn) = (self.at, self.chain, self.turn);
            let name = segment.record.name.clone();
            let mut events = Vec::new();
            for entry in page {
                expect_at(&name, &entry, at)?;
                let (frame, link) = Frame::decode(&name, &entry, chain)?;
                (at, chain) = (at + 1, Some(link));
                for item in &frame.items {
                    match item {
                        Item::Begin(begin) => turn = begin.id,
                        Item::Event(event) if event.seq >= self.from => {
                            let corrupt = |message| RunLogError::Corrupt { run: name.clone(), at: entry.at, message };
                            events.push(event.event(turn).map_err(corrupt)?);
                        }
                        _ => {}
                    }
                }
            }
            (self.at, self.chain, self.turn) = (at, chain, turn);
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }
}
