//! A tracer that keeps what it is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::Event;

use crate::{BoxFuture, Tracer, TracerError};

/// A tracer that keeps everything it is given, for tests and for looking at one run. It has no bound.
#[derive(Debug, Default)]
pub struct RecordingTracer {
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    events: Vec<Arc<Event>>,
    flushes: u64,
}

impl RecordingTracer {
    /// A tracer that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What it was given so far.
    #[must_use]
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.lock().events.clone()
    }

    /// How often it was flushed.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.lock().flushes
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracer for RecordingTracer {
    fn name(&self) -> &str {
        "recording"
    }

    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        self.lock().events.push(event);
        Box::pin(async { Ok(()) })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
        self.lock().flushes += 1;
        Box::pin(async { Ok(()) })
    }
}
