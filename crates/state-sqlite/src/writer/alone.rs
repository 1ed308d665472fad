//! Whether a writer writes alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After the writer's thread has had one batch alone, so many may be written by who brings them before it is looked again. Who is
/// sure to be alone is not counted.
const TRUST: u32 = 8;

/// What comes sooner after the end of a write does not follow from it: it had been ready before.
const READY: Duration = Duration::from_micros(40);

/// Several writers that hand over what they write share a flush; one that is alone only waits longer for it. Which it is, shows
/// when something was handed over: either it was flushed alone, and nothing else had come by the end of the flush, or not. A run
/// whose steps end at once is many writers in this, unless it says of a write that nothing else of it goes on.
#[derive(Debug)]
pub(super) struct Alone {
    /// Who wrote last.
    by: AtomicU64,
    /// How many more may be written without being handed over.
    left: AtomicU32,
    /// When the last write had ended, in microseconds after `began`.
    ended: AtomicU64,
    began: Instant,
}

impl Default for Alone {
    fn default() -> Self {
        Self { by: AtomicU64::new(0), left: AtomicU32::new(0), ended: AtomicU64::new(0), began: Instant::now() }
    }
}

impl Alone {
    /// Whether this one may write where it stands; `sure` says that it is no more than one by itself.
    pub(super) fn is(&self, by: u64, sure: bool) -> bool {
        let pause = Duration::from_micros(self.now().saturating_sub(self.ended.load(Ordering::Acquire)));
        self.is_after(by, sure, pause)
    }

    fn is_after(&self, by: u64, sure: bool, pause: Duration) -> bool {
        if self.by.swap(by, Ordering::AcqRel) != by || (pause < READY && !sure) {
            self.left.store(0, Ordering::Release);
        }
        if sure {
            // Whoever else writes is noticed by its own first write.
            return self.left.load(Ordering::Acquire) > 0;
        }
        self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Notes that something was written where it stood.
    pub(super) fn wrote(&self) {
        self.ended.store(self.now(), Ordering::Release);
    }

    /// Notes how many batches there were, in a flush and behind it.
    pub(super) fn shared(&self, batches: usize) {
        self.left.store(if batches == 1 { TRUST } else { 0 }, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_is_trusted_for_a_while_and_another_one_is_not() {
        let alone = Alone::default();
        let is = |by| alone.is_after(by, false, READY);
        assert!(!is(1) && !is(1), "nothing is known yet");
        alone.shared(1);
        assert!((0..TRUST).all(|_| is(1)) && !is(1));
        alone.shared(1);
        assert!(is(1) && !is(2) && !is(2), "two are not alone");
        alone.shared(1);
        assert!(is(2));
        alone.shared(2);
        assert!(!is(2), "they shared a flush");
    }

    #[test]
    fn what_was_ready_before_is_not_alone() {
        let alone = Alone::default();
        assert!(!alone.is(1, false));
        alone.shared(1);
        assert!(alone.is_after(1, false, READY));
        assert!(!alone.is_after(1, false, READY / 2) && !alone.is_after(1, false, READY));
        alone.shared(1);
        alone.wrote();
        std::thread::sleep(READY);
        assert!(alone.is(1, false));
    }

    #[test]
    fn who_says_that_nothing_else_goes_on_is_alone_until_another_writes() {
        let alone = Alone::default();
        let is = |by| alone.is_after(by, true, Duration::ZERO);
        assert!(!is(1), "another may be there, of whom nothing is known");
        alone.shared(1);
        assert!((0..TRUST * 2).all(|_| is(1)));
        assert!(!is(2) && !is(2));
        alone.shared(2);
        assert!(!is(2), "they shared a flush");
        alone.shared(1);
        assert!(is(2));
    }
}
