//! How long a flush takes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use atomr_agents_state::Durability;

/// A flush that is expected to take longer is no work for a thread of the runtime.
const QUICK_US: u32 = 500;

/// A flush counts as if it had taken no longer.
const SLOWEST_US: u32 = 4 * QUICK_US;

/// What the next flush is expected to take: after each one an eighth nearer to it. A medium has to be quick for a while before
/// anybody waits for it on the spot; one slow flush now and then, as every disk has them, changes nothing, two in a row end it.
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
            // One that is lost between two threads is only one of many.
            self.0.store((before * 7 + took.min(SLOWEST_US)) / 8, Ordering::Relaxed);
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
    fn a_medium_is_quick_when_it_has_been_for_a_while_and_until_it_is_slow_more_than_once() {
        let pace = Pace::default();
        assert!(!pace.is_quick());
        pace.note(Durability::Relaxed, Duration::from_micros(1));
        notes(&pace, 80, 3);
        assert!(!pace.is_quick());
        notes(&pace, 80, 12);
        assert!(pace.is_quick());
        notes(&pace, 1_000_000, 1);
        assert!(pace.is_quick(), "one of many");
        notes(&pace, 1_000_000, 1);
        assert!(!pace.is_quick());
        notes(&pace, 80, 40);
        assert!(pace.is_quick());
        // A medium that is slow each fifth time is not quick, nor is one that is a little slow always.
        for _ in 0..20 {
            notes(&pace, 150, 4);
            notes(&pace, 4_000, 1);
        }
        assert!(!pace.is_quick());
        notes(&pace, 80, 40);
        notes(&pace, 600, 20);
        assert!(!pace.is_quick());
    }
}
