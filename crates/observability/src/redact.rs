//! Secrets in what tools are given and give back, masked before they are written anywhere.

use std::borrow::Cow;

use atomr_agents_core::{Event, EventKind};

/// What stands for a secret.
const MASK: &str = "[redacted]";

/// The longest name of a JSON member that is looked at, in bytes.
const NAME: usize = 64;

/// How keys of well-known services begin, and how long they are at least, this beginning included.
const PREFIXES: [(&str, usize); 17] = [
    ("sk-", 20),
    ("sk_live_", 20),
    ("sk_test_", 20),
    ("rk_live_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("hf_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("npm_", 20),
    ("pypi-", 20),
    ("AKIA", 20),
    ("AIza", 30),
    ("eyJ", 40),
];

/// Words that make a JSON member's name that of a secret, alone.
const WORDS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "credentials",
    "cookie",
];

/// Words that do so before `key`.
const KEYS: [&str; 5] = ["api", "access", "private", "secret", "signing"];

/// The text of an event that a user, a model or a tool wrote, if it has one.
macro_rules! text_of {
    ($kind:expr) => {
        match $kind {
            EventKind::TextDelta { text }
            | EventKind::ThinkingDelta { text }
            | EventKind::RefusalDelta { text }
            | EventKind::ToolCallStreamed { arguments: text, .. }
            | EventKind::ToolStarted { arguments: text, .. }
            | EventKind::ApprovalRequested { arguments: text, .. }
            | EventKind::ToolInvoked { result: text, .. }
            | EventKind::OutputRejected { message: text, .. }
            | EventKind::RunFailed { message: text, .. }
            | EventKind::ModelRetried { reason: text, .. }
            | EventKind::ModelFallback { reason: text, .. } => Some(text),
            _ => None,
        }
    };
}

/// The text with what looks like a secret masked: values of JSON members whose names say so (`password`, `api_key`,
/// `accessToken`), keys in the form of well-known services, bearer credentials, and passwords in URLs. It knows no
/// secret by value: one without such a form, or one that is cut in two, passes.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        match secret_at(text, at) {
            Some((start, end)) => {
                let masked = out.get_or_insert_with(String::new);
                masked.push_str(&text[copied..start]);
                masked.push_str(MASK);
                (copied, at) = (end, end);
            }
            None => at += text[at..].chars().next().map_or(1, char::len_utf8),
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut masked) => {
            masked.push_str(&text[copied..]);
            Cow::Owned(masked)
        }
    }
}

/// The event with its text passed through [`redact`].
#[must_use]
pub fn redact_event(event: &Event) -> Cow<'_, Event> {
    let Some(Cow::Owned(masked)) = text_of!(&event.kind).map(|text| redact(text)) else { return Cow::Borrowed(event) };
    let mut event = event.clone();
    if let Some(text) = text_of!(&mut event.kind) {
        *text = masked;
    }
    Cow::Owned(event)
}

