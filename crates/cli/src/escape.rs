//! Text from a store on its way to a terminal.

use std::borrow::Cow;

/// Whether a character does something to a terminal or to the order of what is read, instead of being seen.
fn hidden(character: char) -> bool {
    let turns =
        matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    character.is_control() || turns
}

/// The text with such characters written out.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if hidden(character) { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    Cow::Owned(shown)
}

/// JSON with such characters written as JSON writes them; they stand in texts only.
pub(crate) fn shown_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if hidden(character) {
            // None of them is beyond the first plane.
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// The beginning of a text, with a mark where it was cut.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_store_moves_the_cursor_or_turns_the_text() {
        assert_eq!(shown("plain ünï"), "plain ünï");
        assert_eq!(shown("a\x1b[2Jb\r\n\u{9b}c\u{202e}d"), "a\\u{1b}[2Jb\\r\\n\\u{9b}c\\u{202e}d");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({"x\u{7f}": "\u{9b}31m\u{202e}\u{feff}"});
        let line = value.to_string();
        let escaped = shown_json(&line);
        assert!(!escaped.chars().any(hidden));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
