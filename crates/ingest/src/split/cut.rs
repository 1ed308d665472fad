//! Where a text is cut: one pass from its beginning to its end, for all splitters.

use std::ops::Range;

use super::{Length, chars};
use crate::IngestError;

/// Where a text would best be cut.
pub(crate) trait Seams {
    /// The best place behind `floor` and up to `end` for a piece to end, among those that are `free`.
    fn last(&self, text: &str, floor: usize, end: usize, free: &dyn Fn(usize) -> bool) -> Option<usize>;

    /// A place from `from` on and up to `to` where a piece would well begin, near `from`.
    fn first(&self, text: &str, from: usize, to: usize, free: &dyn Fn(usize) -> bool) -> Option<usize>;
}

/// How large pieces may be, and how much two neighbours share.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) size: usize,
    pub(crate) overlap: usize,
    pub(crate) length: Length,
}

impl Limits {
    pub(crate) fn checked(size: usize, overlap: usize, length: Length) -> Result<Self, IngestError> {
        if size == 0 {
            return Err(IngestError::config("chunk_size", "must be at least 1, not 0"));
        }
        if overlap >= size {
            let problem = format!("must be smaller than chunk_size ({size}), not {overlap}");
            return Err(IngestError::config("overlap", problem));
        }
        Ok(Self { size, overlap, length })
    }

    /// The pieces of a part of a text, which begins and ends between two graphemes.
    pub(crate) fn cut(&self, text: &str, part: Range<usize>, seams: &dyn Seams, into: &mut Vec<Range<usize>>) {
        // `fresh` is the first place that is in no piece yet.
        let (mut start, mut fresh) = (part.start, part.start);
        while fresh < part.end {
            let reach = self.length.reach(text, start, part.end, self.size);
            if reach >= part.end {
                into.push(start..part.end);
                return;
            }
            let end = self.end(text, start, fresh, reach, part.end, seams);
            if end <= fresh {
                // What is shared with the piece before leaves no room for a grapheme that is new.
                start = fresh;
                continue;
            }
            into.push(start..end);
            fresh = end;
            start = if self.overlap == 0 { end } else { self.begin(text, start, end, seams) };
        }
    }

    /// Where a piece ends that may reach that far. Tokens of a shorter text can be more than those of a longer one, so
    /// what was chosen is counted again.
    fn end(&self, text: &str, start: usize, fresh: usize, reach: usize, most: usize, seams: &dyn Seams) -> usize {
        let mut reach = reach;
        loop {
            let free = |at: usize| at == most || chars::may_cut(text, start, at);
            let end =
                seams.last(text, fresh, reach, &free).unwrap_or_else(|| chars::last_cut(text, start, reach).min(most));
            if matches!(self.length, Length::Chars) || end > reach {
                return end;
            }
            let fits = text.get(start..end).is_none_or(|piece| self.length.of(piece) <= self.size);
            let before = chars::last_cut(text, start, text.floor_char_boundary(end.saturating_sub(1)).max(start));
            if fits || before >= end {
                return end;
            }
            reach = before;
        }
    }

    /// Where the piece after the one that ends at `end` begins.
    fn begin(&self, text: &str, start: usize, end: usize, seams: &dyn Seams) -> usize {
        let back = self.length.back(text, start, end, self.overlap);
        let free = |at: usize| chars::may_cut(text, start, at);
        if let Some(at) = seams.first(text, back, end, &free) {
            return at;
        }
        // Where the cut is not between words either: the first place between graphemes from there on.
        let mut at = back;
        while at < end && !free(at) {
            at = text.ceil_char_boundary(at + 1);
        }
        at.min(end)
    }
}
