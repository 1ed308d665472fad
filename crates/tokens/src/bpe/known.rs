//! How many tokens the pieces of texts are that were counted before.

/// The longest piece that is remembered, in bytes: its bytes and its length have room in three words.
const LONGEST: usize = 23;
/// How many pieces are remembered, as a power of two: 2 MB for each vocabulary and thread that counts.
const BITS: u32 = 16;

/// A piece: its bytes, zeros, its length.
type Name = [u64; 3];

/// A piece and its count.
#[derive(Clone, Copy)]
// A place never lies across two lines of the processor's cache.
#[repr(align(32))]
struct Place {
    name: Name,
    count: u64,
}

/// A table of pieces and their counts. Of two pieces with the same place the later one stays.
pub(super) struct Known {
    places: Box<[Place]>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { places: vec![Place { name: [0; 3], count: 0 }; 1 << BITS].into_boxed_slice() }
    }

    /// How many tokens the piece of a text from one place to another is: remembered, or counted now.
    #[inline]
    pub(super) fn count(&mut self, text: &[u8], from: usize, to: usize, count: impl FnOnce(&[u8]) -> u64) -> u64 {
        let Some(piece) = text.get(from..to) else { return 0 };
        let Some(name) = name_of(text, from, piece) else { return count(piece) };
        let Some(place) = self.places.get_mut(place_of(&name)) else { return count(piece) };
        if place.name != name {
            // No piece is empty, so none has the name of a place that was never used.
            *place = Place { name, count: count(piece) };
        }
        place.count
    }
}

/// The bits of a name's words that are bytes of a piece, by the length of the piece.
const MASKS: [Name; LONGEST + 1] = {
    let mut masks = [[0; 3]; LONGEST + 1];
    let mut length = 0;
    while length <= LONGEST {
        let mut byte = 0;
        while byte < length {
            masks[length][byte / 8] |= 0xff << (byte % 8 * 8);
            byte += 1;
        }
        length += 1;
    }
    masks
};

#[inline]
fn name_of(text: &[u8], from: usize, piece: &[u8]) -> Option<Name> {
    let mask = MASKS.get(piece.len())?;
    let bytes = match text.get(from..)?.first_chunk::<24>() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; 24];
            bytes.get_mut(..piece.len())?.copy_from_slice(piece);
            bytes
        }
    };
    let words = bytes.as_chunks::<8>().0;
    let mut name: Name = std::array::from_fn(|at| u64::from_le_bytes(words[at]) & mask[at]);
    name[2] |= (piece.len() as u64) << 56;
    Some(name)
}

/// Where a piece is looked for: its words, mixed by multiplication with odd constants (the fractions of the golden ratio and of
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
        let mut count = |piece: &str, tokens| known.count(piece.as_bytes(), 0, piece.len(), |_| tokens);
        assert_eq!(count(" cat", 7), 7);
        assert_eq!(count(" cat", 8), 7);
        assert_eq!(count(" cat\0", 9), 9, "another length is another piece");
        let long = "x".repeat(LONGEST + 1);
        assert_eq!((count(&long, 1), count(&long, 2)), (1, 2));
        let most = "x".repeat(LONGEST);
        assert_eq!((count(&most, 1), count(&most, 2)), (1, 1));
    }

    #[test]
    fn the_same_piece_is_found_again_whatever_follows_it() {
        let mut known = Known::new();
        let text = b"a piece within a text and again piece";
        assert_eq!(known.count(text, 2, 7, |piece| piece.len() as u64), 5);
        assert_eq!(known.count(text, 32, 37, |_| 0), 5);
        assert_eq!(known.count(text, 30, 99, |_| 1), 0, "no piece of this text");
    }
}
