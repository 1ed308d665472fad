//! Rust source, blanked where it is no code: so that a word in a comment or in a string is not taken for a use of it.

/// `text` with comments, strings and character literals replaced by spaces; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skip_length(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    out
}

/// The code inside fenced blocks of documentation comments, which is compiled too.
pub(crate) fn doc_examples(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim_start();
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else { continue };
        if doc.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            out.push_str(doc);
            out.push('\n');
        }
    }
    out
}

/// Where `word` stands in `line` as a whole identifier.
pub(crate) fn find_word(line: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = line[..*at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// How long the comment or literal is that starts here; 0 where code goes on.
fn skip_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    // `r"`, `b"`, `br#"` start a literal only where no identifier ends in that letter.
    if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        let prefix = ["br", "cr", "r", "b", "c"].into_iter().find(|prefix| rest.starts_with(prefix)).unwrap_or("");
        let body = &rest[prefix.len()..];
        if prefix.ends_with('r') {
            let hashes = body.bytes().take_while(|byte| *byte == b'#').count();
            if body[hashes..].starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let open = prefix.len() + hashes + 1;
                return rest[open..].find(&end).map_or(rest.len(), |at| open + at + end.len());
            }
        } else if body.starts_with('"') {
            return prefix.len() + quoted(body, '"');
        } else if prefix == "b" && body.starts_with('\'') {
            return 1 + quoted(body, '\'');
        }
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        // `'a'` and `'\n'` are characters, `'a` is a lifetime.
        let mut chars = rest.chars().skip(1);
        let (first, second) = (chars.next(), chars.next());
        if first == Some('\\') || second == Some('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of the literal between two `quote`s, the first of which starts `rest`.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_go_and_lines_stay() {
        let text = "let a = \"x // \\\" y\"; // z\n/* z /* z */ z */ b('\"', 'q', b'\\'', r#\"z\"z\"#, br\"z\");\nfn f<'a>(d: &'a str) {}";
        let code = code_only(text);
        assert_eq!(code.lines().count(), 3);
        for word in ["x", "y", "z", "q"] {
            assert!(!code.contains(word), "{word} in {code}");
        }
        for word in ["let a =", "b(", "fn f<'a>(d: &'a str) {}"] {
            assert!(code.contains(word), "{word} not in {code}");
        }
    }

    #[test]
    fn a_name_that_ends_in_r_opens_no_raw_string() {
        assert!(code_only("expr(\"a\"); var + b\"c\" + d").ends_with("+ d"));
    }

    #[test]
    fn a_literal_that_never_ends_is_skipped_to_the_end() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'\\"] {
            assert_eq!(code_only(text).trim(), "", "{text}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_word("use serde_json; serde::x", "serde"), Some(16));
        assert_eq!(find_word("serde_json", "serde"), None);
    }

    #[test]
    fn examples_are_the_fenced_part_of_a_comment() {
        let text = "/// Uses tokio.\n/// ```\n/// use serde::X;\n/// ```\n/// and bytes\nfn f() {}\n";
        assert_eq!(doc_examples(text), " use serde::X;\n");
    }
}
