//! Events for this crate's own tests.

use std::sync::Arc;

use atomr_agents_core::{Event, EventKind, RunId};

/// An event with this number.
pub(crate) fn event(seq: u64) -> Arc<Event> {
    let kind = EventKind::ModelRetried { attempt: 2, wait_ms: 0, reason: String::new() };
    Arc::new(Event { run: RunId::new(), seq, index: 0, path: Arc::from(""), parent: None, time_ms: 0, kind })
}

/// The numbers of these events.
pub(crate) fn numbers(events: &[Arc<Event>]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}
