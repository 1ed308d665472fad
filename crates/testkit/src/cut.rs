//! Where a body is cut into the pieces that are sent one by one.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Where a body is cut into the pieces that are sent one by one. Each piece is a chunk of the transfer coding of its
/// own, so a client that reads chunk by chunk sees exactly these pieces.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Cut {
    /// Not at all.
    #[default]
    Whole,
    /// After each event (at its blank line), with a wait before the next.
    PerEvent(Duration),
    /// Every so many bytes.
    Every(usize),
    /// At random, the same way for the same seed: mostly a few bytes, now and then many.
    Seeded(u64),
    /// At these positions.
    At(Vec<usize>),
}

impl Cut {
    /// The pieces of `body`, in order; together they are the whole.
    #[must_use]
    pub fn pieces(&self, body: &[u8]) -> Vec<Range<usize>> {
        let length = body.len();
        let ends: Vec<usize> = match self {
            Cut::Whole => Vec::new(),
            Cut::PerEvent(_) => event_ends(body),
            Cut::Every(bytes) => (0..length).step_by((*bytes).max(1)).skip(1).collect(),
            Cut::Seeded(seed) => seeded(*seed, length),
            Cut::At(positions) => {
                let mut positions = positions.clone();
                positions.sort_unstable();
                positions
            }
        };
        let mut pieces = Vec::with_capacity(ends.len() + 1);
        let mut begin = 0;
        for end in ends.into_iter().filter(|end| *end < length).chain([length]) {
            if end > begin {
                pieces.push(begin..end);
                begin = end;
            }
        }
        pieces
    }

    /// How long to wait between two pieces.
    pub(crate) fn delay(&self) -> Duration {
        match self {
            Cut::PerEvent(delay) => *delay,
            _ => Duration::ZERO,
        }
    }
}

/// The positions after each blank line; lines end with LF, CR or CRLF.
fn event_ends(body: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    let mut blank = true;
    while at < body.len() {
        let step = match &body[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => {
                blank = false;
                at += 1;
                continue;
            }
        };
        at += step;
        if blank && at > step {
            ends.push(at);
        }
        blank = true;
    }
    ends
}

fn seeded(seed: u64, length: usize) -> Vec<usize> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut ends = Vec::new();
    let mut at = 0;
    while at < length {
        let most = if dice.random_ratio(1, 8) { 512 } else { 9 };
        at += dice.random_range(1..=most);
        ends.push(at);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts<'a>(cut: &Cut, body: &'a str) -> Vec<&'a str> {
        cut.pieces(body.as_bytes()).into_iter().map(|piece| &body[piece]).collect()
    }

    #[test]
    fn events_end_at_their_blank_line() {
        let cut = Cut::PerEvent(Duration::ZERO);
        assert_eq!(texts(&cut, "data: a\ndata: b\n\ndata: c\n\nd"), ["data: a\ndata: b\n\n", "data: c\n\n", "d"]);
        assert_eq!(texts(&cut, "a\r\n\r\nb\r\n\r\n"), ["a\r\n\r\n", "b\r\n\r\n"]);
        assert_eq!(texts(&cut, "a\r\rb\n"), ["a\r\r", "b\n"]);
    }

    #[test]
    fn cuts_fall_where_they_were_asked_for() {
        assert_eq!(texts(&Cut::Every(2), "abcde"), ["ab", "cd", "e"]);
        assert_eq!(texts(&Cut::Every(0), "abc"), ["a", "b", "c"]);
        assert_eq!(texts(&Cut::At(vec![4, 1, 1, 0, 99]), "abcde"), ["a", "bcd", "e"]);
        assert_eq!(texts(&Cut::Whole, "abcde"), ["abcde"]);
        assert_eq!(texts(&Cut::Whole, ""), [""; 0]);
        let body = "x".repeat(2000);
        assert_eq!(Cut::Seeded(1).pieces(body.as_bytes()), Cut::Seeded(1).pieces(body.as_bytes()));
        assert_ne!(Cut::Seeded(1).pieces(body.as_bytes()), Cut::Seeded(2).pieces(body.as_bytes()));
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_whole(body in "[a\r\n]{0,60}", n in 0usize..9, at in prop::collection::vec(0usize..70, 0..9)) {
            for cut in [Cut::Whole, Cut::PerEvent(Duration::ZERO), Cut::Every(n), Cut::Seeded(n as u64), Cut::At(at)] {
                prop_assert_eq!(texts(&cut, &body).concat(), body.as_str());
                prop_assert!(texts(&cut, &body).iter().all(|piece| !piece.is_empty()));
            }
        }
    }
}
