//! Postings that wait to be written, so that those of one term are written together.

/// How many wait at most.
const FULL: usize = 1 << 16;
/// How many bits of a term are sorted by at once.
const DIGIT: u32 = 11;

/// Postings `term`, `slot`, `count` in one number each, in this order; the slot counts from the first that waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    packed: Vec<u64>,
    other: Vec<u64>,
    first: u32,
}

impl Pending {
    pub(super) fn push(&mut self, term: u32, slot: u32, count: u16) {
        if self.packed.is_empty() {
            self.first = slot;
        }
        let offset = u64::from(slot.wrapping_sub(self.first) & 0xffff);
        self.packed.push(u64::from(term) << 32 | offset << 16 | u64::from(count));
    }

    /// Whether it is time to write, before a document of the next number `slot`.
    pub(super) fn full(&self, slot: u32) -> bool {
        self.packed.len() >= FULL || (!self.packed.is_empty() && slot.wrapping_sub(self.first) > 0xffff)
    }

    /// Tells the postings of each term together, the documents in order; nothing waits any more.
    pub(super) fn drain(&mut self, terms: usize, mut each: impl FnMut(u32, &mut dyn Iterator<Item = (u32, u16)>)) {
        let mut shift = 32;
        while shift < 64 && (terms as u64) >> (shift - 32) > 0 {
            self.pass(shift);
            shift += DIGIT;
        }
        let first = self.first;
        for same in self.packed.chunk_by(|a, b| a >> 32 == b >> 32) {
            if let Some(one) = same.first() {
                let posting = |packed: &u64| (first.wrapping_add((packed >> 16) as u32 & 0xffff), *packed as u16);
                each((one >> 32) as u32, &mut same.iter().map(posting));
            }
        }
        self.packed.clear();
    }

    /// Sorts by a few bits of the term, and leaves those that are equal in their order.
    fn pass(&mut self, shift: u32) {
        let digit = |packed: u64| (packed >> shift) as usize & ((1 << DIGIT) - 1);
        let mut places = [0u32; 1 << DIGIT];
        for packed in &self.packed {
            if let Some(place) = places.get_mut(digit(*packed)) {
                *place += 1;
            }
        }
        let mut sum = 0;
        for place in &mut places {
            sum += std::mem::replace(place, sum);
        }
        self.other.clear();
        self.other.resize(self.packed.len(), 0);
        for packed in &self.packed {
            let Some(place) = places.get_mut(digit(*packed)) else { continue };
            if let Some(to) = self.other.get_mut(*place as usize) {
                *to = *packed;
            }
            *place += 1;
        }
        std::mem::swap(&mut self.packed, &mut self.other);
    }
}
