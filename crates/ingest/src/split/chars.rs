//! Counting and finding characters in UTF-8, many bytes at a time.

use unicode_segmentation::GraphemeCursor;

/// Fewer than 256, so that a byte can count them: then sixteen or more are counted by one instruction.
const BLOCK: usize = 192;

/// How many characters begin in these bytes of a valid text.
pub(crate) fn count(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| u8::from((*byte).cast_signed() >= -0x40);
    bytes.chunks(BLOCK).map(|block| usize::from(block.iter().map(begins).sum::<u8>())).sum()
}

/// The first place at or behind `at` where a character begins.
fn next_start(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| byte.cast_signed() < -0x40) {
        at += 1;
    }
    at
}

/// The place `wanted` characters behind `start`, at most `end`.
pub(crate) fn forward(bytes: &[u8], start: usize, end: usize, mut wanted: usize) -> usize {
    let mut at = start;
    while wanted > 0 {
        // A character has a byte at least: as many bytes as characters are wanted are never too many.
        let next = at.saturating_add(wanted);
        if next >= end {
            return end;
        }
        let block = bytes.get(at..next).unwrap_or_default();
        wanted -= if block.is_ascii() { block.len() } else { count(block) };
        at = next;
    }
    next_start(bytes, at).min(end)
}

/// The place `wanted` characters before `end`, at least `start`.
pub(crate) fn backward(bytes: &[u8], start: usize, end: usize, mut wanted: usize) -> usize {
    let mut at = end;
    while wanted > 0 && at > start {
        let next = at.saturating_sub(wanted).max(start);
        wanted -= count(bytes.get(next..at).unwrap_or_default());
        at = next;
    }
    next_start(bytes, at).min(end)
}

/// Whether a text may be cut at `at`: between two graphemes. `start` is such a place before it; nothing before that counts.
pub(crate) fn may_cut(text: &str, start: usize, at: usize) -> bool {
    let bytes = text.as_bytes();
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at)) else {
        return true;
    };
    if before.is_ascii() && after.is_ascii() {
        return (*before, *after) != (b'\r', b'\n');
    }
    let Some(part) = text.get(start..).filter(|_| text.is_char_boundary(at)) else { return false };
    GraphemeCursor::new(at - start, part.len(), true).is_boundary(part, 0).unwrap_or(false)
}

/// The last place up to `at` where a text may be cut, behind `start`; where a single grapheme goes beyond `at`, its end.
pub(crate) fn last_cut(text: &str, start: usize, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    if at > start && may_cut(text, start, at) {
        return at;
    }
    let Some(part) = text.get(start..) else { return text.len() };
    let mut cursor = GraphemeCursor::new(at.saturating_sub(start), part.len(), true);
    match cursor.prev_boundary(part, 0) {
        Ok(Some(before)) if before > 0 => start + before,
        _ => {
            let mut cursor = GraphemeCursor::new(0, part.len(), true);
            start + cursor.next_boundary(part, 0).ok().flatten().unwrap_or(part.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_grapheme_longer_than_its_place_is_kept_whole() {
        let family = "👨‍👩‍👧";
        let text = format!("a{family}b");
        assert_eq!(last_cut(&text, 1, 6), 1 + family.len());
        assert_eq!(last_cut(&text, 0, 6), 1);
        assert_eq!(last_cut("🇳🇴🇸🇪", 0, 12), 8);
        assert!(!may_cut("a\r\nb", 0, 2) && may_cut("a\r\nb", 0, 3));
    }

    proptest! {
        #[test]
        fn places_are_those_that_counting_one_by_one_gives(text in "[a-zé☔👨\u{301}]{0,400}", wanted in 0usize..450) {
            let bytes = text.as_bytes();
            prop_assert_eq!(count(bytes), text.chars().count());
            let forward_to = text.char_indices().nth(wanted).map_or(text.len(), |(at, _)| at);
            prop_assert_eq!(forward(bytes, 0, text.len(), wanted), forward_to);
            let all = text.chars().count();
            let back_to = text.char_indices().nth(all.saturating_sub(wanted)).map_or(text.len(), |(at, _)| at);
            prop_assert_eq!(backward(bytes, 0, text.len(), wanted), back_to);
        }
    }
}
