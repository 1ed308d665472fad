//! Looking up documents of a term in rising order.

use super::inverted::Postings;

/// A place in the postings of a term that only goes on.
pub(super) struct Finger<'a> {
    slots: &'a [u32],
    counts: &'a [u16],
}

impl<'a> Finger<'a> {
    pub(super) fn new(postings: &'a Postings) -> Self {
        Self { slots: &postings.slots, counts: &postings.counts }
    }

    /// How often the term stands in a document, which lies behind those that were asked for before.
    pub(super) fn count(&mut self, slot: u32) -> Option<u16> {
        // Steps that double, then halves of the last: what lies near costs little.
        let mut step = 1;
        while self.slots.get(step).is_some_and(|here| *here <= slot) {
            step *= 2;
        }
        let end = self.slots.len().min(step + 1);
        let window = self.slots.get(step / 2..end)?;
        let at = step / 2 + window.partition_point(|here| *here < slot);
        self.slots = self.slots.get(at..)?;
        self.counts = self.counts.get(at..)?;
        match self.slots.first() {
            Some(here) if *here == slot => self.counts.first().copied(),
            _ => None,
        }
    }
}
