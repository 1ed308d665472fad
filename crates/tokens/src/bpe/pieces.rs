//! A text cut into pieces as the regular expressions of OpenAI's vocabularies cut it.

use super::classes::{BREAK, Classes, LETTER, LOWER, MARK, NUMBER, PLAIN, SIGN, SPACE, Sorts, UPPER, WHITE, ascii};

/// How a vocabulary cuts a text. No token reaches from one piece into the next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// `cl100k_base`, each alternative tried where the ones before it do not match:
    ///
    /// ```text
    /// '(?i:[sdmt]|ll|ve|re)
    /// [^\r\n\p{L}\p{N}]?+\p{L}++
    /// \p{N}{1,3}+
    ///  ?[^\s\p{L}\p{N}]++[\r\n]*+
    /// \s++$
    /// \s*[\r\n]
    /// \s+(?!\S)
    /// \s
    /// ```
    Cl100k,
    /// `o200k_base`, where `U` is `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]` and `W` is `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`:
    ///
    /// ```text
    /// [^\r\n\p{L}\p{N}]?U*W+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    /// [^\r\n\p{L}\p{N}]?U+W*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
    /// \p{N}{1,3}
    ///  ?[^\s\p{L}\p{N}]+[\r\n/]*
    /// \s*[\r\n]+
    /// \s+(?!\S)
    /// \s+
    /// ```
    O200k,
}

/// `U` above.
const UPPERISH: Sorts = UPPER | PLAIN | MARK;
/// `W` above.
const LOWERISH: Sorts = LOWER | PLAIN | MARK;

/// A text that is cut.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) text: &'a str,
    pub(super) classes: &'a Classes,
}

