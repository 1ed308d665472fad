//! What sort of character each one is, as the expressions of OpenAI's vocabularies tell them apart.

use regex_syntax::hir::{Class, HirKind};

/// A set of the sorts below.
pub(super) type Sorts = u8;

/// Upper case and title case letters.
pub(super) const UPPER: Sorts = 1;
/// Lower case letters.
pub(super) const LOWER: Sorts = 1 << 1;
/// Letters without case.
pub(super) const PLAIN: Sorts = 1 << 2;
/// Marks on letters.
pub(super) const MARK: Sorts = 1 << 3;
/// Digits and other numbers.
pub(super) const NUMBER: Sorts = 1 << 4;
/// White space that breaks no line as the expressions see it.
pub(super) const SPACE: Sorts = 1 << 5;
/// Line feed and carriage return.
pub(super) const BREAK: Sorts = 1 << 6;
/// Everything else.
pub(super) const SIGN: Sorts = 1 << 7;

/// Letters.
pub(super) const LETTER: Sorts = UPPER | LOWER | PLAIN;
/// White space.
pub(super) const WHITE: Sorts = SPACE | BREAK;

/// The sorts in the words of regular expressions; what comes later holds.
const NAMES: [(Sorts, &str); 7] = [
    (UPPER, r"[\p{Lu}\p{Lt}]"),
    (LOWER, r"\p{Ll}"),
    (PLAIN, r"[\p{Lm}\p{Lo}]"),
    (MARK, r"\p{M}"),
    (NUMBER, r"\p{N}"),
    (SPACE, r"\s"),
    (BREAK, r"[\r\n]"),
];

/// The sorts of ASCII.
const ASCII: [Sorts; 128] = {
    let mut sorts = [SIGN; 128];
    let mut at = 0;
    while at < sorts.len() {
        sorts[at] = match at as u8 {
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            b'0'..=b'9' => NUMBER,
            b'\r' | b'\n' => BREAK,
            b' ' | b'\t' | 0xb | 0xc => SPACE,
            _ => SIGN,
        };
        at += 1;
    }
    sorts
};

/// The sort of an ASCII byte; none for a byte of a longer character.
#[inline]
pub(super) fn ascii(byte: u8) -> Option<Sorts> {
    ASCII.get(usize::from(byte)).copied()
}

/// The characters of one row of the table.
const ROW: usize = 256;

/// The sort of every character: rows of 256, of which equal ones are kept once. About 60 KB.
pub(super) struct Classes {
    rows: Box<[u8]>,
    sorts: Box<[[Sorts; ROW]]>,
}

impl Classes {
    /// Reads the sorts from the tables that regular expressions are made of, so that they agree with them; none if those lack a
    /// name.
    pub(super) fn new() -> Option<Self> {
        let mut all = vec![SIGN; 0x11_0000];
        for (sort, name) in NAMES {
            let HirKind::Class(Class::Unicode(class)) = regex_syntax::parse(name).ok()?.into_kind() else {
                return None;
            };
            for range in class.ranges() {
                all.get_mut(range.start() as usize..=range.end() as usize)?.fill(sort);
            }
        }
        let mut rows = Vec::new();
        let mut sorts: Vec<[Sorts; ROW]> = Vec::new();
        for row in all.as_chunks::<ROW>().0 {
            let place = sorts.iter().position(|known| known == row).unwrap_or(sorts.len());
            if place == sorts.len() {
                sorts.push(*row);
            }
            rows.push(u8::try_from(place).ok()?);
        }
        Some(Self { rows: rows.into(), sorts: sorts.into() })
    }

    /// The sort of a character.
    #[inline]
    pub(super) fn of(&self, char: char) -> Sorts {
        let code = char as usize;
        let row = self.rows.get(code / ROW).and_then(|&row| self.sorts.get(usize::from(row)));
        row.map_or(SIGN, |row| row[code % ROW])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_as_the_tables_have_it() {
        let classes = Classes::new().unwrap();
        for byte in 0..128 {
            assert_eq!(ascii(byte), Some(classes.of(char::from(byte))), "{byte}");
        }
        assert_eq!(ascii(128), None);
    }

    #[test]
    fn other_characters_have_their_sorts() {
        let classes = Classes::new().unwrap();
        let sorts: Vec<_> =
            "ÉéǅʰאéŽ²Ⅷ٣\u{85}\u{a0}\u{2028}\u{301}\u{e0100}😀。\u{10ffff}".chars().map(|c| classes.of(c)).collect();
        let (u, l, p) = (UPPER, LOWER, PLAIN);
        let expected = [u, l, u, p, p, l, u, NUMBER, NUMBER, NUMBER, SPACE, SPACE, SPACE, MARK, MARK, SIGN, SIGN, SIGN];
        assert_eq!(sorts, expected);
    }
}
