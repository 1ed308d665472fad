//! Whether a writer writes alone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// After the writer's thread has had one batch alone, so many may be written by who brings them before it is looked again.
const TRUST: u32 = 4;

/// Several writers that hand over what they write share a flush; one that is alone only waits longer for it. Which it is, shows
/// when something was handed over: either it was flushed alone, and nothing else had come by the end of the flush, or not. A run
/// whose steps end at once is many writers in this.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Who wrote last.
    by: AtomicU64,
    /// How many more may be written without being handed over.
    left: AtomicU32,
}

impl Alone {
    /// Whether this one may write where it stands.
    pub(super) fn is(&self, by: u64) -> bool {
        let same = self.by.swap(by, Ordering::AcqRel) == by;
        same && self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Notes how many batches there were, in a flush and behind it.
    pub(super) fn note(&self, batches: usize) {
        self.left.store(if batches == 1 { TRUST } else { 0 }, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_is_trusted_for_a_while_and_another_one_is_not() {
        let alone = Alone::default();
        assert!(!alone.is(1) && !alone.is(1), "nothing is known yet");
        alone.note(1);
        assert_eq!([(); 6].map(|()| alone.is(1)), [true, true, true, true, false, false]);
        alone.note(1);
        assert!(!alone.is(2) && alone.is(2) && !alone.is(1));
        alone.note(2);
        assert!(!alone.is(1) && !alone.is(1), "they shared a flush");
    }
}
