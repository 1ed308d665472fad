//! How many tokens the parts of texts are that were counted before.

/// The longest part that is remembered, in bytes: its bytes and its length have room in three words.
const LONGEST: usize = 23;
/// How many parts are remembered, as a power of two: 2 MB for each vocabulary and thread that counts.
const BITS: u32 = 16;

/// A part: its bytes, zeros, its length.
type Name = [u64; 3];

/// A table of parts and their counts. Of two parts with the same place the later one stays.
pub(super) struct Known {
    places: Box<[(Name, u64)]>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { places: vec![([0; 3], 0); 1 << BITS].into_boxed_slice() }
    }

    /// How many tokens a part is: remembered, or counted now.
    #[inline]
    pub(super) fn count(&mut self, part: &str, count: impl FnOnce(&str) -> u64) -> u64 {
        let Some(name) = name_of(part.as_bytes()) else { return count(part) };
        let Some(place) = self.places.get_mut(place_of(&name)) else { return count(part) };
        if place.0 != name {
            // No part is empty, so none has the name of a place that was never used.
            *place = (name, count(part));
        }
        place.1
    }
}

#[inline]
fn name_of(part: &[u8]) -> Option<Name> {
    if part.len() > LONGEST {
        return None;
    }
    let mut bytes = [0u8; 24];
    bytes.get_mut(..part.len())?.copy_from_slice(part);
    *bytes.last_mut()? = u8::try_from(part.len()).ok()?;
    let word = |at: usize| bytes.as_chunks::<8>().0.get(at).map(|eight| u64::from_le_bytes(*eight));
    Some([word(0)?, word(1)?, word(2)?])
}

/// Where a part is looked for: its words, mixed by multiplication with odd constants (the fractions of the golden ratio and of
/// the square roots of 3 and 5).
#[inline]
fn place_of([a, b, c]: &Name) -> usize {
    let mixed = a.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ b.wrapping_mul(0xBB67_AE85_84CA_A73B)
        ^ c.wrapping_mul(0x3C6E_F372_FE94_F82B);
    usize::try_from(mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_remembered_and_what_is_long_is_counted_again() {
        let mut known = Known::new();
        assert_eq!(known.count(" cat", |_| 7), 7);
        assert_eq!(known.count(" cat", |_| 8), 7);
        assert_eq!(known.count(" cat\0", |_| 9), 9, "another length is another part");
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((known.count(&long, |_| 1), known.count(&long, |_| 2)), (1, 2));
        let most = "x".repeat(LONGEST);
        assert_eq!((known.count(&most, |_| 1), known.count(&most, |_| 2)), (1, 1));
    }
}