impl Pieces<'_> {
    /// Where the piece ends that begins at `at`, which is no end; both are places between characters.
    #[inline]
    pub(super) fn end(self, pattern: Pattern, at: usize) -> usize {
        let (sort, after) = self.sort(at);
        let word = match pattern {
            Pattern::Cl100k => self.cl100k_word(at, sort, after),
            Pattern::O200k => self.o200k_word(at, sort, after),
        };
        if let Some(end) = word {
            return end;
        }
        if sort == NUMBER {
            return self.number(after);
        }
        let signs = if self.byte(at) == Some(b' ') { after } else { at };
        let end = self.run(signs, SIGN | MARK);
        if end > signs {
            return self.breaks(end, matches!(pattern, Pattern::O200k));
        }
        self.white(pattern, at, after)
    }

    /// A contraction, or letters with what may stand before them.
    #[inline]
    fn cl100k_word(self, at: usize, sort: Sorts, after: usize) -> Option<usize> {
        if let Some(end) = self.contraction(at) {
            return Some(end);
        }
        match sort {
            UPPER | LOWER | PLAIN => Some(self.letters(after)),
            SPACE | SIGN | MARK => {
                let end = self.letters(after);
                (end > after).then_some(end)
            }
            _ => None,
        }
    }

    /// Upper case before lower case, with what may stand before and a contraction after.
    #[inline]
    fn o200k_word(self, at: usize, sort: Sorts, after: usize) -> Option<usize> {
        let end = match sort {
            NUMBER | BREAK => None,
            SPACE | SIGN => self.cased(after),
            // What stands before may be a mark, and a mark alone is a word too: of lower case, and so before upper case alone.
            MARK => match self.lower_ended(after) {
                (_, Some(end)) => Some(end),
                (_, None) => self.cased(at),
            },
            _ => self.cased(at),
        }?;
        Some(self.contraction(end).unwrap_or(end))
    }

    /// The end of `U*W+` at `at`, or else of `U+W*`.
    #[inline]
    fn cased(self, at: usize) -> Option<usize> {
        match self.lower_ended(at) {
            (_, Some(end)) => Some(end),
            (upper, None) => (upper > at).then_some(upper),
        }
    }

    /// The end of `U*` at `at`, and of `U*W+`: where no lower case letter follows, `U*` gives back up to its last character that
    /// is in `W` too.
    #[inline]
    fn lower_ended(self, at: usize) -> (usize, Option<usize>) {
        let mut end = at;
        let mut both = None;
        loop {
            let (sort, after) = self.sort(end);
            if sort & UPPERISH == 0 {
                break;
            }
            end = after;
            if sort & LOWERISH != 0 {
                both = Some(end);
            }
        }
        let lower = self.lower(end);
        (end, if lower > end { Some(lower) } else { both })
    }

    /// The end of a contraction that begins at `at`; the long s is an s without case.
    #[inline]
    fn contraction(self, at: usize) -> Option<usize> {
        if self.byte(at)? != b'\'' {
            return None;
        }
        let first = self.byte(at + 1)?.to_ascii_lowercase();
        if matches!(first, b's' | b'd' | b'm' | b't') {
            return Some(at + 2);
        }
        let second = self.byte(at + 2)?;
        match (first, second.to_ascii_lowercase()) {
            (b'l', b'l') | (b'v' | b'r', b'e') => Some(at + 3),
            _ => ([first, second] == *"ſ".as_bytes()).then_some(at + 3),
        }
    }

    /// The end of up to three numbers, of which the first ends at `after`.
    #[inline]
    fn number(self, after: usize) -> usize {
        let mut end = after;
        for _ in 0..2 {
            let (sort, after) = self.sort(end);
            if sort != NUMBER {
                break;
            }
            end = after;
        }
        end
    }

    /// The end of line breaks, and of slashes where they belong to them.
    #[inline]
    fn breaks(self, at: usize, slashes: bool) -> usize {
        let mut end = at;
        while self.byte(end).is_some_and(|byte| matches!(byte, b'\r' | b'\n') || (slashes && byte == b'/')) {
            end += 1;
        }
        end
    }

    /// The end of white space whose first character ends at `first`.
    fn white(self, pattern: Pattern, at: usize, first: usize) -> usize {
        let (mut end, mut last, mut broken) = (at, at, None);
        loop {
            let (sort, after) = self.sort(end);
            if sort & WHITE == 0 {
                break;
            }
            last = end;
            end = after;
            if sort == BREAK {
                broken = Some(end);
            }
        }
        let at_end = end == self.text.len();
        match (pattern, broken) {
            (Pattern::Cl100k, _) if at_end => end,
            (_, Some(broken)) => broken,
            _ if at_end => end,
            // The last space belongs to what follows, unless it is alone.
            _ if last > at => last,
            _ => first,
        }
    }

    #[inline]
    fn byte(self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// The sort of the character at `at` and where it ends; no sort at the end of the text.
    #[inline]
    fn sort(self, at: usize) -> (Sorts, usize) {
        match self.byte(at).map(ascii) {
            Some(Some(sort)) => (sort, at + 1),
            Some(None) => self.long_sort(at),
            None => (0, at),
        }
    }

    #[inline(never)]
    fn long_sort(self, at: usize) -> (Sorts, usize) {
        let char = self.text.get(at..).and_then(|rest| rest.chars().next());
        char.map_or((0, at), |char| (self.classes.of(char), at + char.len_utf8()))
    }

    /// The end of the characters of some sorts at `at`.
    #[inline]
    fn run(self, at: usize, sorts: Sorts) -> usize {
        let mut end = at;
        loop {
            let (sort, after) = self.sort(end);
            if sort & sorts == 0 {
                return end;
            }
            end = after;
        }
    }

    /// The end of the letters at `at`.
    #[inline]
    fn letters(self, at: usize) -> usize {
        self.run(self.eights(at, |eight| eight | 0x2020_2020_2020_2020), LETTER)
    }

    /// The end of `W*` at `at`.
    #[inline]
    fn lower(self, at: usize) -> usize {
        self.run(self.eights(at, |eight| eight), LOWERISH)
    }

    /// The end of those bytes at `at` that `folded` makes ASCII letters of lower case: eight are looked at together, as a loop
    /// over the bytes of a word ends where no processor foresees it.
    #[inline]
    fn eights(self, at: usize, folded: impl Fn(u64) -> u64) -> usize {
        /// Each byte of a word.
        const EACH: u64 = 0x0101_0101_0101_0101;
        let mut end = at;
        while let Some(eight) = self.text.as_bytes().get(end..).and_then(|rest| rest.first_chunk::<8>()) {
            let eight = u64::from_le_bytes(*eight);
            let low = folded(eight) & (EACH * 0x7f);
            // The high bit of each byte: from `a` on, and not beyond `z`. No byte overflows into its neighbour.
            let from_a = low + EACH * u64::from(0x80 - b'a');
            let beyond_z = low + EACH * u64::from(0x80 - b'z' - 1);
            let others = !(from_a & !beyond_z & !eight) & (EACH * 0x80);
            let letters = (others.trailing_zeros() / 8) as usize;
            end += letters;
            if letters < 8 {
                break;
            }
        }
        end
    }
}
