//! How many tokens a text is, without a vocabulary.

use crate::TokenCounter;

/// A word is a token, and another for so many letters. Most ordinary words are fewer.
const LETTERS_PER_TOKEN: u64 = 4;
/// What is longer than this is composed of words, or is none.
const LONG_WORD: u64 = 12;
/// The letters of a token beyond that.
const LETTERS_PER_TOKEN_OF_LONG: u64 = 2;
/// The letters of a token of words in capitals, of which vocabularies hold fewer.
const CAPITALS_PER_TOKEN: u64 = 2;
/// The blanks of an indentation that are a token at least.
const BLANKS_PER_TOKEN: u64 = 16;

/// Estimates from above, without a vocabulary, in one pass over the text. For ordinary text of any language (prose, code,
/// JSON, Markdown) the estimate is not below what OpenAI's vocabulary `o200k_base` gives, nor, from a
/// paragraph on, below what the older `cl100k_base` gives, and at most two and a half times the latter; letters drawn at
/// random may be more tokens than estimated, and never more than bytes.
///
/// | of the text | tokens |
/// |---|---|
/// | a word of ASCII letters, with or without a capital in front; the words of `camelCase` each | 1, and 1 for every 4 of its first 12 letters and every 2 of the others |
/// | capitals in a row | half of them, rounded up |
/// | a digit, a sign, a line break, a tab | 1 (Gemini writes each digit as a token) |
/// | blanks in a row | none for one, else a sixteenth, rounded up |
/// | another letter | 1 if it is Cyrillic, 1¼ if UTF-8 has two bytes for it (Latin with accents, Greek, Hebrew, Arabic), 2 for three (Chinese, Hindi, Thai), 4 for four (emoji); rounded up over the text |
///
/// ```
/// use atomr_agents_tokens::{EstimatingCounter, TokenCounter};
///
/// let counter = EstimatingCounter;
/// // "The", "weather", "in", "Oslo", "?": 1 + 2 + 1 + 2 + 1; OpenAI's vocabularies say 5.
/// assert_eq!(counter.count_text("any", "The weather in Oslo?"), 7);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EstimatingCounter;

impl TokenCounter for EstimatingCounter {
    fn count_text(&self, _model: &str, text: &str) -> u64 {
        let mut run = Run::default();
        for letter in text.chars() {
            run.take(letter);
        }
        run.end();
        run.quarters.div_ceil(4)
    }
}

/// What a row of letters is made of.
#[derive(Clone, Copy, Default, PartialEq)]
enum Row {
    #[default]
    None,
    Word,
    Capitals,
    Blanks,
}

#[derive(Default)]
struct Run {
    row: Row,
    length: u64,
    /// Tokens so far, in quarters.
    quarters: u64,
}

impl Run {
    fn take(&mut self, letter: char) {
        match letter {
            'a'..='z' if self.row == Row::Capitals => {
                // The last capital begins the word.
                self.length -= 1;
                self.end();
                (self.row, self.length) = (Row::Word, 2);
            }
            'a'..='z' => self.extend(Row::Word),
            'A'..='Z' => self.extend(Row::Capitals),
            ' ' => self.extend(Row::Blanks),
            _ => {
                self.end();
                self.quarters += match (letter, letter.len_utf8()) {
                    ('\u{400}'..='\u{52f}', _) | (_, 1) => 4,
                    (_, 2) => 5,
                    (_, 3) => 8,
                    _ => 16,
                };
            }
        }
    }

    fn extend(&mut self, row: Row) {
        if self.row != row {
            self.end();
            self.row = row;
        }
        self.length += 1;
    }

    fn end(&mut self) {
        self.quarters += 4 * match self.row {
            Row::Word => {
                let usual = self.length.min(LONG_WORD);
                1 + usual / LETTERS_PER_TOKEN + (self.length - usual) / LETTERS_PER_TOKEN_OF_LONG
            }
            Row::Capitals => self.length.div_ceil(CAPITALS_PER_TOKEN),
            Row::Blanks if self.length > 1 => self.length.div_ceil(BLANKS_PER_TOKEN),
            Row::Blanks | Row::None => 0,
        };
        (self.row, self.length) = (Row::None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(text: &str) -> u64 {
        EstimatingCounter.count_text("any", text)
    }

    #[test]
    fn each_row_of_letters_counts_by_its_kind() {
        for (text, expected) in [
            ("", 0),
            (" ", 0),
            ("the", 1),
            ("Oslo", 2),
            ("getHTTPResponse", 1 + 2 + 3),
            ("NASA", 2),
            ("incomprehensibilities", 1 + 3 + 4),
            ("2024-08-06", 10),
            ("a\n    b", 4),
            ("naïve", 1 + 2 + 1),
            ("東京", 4),
            ("🙂", 4),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_bytes_and_more_text_is_never_fewer(one in ".{0,80}", other in ".{0,80}") {
            prop_assert!(tokens(&one) <= one.len() as u64);
            let joined = format!("{one}\n{other}");
            prop_assert!(tokens(&joined) > tokens(&one).max(tokens(&other)));
            prop_assert!(tokens(&joined) <= tokens(&one) + 1 + tokens(&other));
        }
    }
}
