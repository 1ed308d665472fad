//! Where in a run the work that a context belongs to is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{EffectKey, Journal};

/// What an engine puts into the context ([`atomr_agents_core::CallCtx::with`]) of the work that it starts, so that what is
/// below records its effects in the same run: a tool of an agent of a node of a graph. Cheap to clone; clones count
/// together.
///
/// Keys stay the same at every attempt as long as one path's effects are begun in the same order; what runs at the same
/// time gets a [`JournalScope::child`] of its own.
#[derive(Clone, Debug)]
pub struct JournalScope {
    journal: Journal,
    step: u64,
    path: Arc<str>,
    count: Arc<AtomicU32>,
}

impl JournalScope {
    /// The work of `path` in step `step`.
    #[must_use]
    pub fn new(journal: Journal, step: u64, path: &str) -> Self {
        Self { journal, step, path: Arc::from(path), count: Arc::default() }
    }

    /// A part of this work with a count of its own.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { path: Arc::from(path), count: Arc::default(), ..self.clone() }
    }

    /// The run that is written.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The step.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The key of the next effect of this path.
    #[must_use]
    pub fn next_key(&self) -> EffectKey {
        EffectKey::new(self.step, &self.path, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
