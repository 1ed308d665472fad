//! Texts of events, made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// The last place between two characters that is not beyond `at` bytes.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A text within the limit, with what looks like a secret masked.
pub(crate) fn kept(text: &str, most: usize) -> String {
    // Masked first, or half a secret would be no secret to see; a secret is short, so not all of a huge text is looked at.
    let reach = floor(text, most.saturating_mul(2).saturating_add(1_000));
    let masked = crate::redact(&text[..reach]);
    let end = floor(&masked, most);
    if end < masked.len() || reach < text.len() { format!("{}…", &masked[..end]) } else { masked.into_owned() }
}

/// The first `most` characters, and how many more there are.
pub(crate) fn cut(text: &str, most: usize) -> (&str, usize) {
    match text.char_indices().nth(most) {
        None => (text, 0),
        Some((at, _)) => (&text[..at], text[at..].chars().count()),
    }
}

/// The text within so many characters; where it was cut, that is said.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match cut(text, most) {
        (whole, 0) => Cow::Borrowed(whole),
        (kept, more) => Cow::Owned(format!("{kept}… (+{more} characters)")),
    }
}

/// The text with everything escaped that steers a terminal or misleads the eye: control characters, line and paragraph
/// separators, and those that change the direction of writing.
pub(crate) fn escape(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                unicode(char, out);
            }
            _ if char.is_control() => unicode(char, out),
            _ => out.push(char),
        }
    }
}

fn unicode(char: char, out: &mut String) {
    // Writing into a string cannot fail.
    let _ = write!(out, "\\u{{{:x}}}", u32::from(char));
}

/// Milliseconds as people say them.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        _ => format!("{} min {:02} s", ms / 60_000, ms / 1_000 % 60),
    }
}

/// Such a count of such things.
pub(crate) fn count(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        let mut out = String::new();
        escape("a\u{1b}[31m\r\n\t\u{202e}\u{9b}\u{7f}é🧵", &mut out);
        assert_eq!(out, "a\\u{1b}[31m\\r\\n\\t\\u{202e}\\u{9b}\\u{7f}é🧵");
        let every: String = (0..=u32::from(char::MAX)).filter_map(char::from_u32).collect();
        out.clear();
        escape(&every, &mut out);
        assert!(!out.chars().any(char::is_control));
    }

    #[test]
    fn texts_are_cut_between_characters_and_say_so() {
        assert_eq!(shortened("ééé", 3), "ééé");
        assert_eq!(shortened("éééé", 2), "éé… (+2 characters)");
        assert_eq!(shortened("", 0), "");
    }

    #[test]
    fn durations_are_said_in_fitting_units() {
        assert_eq!([5, 1_200, 61_000].map(duration), ["5 ms", "1.20 s", "1 min 01 s"]);
        assert_eq!((count(1, "call"), count(2, "call")), ("1 call".into(), "2 calls".into()));
    }
}
