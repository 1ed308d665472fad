//! How long a flush takes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use atomr_agents_state::Durability;

/// A flush that is expected to take longer is no work for a thread of the runtime.
const QUICK_US: u32 = 250;

/// What the next flush is expected to take: as long as a slow one, and after it an eighth nearer to each quick one. A medium
/// has to be quick for a while before anybody waits for it on the spot, and one slow flush ends it.
#[derive(Debug)]
pub(super) struct Pace(AtomicU32);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicU32::new(2 * QUICK_US))
    }
}

impl Pace {
    pub(super) fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= QUICK_US
    }

    /// Notes how long a commit took.
    pub(super) fn note(&self, durability: Durability, took: Duration) {
        if durability == Durability::Full {
            let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            let before = self.0.load(Ordering::Relaxed);
            let next = took.max((before / 8).saturating_mul(7).saturating_add(took / 8));
            // One that is lost between two threads is only one of many.
            self.0.store(next.min(8 * QUICK_US), Ordering::Relaxed);
        }
    }

    /// Does a commit and notes how long it took.
    pub(super) fn of<T>(&self, durability: Durability, commit: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = commit();
        self.note(durability, began.elapsed());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(pace: &Pace, micros: u64, times: usize) {
        for _ in 0..times {
            pace.note(Durability::Full, Duration::from_micros(micros));
        }
    }

    #[test]
    fn a_medium_is_quick_when_it_has_been_for_a_while_and_one_slow_flush_ends_it() {
        let pace = Pace::default();
        assert!(!pace.is_quick());
        pace.note(Durability::Relaxed, Duration::from_micros(1));
        notes(&pace, 80, 3);
        assert!(!pace.is_quick());
        notes(&pace, 80, 12);
        assert!(pace.is_quick());
        notes(&pace, 251, 1);
        assert!(!pace.is_quick());
        notes(&pace, 1_000_000, 1);
        notes(&pace, 80, 8);
        assert!(!pace.is_quick());
        notes(&pace, 80, 40);
        assert!(pace.is_quick());
    }
}
