//! One of a few values.

use crate::{ParseError, Parser};

const NAME: &str = "enum";

/// Reads one of a few values: exactly, else without regard to case, quotes and punctuation around it, else the only one
/// of them that stands as a word in the text.
///
/// ```
/// use atomr_agents_parser::{Enum, Parser};
///
/// let mood = Enum::new(["positive", "negative", "very negative"])?;
/// assert_eq!(mood.parse("\"Positive.\"")?, "positive");
/// assert_eq!(mood.parse("The review is very negative, I would say.")?, "very negative");
/// assert!(mood.parse("positive or negative").is_err());
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Enum {
    values: Vec<String>,
    /// The values in lower case, with their places; the longest first.
    lower: Vec<(String, usize)>,
}

impl Enum {
    /// A parser for these values.
    ///
    /// # Errors
    /// [`ParseError::Config`] for no value, an empty one, or one that is there twice.
    pub fn new<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Result<Self, ParseError> {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        let wrong = |message: String| Err(ParseError::config(NAME, "values", message));
        if values.is_empty() {
            return wrong("there is none".into());
        }
        for (at, value) in values.iter().enumerate() {
            if value.trim().is_empty() {
                return wrong("one is empty".into());
            }
            if values[..at].contains(value) {
                return wrong(format!("{value:?} is there twice"));
            }
        }
        let mut lower: Vec<(String, usize)> =
            values.iter().enumerate().map(|(at, value)| (value.trim().to_lowercase(), at)).collect();
        lower.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Ok(Self { values, lower })
    }

    /// The values.
    ///
    /// ```
    /// assert_eq!(atomr_agents_parser::Enum::new(["a", "b"])?.values(), ["a", "b"]);
    /// # Ok::<(), atomr_agents_parser::ParseError>(())
    /// ```
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The values as they are named to a model.
    fn names(&self) -> String {
        self.values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ")
    }

    /// The values that stand as words in a text of lower case, but for those that stand only inside longer ones.
    fn words(&self, text: &str) -> Vec<usize> {
        let mut taken = vec![false; text.len()];
        let mut found = Vec::new();
        for (value, at) in &self.lower {
            let mut free = false;
            for (start, _) in text.match_indices(value.as_str()) {
                let end = start + value.len();
                if is_word(text, start, end) && !taken[start] {
                    taken[start..end].fill(true);
                    free = true;
                }
            }
            if free {
                found.push(*at);
            }
        }
        found
    }
}

/// Whether no letter, digit or underscore stands beside this part.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    !text[..start].ends_with(inner) && !text[end..].starts_with(inner)
}

impl Parser for Enum {
    type Output = String;

    fn parse(&self, text: &str) -> Result<String, ParseError> {
        let exact = text.trim();
        if let Some(value) = self.values.iter().find(|value| *value == exact || *value == text) {
            return Ok(value.clone());
        }
        let lower = exact.to_lowercase();
        let bare = lower.trim_matches(|letter: char| !letter.is_alphanumeric());
        let meant =
            |value: &str| value == lower || value.trim_matches(|letter: char| !letter.is_alphanumeric()) == bare;
        let mut found: Vec<usize> =
            self.lower.iter().filter(|(value, _)| !bare.is_empty() && meant(value)).map(|(_, at)| *at).collect();
        if found.is_empty() {
            found = self.words(&lower);
        }
        match found.as_slice() {
            [at] => Ok(self.values[*at].clone()),
            [] => Err(ParseError::invalid(NAME, format!("it is none of {}", self.names()), text)),
            several => {
                let several: Vec<String> = several.iter().map(|at| format!("{:?}", self.values[*at])).collect();
                let message = format!("it may be {}; it must be one of {}", several.join(" or "), self.names());
                Err(ParseError::invalid(NAME, message, text))
            }
        }
    }

    fn format_instructions(&self) -> String {
        format!("Answer with exactly one of these, and with nothing else: {}", self.names())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exact_then_loose_then_the_only_word() {
        let parser = Enum::new(["Red", "green", "dark green", "C++", "red"]).unwrap();
        for (text, value) in [
            ("red", "red"),
            ("Red", "Red"),
            (" green\n", "green"),
            ("**GREEN**", "green"),
            ("'Dark Green'.", "dark green"),
            ("I like dark green best", "dark green"),
            ("c++", "C++"),
            ("It is C++.", "C++"),
        ] {
            assert_eq!(parser.parse(text).unwrap(), value, "{text}");
        }
        for text in ["", "RED", "greenish", "green and dark green", "evergreen_", "none", "**"] {
            let error = parser.parse(text).unwrap_err().to_string();
            assert!(error.contains("\"dark green\""), "{error}");
        }
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        for values in [vec![], vec![" "], vec!["a", "a"]] {
            assert_eq!(Enum::new(values).unwrap_err().kind(), atomr_agents_core::Kind::Config);
        }
    }

    #[test]
    fn a_long_text_of_one_value_is_read_once() {
        let parser = Enum::new(["a", "a a"]).unwrap();
        assert!(parser.parse(&"a ".repeat(200_000)).is_ok());
    }

    proptest! {
        #[test]
        fn it_never_panics_and_finds_its_values(text in ".*", value in "\\PC*[a-z]\\PC*") {
            let parser = Enum::new([value.clone(), "\u{130}".into()]);
            let Ok(parser) = parser else { return Ok(()) };
            let _ = parser.parse(&text);
            prop_assert_eq!(parser.parse(&value).unwrap(), value);
        }
    }
}
