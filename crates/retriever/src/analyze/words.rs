//! The words of Unicode, with a short way for ASCII.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// What an ASCII character is to the rules of UAX #29.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// No part of a word.
    Other,
    Letter,
    Digit,
    /// `_`: joins letters and digits, but is no word by itself.
    Joiner,
    /// `'`, `.`: stands between two letters, or between two digits.
    Both,
    /// `:`: stands between two letters.
    Letters,
    /// `,`, `;`: stands between two digits.
    Digits,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'_' => Class::Joiner,
            b'\'' | b'.' => Class::Both,
            b':' => Class::Letters,
            b',' | b';' => Class::Digits,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

fn class(bytes: &[u8], at: usize) -> Class {
    bytes.get(at).and_then(|byte| CLASSES.get(usize::from(*byte))).copied().unwrap_or(Class::Other)
}

/// Tells each word of a text, in lower case and NFKC.
pub(super) fn each(text: &str, each: &mut dyn FnMut(&str)) {
    let mut word = String::with_capacity(32);
    if text.is_ascii() {
        return ascii(text, &mut word, each);
    }
    // Between words that white space parts, nothing joins.
    for piece in text.split_ascii_whitespace() {
        if piece.is_ascii() {
            ascii(piece, &mut word, each);
        } else {
            for part in piece.unicode_words() {
                each(&normal(part));
            }
        }
    }
}

/// A word in lower case and NFKC.
pub(super) fn normal(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(word);
    }
    let lower = word.to_lowercase();
    if is_nfkc_quick(lower.chars()) == IsNormalized::Yes {
        return Cow::Owned(lower);
    }
    // Normalising may bring capitals back: ℌ is H.
    Cow::Owned(lower.nfkc().collect::<String>().to_lowercase())
}

fn ascii(text: &str, word: &mut String, each: &mut dyn FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (mut any, mut capital) = (false, false);
        let mut last = class(bytes, at);
        loop {
            let here = class(bytes, at);
            let inside = match here {
                Class::Letter => {
                    any = true;
                    capital |= bytes.get(at).is_some_and(u8::is_ascii_uppercase);
                    true
                }
                Class::Digit => {
                    any = true;
                    true
                }
                Class::Joiner => true,
                Class::Other => false,
                middle => {
                    let next = class(bytes, at + 1);
                    at > start
                        && last == next
                        && ((next == Class::Letter && middle != Class::Digits)
                            || (next == Class::Digit && middle != Class::Letters))
                }
            };
            if !inside {
                break;
            }
            last = here;
            at += 1;
        }
        if any && let Some(found) = text.get(start..at) {
            if capital {
                word.clear();
                word.push_str(found);
                word.make_ascii_lowercase();
                each(word);
            } else {
                each(found);
            }
        }
        // What ended the word, or is none.
        if at == start || class(bytes, at) == Class::Other {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        each(text, &mut |word| all.push(word.to_owned()));
        all
    }

    #[test]
    fn numbers_names_and_contractions_stay_whole() {
        assert_eq!(words("Pi is 3.14, not 3,141."), ["pi", "is", "3.14", "not", "3,141"]);
        assert_eq!(
            words("don't DON'T _x_ a.b x1.y 1.x __ ' .a"),
            ["don't", "don't", "_x_", "a.b", "x1", "y", "1", "x", "a"]
        );
        assert_eq!(words("Ｒain ﬁne É é"), ["rain", "fine", "é", "é"]);
        assert_eq!(words(""), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn the_short_way_finds_the_words_of_unicode(text in "[a-cA-C0-2_'.:,; \\-\n]{0,40}") {
            let slow: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
            prop_assert_eq!(words(&text), slow);
        }

        #[test]
        fn white_space_parts_words_in_any_script(text in "[a-c1.' \u{300}\u{200d}éß雨あカ\u{5d0}\"\n]{0,40}") {
            let slow: Vec<String> = text.unicode_words().map(|word| normal(word).into_owned()).collect();
            prop_assert_eq!(words(&text), slow);
        }

        #[test]
        fn any_text_has_words(text in any::<String>()) {
            for word in words(&text) {
                prop_assert!(!word.is_empty());
            }
        }
    }
}
