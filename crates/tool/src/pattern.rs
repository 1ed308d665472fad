//! Which resources a grant covers.

use std::fmt;
use std::str::FromStr;

use crate::PermissionError;

/// The longest text of a pattern, in bytes.
const MAX_PATTERN: usize = 1024;
/// The longest resource that is compared with a pattern, in bytes; a longer one is covered by none.
const MAX_RESOURCE: usize = 8192;

/// A pattern of resources (paths, addresses, names).
///
/// `*` stands for any run of characters within one piece: it matches none of `/ \ ? # @ : *`, so that
/// `https://*.example.com/**` cannot be satisfied by another host. `**` stands for any run at all. Everything else stands
/// for itself, upper and lower case apart. A resource with a `..` segment (percent-encoded ones too) or with a control
/// character is matched by no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Piece,
    Anything,
}

impl Pattern {
    /// Whether the resource lies within it.
    pub(crate) fn matches(&self, resource: &str) -> bool {
        if resource.len() > MAX_RESOURCE || resource.chars().any(char::is_control) || climbs(resource) {
            return false;
        }
        // All positions in the pattern that are possible after the text so far: no backtracking, no blow-up.
        let mut at = vec![false; self.tokens.len() + 1];
        at[0] = true;
        self.skip_empty_runs(&mut at);
        for char in resource.chars() {
            let mut next = vec![false; at.len()];
            for (position, token) in self.tokens.iter().enumerate().filter(|(position, _)| at[*position]) {
                match token {
                    Token::Char(wanted) => next[position + 1] |= *wanted == char,
                    Token::Piece => next[position] |= !matches!(char, '/' | '\\' | '?' | '#' | '@' | ':' | '*'),
                    Token::Anything => next[position] = true,
                }
            }
            self.skip_empty_runs(&mut next);
            at = next;
        }
        at.last().copied().unwrap_or(false)
    }

    /// A run may be empty: whoever stands before it may stand behind it.
    fn skip_empty_runs(&self, at: &mut [bool]) {
        for (position, token) in self.tokens.iter().enumerate() {
            if at[position] && !matches!(token, Token::Char(_)) {
                at[position + 1] = true;
            }
        }
    }
}

/// Whether a path leaves the folder that it seems to be in.
fn climbs(resource: &str) -> bool {
    let mut plain = resource.to_ascii_lowercase();
    // An encoding may itself be encoded. Each round makes the text shorter, so this ends.
    while plain.contains('%') {
        let decoded = plain.replace("%25", "%").replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
        if decoded == plain {
            break;
        }
        plain = decoded;
    }
    plain.split(['/', '\\']).any(|segment| segment == "..")
}

impl FromStr for Pattern {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |message: &str| PermissionError::Pattern { text: text.to_owned(), message: message.to_owned() };
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(invalid("it must have 1 to 1024 bytes"));
        }
        if text.contains("***") {
            return Err(invalid("use * within a segment and ** across them"));
        }
        let mut tokens = Vec::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                '*' if chars.next_if_eq(&'*').is_some() => Token::Anything,
                '*' => Token::Piece,
                other => Token::Char(other),
            });
        }
        Ok(Self { text: text.to_owned(), tokens })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, resource: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(resource)
    }

    #[test]
    fn a_star_stays_within_a_piece_and_two_stars_do_not() {
        assert!(matches("/data/*", "/data/a.txt"));
        assert!(!matches("/data/*", "/data/a/b.txt"));
        assert!(matches("/data/**", "/data/a/b.txt"));
        assert!(!matches("/data/**", "/database/a"));
        assert!(matches("/data/**/x.md", "/data/a/b/x.md"));
        assert!(matches("*@example.com", "ann@example.com"));
        assert!(matches("**", "anything at all: /?#"));
        assert!(!matches("/Data/*", "/data/a"));
        assert!(matches("größe-*", "größe-ä"));
    }

    #[test]
    fn another_host_does_not_pass_as_a_subdomain() {
        let pattern = "https://*.example.com/**";
        assert!(matches(pattern, "https://api.example.com/v1/x?y=1#z"));
        for evil in [
            "https://evil.org/.example.com/x",
            "https://evil.org#.example.com/x",
            "https://evil.org?.example.com/x",
            "https://evil.org\\.example.com/x",
            "https://api.example.com@evil.org/x",
            "https://evil.org:80.example.com/",
            "https://api.example.com.evil.org/x",
            "http://api.example.com/x",
        ] {
            assert!(!matches(pattern, evil), "{evil}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_within_no_pattern() {
        for path in [
            "/data/../etc/passwd",
            "/data/..",
            "/data/%2e%2E/etc",
            "/data/.%2e/etc",
            "/data/%252e%252e/etc",
            "/data/a%2f..%2fb",
            "/data/a\\..\\b",
            "/data/a\0b",
        ] {
            assert!(!matches("/data/**", path), "{path}");
            assert!(!matches("**", path), "{path}");
        }
        assert!(matches("/data/**", "/data/a..b/...c"));
        assert!(matches("/data/**", "/data/100%/25%"));
    }

    #[test]
    fn limits_are_said_and_long_resources_are_not_covered() {
        assert!("".parse::<Pattern>().is_err());
        assert!("a***".parse::<Pattern>().is_err());
        assert!("a".repeat(1025).parse::<Pattern>().is_err());
        assert!(!matches("**", &"a".repeat(MAX_RESOURCE + 1)));
    }

    proptest! {
        #[test]
        fn a_text_without_stars_matches_itself_alone(text in "[a-z/.:]{1,12}", other in "[a-z/.:]{1,12}") {
            prop_assume!(!climbs(&text) && !climbs(&other));
            prop_assert!(matches(&text, &text));
            prop_assert_eq!(matches(&text, &other), text == other);
        }

        #[test]
        fn never_panics(pattern in ".{1,20}", resource in ".*") {
            if let Ok(pattern) = pattern.parse::<Pattern>() {
                pattern.matches(&resource);
            }
        }
    }
}