/// Where a secret lies that is announced at `at`.
fn secret_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    match bytes[at] {
        b'"' => member(text, at),
        b':' if text[at..].starts_with("://") => url_password(text, at + 3),
        first if first.is_ascii_alphabetic() && (at == 0 || !is_word(bytes[at - 1])) => {
            service_key(text, at).or_else(|| credentials(text, at))
        }
        _ => None,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// How far a run of the characters of keys goes.
fn key_end(text: &str, from: usize) -> usize {
    let length = text.as_bytes()[from..].iter().take_while(|byte| is_word(**byte) || matches!(byte, b'.')).count();
    from + length
}

fn service_key(text: &str, at: usize) -> Option<(usize, usize)> {
    let (prefix, least) = PREFIXES.iter().find(|(prefix, _)| text[at..].starts_with(prefix))?;
    let end = key_end(text, at);
    (end - at >= *least).then_some((at + prefix.len(), end))
}

/// `Bearer` or `Basic` and what follows.
fn credentials(text: &str, at: usize) -> Option<(usize, usize)> {
    let scheme = ["bearer ", "basic "].into_iter().find(|scheme| {
        text.as_bytes()[at..].get(..scheme.len()).is_some_and(|have| have.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    let start = at + scheme.len();
    let length = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| is_word(**byte) || matches!(byte, b'.' | b'+' | b'/' | b'=' | b'~'))
        .count();
    (length >= 16).then_some((start, start + length))
}

/// The password in `scheme://user:password@host`.
fn url_password(text: &str, from: usize) -> Option<(usize, usize)> {
    let ends =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>');
    let length = text.as_bytes()[from..].iter().position(ends).unwrap_or(text.len() - from);
    let authority = &text[from..from + length];
    let at = authority.rfind('@')?;
    let colon = authority[..at].find(':')?;
    (colon + 1 < at).then_some((from + colon + 1, from + at))
}

/// The text value of a JSON member whose name is that of a secret; `at` is the name's opening quote.
fn member(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    // Names are short: looking further would cost the square of the text's length.
    let name_end = string_end(&bytes[..bytes.len().min(at + 2 + NAME)], at + 1)?;
    if !names_a_secret(&text[at + 1..name_end]) {
        return None;
    }
    let colon = skip_space(bytes, name_end + 1);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let quote = skip_space(bytes, colon + 1);
    if bytes.get(quote) != Some(&b'"') {
        return None;
    }
    // A value that is cut off is masked to the end.
    let end = string_end(bytes, quote + 1).unwrap_or(bytes.len());
    (end > quote + 1).then_some((quote + 1, end))
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    from + bytes.iter().skip(from).take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where a JSON string's closing quote is.
fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn names_a_secret(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || words.windows(2).any(|pair| pair[1] == "key" && KEYS.contains(&pair[0].as_str()))
}

/// The words of a name in snake, kebab or camel case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for char in name.chars() {
        if !char.is_alphanumeric() || (char.is_uppercase() && lower) {
            words.push(String::new());
        }
        lower = char.is_lowercase();
        if let (true, Some(word)) = (char.is_alphanumeric(), words.last_mut()) {
            word.extend(char.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, expected) in [
            (r#"{"api_key": "abc", "city": "Oslo"}"#, r#"{"api_key": "[redacted]", "city": "Oslo"}"#),
            (r#"{"accessToken":"a\"b","n":1}"#, r#"{"accessToken":"[redacted]","n":1}"#),
            (r#"{"PASSWORD" : "x"#, r#"{"PASSWORD" : "[redacted]"#),
            ("key sk-proj-0123456789abcdefghij.", "key sk-[redacted]"),
            ("AKIAABCDEFGHIJKLMNOP é", "AKIA[redacted] é"),
            ("Authorization: Bearer abcdefghijklmnop==", "Authorization: Bearer [redacted]"),
            ("postgres://me:hunter2@db/x?y", "postgres://me:[redacted]@db/x?y"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn what_does_not_is_left_as_it_is() {
        for text in [
            "",
            "é\"",
            r#"{"max_tokens": 5, "tokens": "many", "key": "A minor"}"#,
            r#"{"password": null, "secret": ""}"#,
            "bearer of news, basic income",
            "sk-short, task-0123456789012345678901234",
            "http://host:80/a@b and 12://",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn every_text_of_an_event_is_looked_at() {
        const SECRET: &str = "sk-0123456789abcdefghijklmnop";
        let mut masked = 0;
        for sample in EventKind::samples() {
            let mut kind = sample.clone();
            let Some(slot) = text_of!(&mut kind) else { continue };
            *slot = format!("it is {SECRET}");
            let event = Event { kind, ..(*crate::samples::event(1)).clone() };
            let written = format!("{:?}", redact_event(&event));
            assert!(!written.contains(&SECRET[3..]) && written.contains("sk-[redacted]"), "{written}");
            masked += 1;
        }
        assert_eq!(masked, 11);
        assert!(matches!(redact_event(&crate::samples::event(1)), Cow::Borrowed(_)));
    }
}
