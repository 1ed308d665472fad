//! The frames of suspended runs, which are kept so that they can go on where they stand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::frame::Frame;
use super::shared::RunShared;

/// A suspended run with its frames.
pub(crate) struct Hot {
    pub(crate) run: Arc<RunShared>,
    pub(crate) frames: Vec<Frame>,
    /// What the log says of them: if it says something else, somebody went on with the run elsewhere.
    pub(crate) mark: String,
    since: Instant,
}

impl Hot {
    pub(crate) fn new(run: Arc<RunShared>, frames: Vec<Frame>, mark: String) -> Self {
        Self { run, frames, mark, since: Instant::now() }
    }
}

/// A bounded table of suspended runs.
pub(crate) struct HotTable {
    runs: Mutex<HashMap<String, Hot>>,
    room: usize,
    ttl: Duration,
}

impl HotTable {
    pub(crate) fn new(room: usize, ttl: Duration) -> Self {
        Self { runs: Mutex::default(), room, ttl }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Hot>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the frames of a run; those that wait longest go when there is no room, and all that waited too long.
    pub(crate) fn keep(&self, name: String, hot: Hot) {
        // Dropped outside of the lock: a frame may hold anything.
        let mut gone = Vec::new();
        {
            let mut runs = self.lock();
            gone.extend(runs.insert(name, hot));
            let old: Vec<String> =
                runs.iter().filter(|(_, hot)| hot.since.elapsed() >= self.ttl).map(|(name, _)| name.clone()).collect();
            gone.extend(old.iter().filter_map(|name| runs.remove(name)));
            while runs.len() > self.room {
                let oldest = runs.iter().min_by_key(|(_, hot)| hot.since).map(|(name, _)| name.clone());
                let Some(oldest) = oldest else { break };
                gone.extend(runs.remove(&oldest));
            }
        }
        drop(gone);
    }

    /// Takes the frames of a run out.
    pub(crate) fn take(&self, name: &str) -> Option<Hot> {
        let hot = self.lock().remove(name)?;
        (hot.since.elapsed() < self.ttl).then_some(hot)
    }

    /// How many runs have their frames here.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}
