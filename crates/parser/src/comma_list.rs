//! A list between commas.

use crate::find::fences;
use crate::{ParseError, Parser};

const NAME: &str = "comma_list";

/// Reads a list between commas: white space around an item is dropped, and an item in double quotes may have commas, line
/// ends and doubled quotes in it, as in CSV. A backslash takes the meaning from a quote, a comma or a backslash; before
/// anything else it is itself. A line end separates as a comma does. Where nothing stands between two commas, there is no
/// item; `""` is an empty one.
///
/// ```
/// use atomr_agents_parser::{CommaList, Parser};
///
/// let list = CommaList.parse(r#"rain, "wind, strong", "so-called ""sun""", 1\,5 m"#)?;
/// assert_eq!(list, ["rain", "wind, strong", "so-called \"sun\"", "1,5 m"]);
/// assert!(CommaList.parse("\"rain, wind").is_err());
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CommaList;

impl Parser for CommaList {
    type Output = Vec<String>;

    fn parse(&self, text: &str) -> Result<Vec<String>, ParseError> {
        // A fence around the whole of it is none of the items.
        let fenced = text.trim_start().starts_with("```");
        let (from, body) = fences(text).next().filter(|_| fenced).unwrap_or((0, text));
        let mut reader = Reader { text: body, at: 0 };
        reader.items().map_err(|(message, at)| ParseError::at(NAME, message, text, from + at))
    }

    fn format_instructions(&self) -> String {
        "Answer with a list of items between commas, for example: foo, bar, baz. Put an item that has a comma in it into \
         double quotes, and double the double quotes in it. Write nothing else."
            .into()
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|letter| letter.is_whitespace() && letter != '\n') {
            self.next();
        }
    }

    fn items(&mut self) -> Result<Vec<String>, (&'static str, usize)> {
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if self.peek() == Some('"') {
                items.push(self.quoted()?);
                self.skip_blanks();
                if !matches!(self.peek(), None | Some(',' | '\n')) {
                    return Err(("expected a comma after the closing quote", self.at));
                }
            } else {
                items.extend(self.bare());
            }
            if self.next().is_none() {
                return Ok(items);
            }
        }
    }

    /// An item up to the next comma or line end; nothing where it is empty.
    fn bare(&mut self) -> Option<String> {
        let (mut item, mut kept) = (String::new(), 0);
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, ',' | '\n')) {
            self.next();
            match self.escaped(letter) {
                Some(escaped) => {
                    item.push(escaped);
                    kept = item.len();
                }
                None => item.push(letter),
            }
        }
        // What was written with a backslash is no white space to drop.
        let end = item.trim_end().len().max(kept);
        item.truncate(end);
        (!item.is_empty()).then_some(item)
    }

    fn quoted(&mut self) -> Result<String, (&'static str, usize)> {
        let start = self.at;
        self.next();
        let mut item = String::new();
        while let Some(letter) = self.next() {
            match letter {
                '"' if self.peek() == Some('"') => {
                    self.next();
                    item.push('"');
                }
                '"' => return Ok(item),
                letter => item.push(self.escaped(letter).unwrap_or(letter)),
            }
        }
        Err(("the quote is never closed", start))
    }

    /// What a backslash that was just read stands before, if it takes the meaning from it.
    fn escaped(&mut self, letter: char) -> Option<char> {
        let next = self.peek().filter(|next| letter == '\\' && matches!(next, '"' | ',' | '\\'))?;
        self.next();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use proptest::prelude::*;

    #[test]
    fn quotes_escapes_and_blanks() {
        for (text, items) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("a,b , c", vec!["a", "b", "c"]),
            ("a\nb\r\n c,", vec!["a", "b", "c"]),
            (r#""", a"#, vec!["", "a"]),
            (r#""a,b", "c""d" ,"e\"f""#, vec!["a,b", "c\"d", "e\"f"]),
            (r"C:\dir\new, a\\b, \,", vec![r"C:\dir\new", r"a\b", ","]),
            ("\"two\nlines\"", vec!["two\nlines"]),
            ("5\" disk, x", vec!["5\" disk", "x"]),
            ("```\na, b\n```", vec!["a", "b"]),
        ] {
            assert_eq!(CommaList.parse(text).unwrap(), items, "{text}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        for (text, place) in [("a, \"b", 3), ("\"a\" b, c", 4), ("``` \n\"a\n```", 5)] {
            let error = CommaList.parse(text).unwrap_err();
            assert_eq!(error.fault().unwrap().place, Some(Place::Byte(place)), "{error}");
        }
    }

    fn written(items: &[String]) -> String {
        let quote = |item: &String| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\"\""));
        items.iter().map(quote).collect::<Vec<_>>().join(", ")
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(items in prop::collection::vec("(?s).*", 0..6)) {
            prop_assert_eq!(CommaList.parse(&written(&items)).unwrap(), items);
        }

        #[test]
        fn it_never_panics(text in "(?s).*|[`,\"\\\\ \na]*") {
            let _ = CommaList.parse(&text);
        }
    }
}
