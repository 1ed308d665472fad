//! What a cassette does not keep.

use serde_json::Value;

/// What stands for something that is not kept. In a request that is compared with a recorded one it stands for any text.
pub(super) const HIDDEN: &str = "[hidden]";

/// Names of fields whose text is not kept, without case, `-` and `_`.
const NAMES: &[&str] = &[
    "accesstoken",
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "clientsecret",
    "cookie",
    "credential",
    "credentials",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "setcookie",
    "token",
    "xapikey",
];

/// How keys of well-known services begin.
const KEYS: &[&str] = &[
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "AIza",
    "ya29.",
    "hf_",
];

/// A word that begins like a key and is shorter than this is none.
const SHORTEST_KEY: usize = 20;

/// What a cassette does not keep: these texts, fields with a telling name, and words that look like keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden {
    texts: Vec<String>,
}

impl Hidden {
    pub(super) fn add(&mut self, text: String) {
        if !text.is_empty() {
            self.texts.push(text);
        }
    }

    /// Takes everything out of `value` that is not kept.
    pub(super) fn clean(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean(item)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text) if is_secret_name(name) && !text.is_empty() => HIDDEN.clone_into(text),
                        field => self.clean(field),
                    }
                }
            }
            _ => {}
        }
    }

    fn clean_text(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.texts {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), HIDDEN);
            }
        }
        let keys: Vec<String> =
            clean.split(|c: char| !is_key_char(c)).filter(|word| is_key(word)).map(str::to_owned).collect();
        for key in keys {
            clean = clean.replace(&key, HIDDEN);
        }
        clean
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    NAMES.contains(&plain.as_str())
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn is_key(word: &str) -> bool {
    word.len() >= SHORTEST_KEY && KEYS.iter().any(|key| word.starts_with(key))
}

/// Whether `recorded` is `asked`, where what is hidden stands for any text.
pub(super) fn same_text(recorded: &str, asked: &str) -> bool {
    let mut parts = recorded.split(HIDDEN);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = asked.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let mut hidden = Hidden::default();
        hidden.add("canary".into());
        let mut value = json!({
            "metadata": {"Api-Key": "abc", "user": "u", "max_tokens": 7, "token": 5},
            "messages": [{"text": "the canary sings, sk-proj-0123456789abcdef0123 too"}, {"password": {"type": "string"}}],
            "headers": {"Authorization": "Bearer x"},
            "short": "sk-short and task-force-of-many-words",
        });
        hidden.clean(&mut value);
        assert_eq!(
            value,
            json!({
                "metadata": {"Api-Key": HIDDEN, "user": "u", "max_tokens": 7, "token": 5},
                "messages": [
                    {"text": format!("the {HIDDEN} sings, {HIDDEN} too")}, {"password": {"type": "string"}},
                ],
                "headers": {"Authorization": HIDDEN},
                "short": "sk-short and task-force-of-many-words",
            })
        );
    }

    #[test]
    fn what_is_hidden_stands_for_any_text() {
        for (recorded, asked, same) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a [hidden] c", "a b c", true),
            ("a [hidden] c", "a b d", false),
            ("[hidden]", "anything", true),
            ("[hidden] and [hidden].", "x and y.", true),
            ("[hidden] and [hidden].", "x or y.", false),
            ("", "", true),
        ] {
            assert_eq!(same_text(recorded, asked), same, "{recorded} {asked}");
        }
    }
}
