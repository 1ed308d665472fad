//! What a subscriber receives in one wake-up.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use atomr_agents_core::{Event, EventKind};

/// What a subscriber receives in one wake-up.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events in the order in which they were published.
    pub events: Vec<Arc<Event>>,
    /// How many were dropped because this subscriber was too slow. They lie before `events`.
    pub missed: u64,
}

impl Batch {
    /// The gap as an event to show before [`Batch::events`], if there is one. It names the run of the event that
    /// follows the gap, though others may have fallen into it too, and has no number of its own (`seq` is 0).
    #[must_use]
    pub fn lagged(&self) -> Option<Event> {
        let next = self.events.first().filter(|_| self.missed > 0)?;
        Some(Event {
            run: next.run,
            seq: 0,
            index: 0,
            path: Arc::from(""),
            parent: next.parent,
            time_ms: now_ms(),
            kind: EventKind::Lagged { missed: self.missed },
        })
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::event;

    #[test]
    fn only_a_gap_is_told_as_an_event() {
        let next = event(8);
        let batch = Batch { events: vec![Arc::clone(&next)], missed: 7 };
        let lagged = batch.lagged().unwrap();
        assert_eq!((lagged.run, lagged.seq, lagged.kind), (next.run, 0, EventKind::Lagged { missed: 7 }));
        assert!(Batch { missed: 0, ..batch }.lagged().is_none());
    }
}
