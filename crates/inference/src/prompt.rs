//! The beginning of a prompt, which providers keep from call to call, and what breaks it.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use atomr_agents_core::ModelRequest;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::InferenceError;

/// A request as its provider will read it.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// The fields of the body that make up the prompt, in the order in which the provider reads them. The last one is the
    /// transcript.
    pub prompt: &'static [&'static str],
    /// Fields anywhere in the prompt that only mark what shall be kept: they move from call to call and change nothing of
    /// what is read.
    pub marks: &'static [&'static str],
}

impl Lowered {
    /// The neutral request, for clients that have no wire format of their own.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`] when it cannot be written as JSON.
    pub fn neutral(provider: &str, request: &ModelRequest) -> Result<Self, InferenceError> {
        let body = serde_json::to_vec(request).map_err(|error| InferenceError::Unsupported {
            provider: provider.to_owned(),
            message: error.to_string(),
        })?;
        Ok(Self { body, prompt: &["tools", "messages"], marks: &[] })
    }

    /// The prompt of this request, part by part.
    #[must_use]
    pub fn prefix(&self) -> PromptPrefix {
        let fields: Fields<'_> = serde_json::from_slice(&self.body).unwrap_or_default();
        let mut parts = Vec::new();
        for name in self.prompt {
            let Some(value) = fields.get(name) else { continue };
            let text = |raw| self.unmarked(raw);
            match serde_json::from_str::<Vec<&RawValue>>(value) {
                Ok(items) => {
                    let all = items.iter().enumerate();
                    parts.extend(all.map(|(at, item)| Part::of(name, Some(at), &text(item.get()))));
                }
                Err(_) => parts.push(Part::of(name, None, &text(value))),
            }
        }
        PromptPrefix { parts }
    }

    /// Whether a part of this name, as in [`PrefixBreak::owner`], is one of the transcript: not a tool, and not what the
    /// model is told to be.
    #[must_use]
    pub fn in_transcript(&self, owner: &str) -> bool {
        let place = self.prompt.last().and_then(|field| owner.strip_prefix(field));
        place.is_some_and(|rest| rest.starts_with('[') && !rest.ends_with(" system"))
    }

    /// A part without the marks in it.
    fn unmarked<'j>(&self, json: &'j str) -> Cow<'j, str> {
        let marked = self.marks.iter().any(|mark| json.contains(mark));
        let value = if marked { serde_json::from_str(json).ok() } else { None };
        value.map_or(Cow::Borrowed(json), |mut value| {
            unmark(&mut value, self.marks);
            Cow::Owned(value.to_string())
        })
    }
}

fn unmark(value: &mut Value, marks: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| unmark(item, marks)),
        Value::Object(fields) => {
            fields.retain(|name, _| !marks.contains(&name.as_str()));
            fields.values_mut().for_each(|value| unmark(value, marks));
        }
        _ => {}
    }
}

/// The fields of a body, as they stand in it.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Fields<'a> {
    #[serde(borrow)]
    all: std::collections::HashMap<Cow<'a, str>, &'a RawValue>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.all.get(name).map(|value| value.get())
    }
}

/// The prompt of a request as the provider reads it: tools, system message, messages. A provider serves from its cache
/// as much of the beginning as is the same, byte by byte, as in an earlier request.
///
/// ```
/// use atomr_agents_core::{Message, ModelRequest};
/// use atomr_agents_inference::Lowered;
///
/// let prefix = |system: &str, more: &[&str]| {
///     let messages = [Message::system(system)].into_iter().chain(more.iter().map(|text| Message::user(*text)));
///     Lowered::neutral("any", &ModelRequest::new("m", messages.collect())).unwrap().prefix()
/// };
/// let first = prefix("Be brief.", &["Oslo?"]);
/// assert!(first.broken_by(&prefix("Be brief.", &["Oslo?", "Bergen?"])).is_none());
/// let broken = first.broken_by(&prefix("It is 12:01.", &["Oslo?", "Bergen?"])).unwrap();
/// assert_eq!(broken.owner, "messages[0] system");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PromptPrefix {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    owner: String,
    text: Box<str>,
}

/// The first difference between a prompt and the beginning of a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixBreak {
    /// The first byte that differs, counted over the parts of the prompt in the order the provider reads them.
    pub byte: usize,
    /// Which part it lies in, e.g. `tools[2] forecast` or `messages[0] system`.
    pub owner: String,
    /// What stood there, from a little before the difference.
    pub before: String,
    /// What stands there now.
    pub after: String,
}

impl fmt::Display for PrefixBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, owner, before, after } = self;
        write!(f, "the prompt changed at byte {byte}, in {owner}: {before:?} became {after:?}")
    }
}

/// How much is shown around a difference, in bytes.
const SHOWN: usize = 40;

impl PromptPrefix {
    /// A hash of the whole prompt: equal prompts have equal hashes, in every process.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hashes().last().map_or(0, |(_, hash)| hash)
    }

    /// The hash of the prompt up to and including each part, with the part's owner: what a provider may have cached.
    pub fn hashes(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        self.parts.iter().map(move |part| {
            hasher.write(part.text.as_bytes());
            (part.owner.as_str(), hasher.finish())
        })
    }

    /// The first difference to the beginning of `next`; `None` where `next` goes on from this prompt.
    #[must_use]
    pub fn broken_by(&self, next: &PromptPrefix) -> Option<PrefixBreak> {
        let mut byte = 0;
        for (at, part) in self.parts.iter().enumerate() {
            let (after, owner) = match next.parts.get(at) {
                Some(other) if other.text == part.text => {
                    byte += part.text.len();
                    continue;
                }
                Some(other) => (&*other.text, &other.owner),
                None => ("", &part.owner),
            };
            let same = part.text.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
            return Some(PrefixBreak {
                byte: byte + same,
                owner: owner.clone(),
                before: around(&part.text, same),
                after: around(after, same),
            });
        }
        None
    }
}

impl Part {
    fn of(field: &str, at: Option<usize>, json: &str) -> Self {
        let name = serde_json::from_str::<Value>(json).ok().and_then(|value| {
            let named = ["/name", "/function/name", "/role", "/type"];
            named.iter().find_map(|path| value.pointer(path)?.as_str().map(str::to_owned))
        });
        let place = at.map_or_else(|| field.to_owned(), |at| format!("{field}[{at}]"));
        let owner = name.map_or_else(|| place.clone(), |name| format!("{place} {name}"));
        Self { owner, text: json.into() }
    }
}

fn around(text: &str, at: usize) -> String {
    let from = text.floor_char_boundary(at.saturating_sub(SHOWN / 2));
    let to = text.floor_char_boundary((at + SHOWN).min(text.len()));
    text[from..to.max(from)].to_owned()
}

/// FNV-1a, 64 bit: stable across processes and versions, which the standard library's hasher is not. It guards against
/// accidents, not against an enemy. <https://datatracker.ietf.org/doc/draft-eastlake-fnv/>
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(body: &str) -> PromptPrefix {
        let prompt = &["tools", "system", "messages"];
        Lowered { body: body.as_bytes().to_vec(), prompt, marks: &["cache_control"] }.prefix()
    }

    #[test]
    fn a_mark_that_moves_breaks_nothing() {
        let first = prefix(r#"{"messages":[{"role":"user","content":[{"text":"a","cache_control":{"ttl":"1h"}}]}]}"#);
        let next = r#"{"messages":[{"role":"user","content":[{"text":"a"}]},{"text":"b","cache_control":{}}]}"#;
        assert_eq!(first.broken_by(&prefix(next)), None);
        let broken = first.broken_by(&prefix(&next.replace("\"a\"", "\"c\""))).unwrap();
        assert_eq!(broken.owner, "messages[0] user");
    }

    #[test]
    fn the_transcript_is_the_last_field() {
        let lowered = Lowered { body: Vec::new(), prompt: &["tools", "input"], marks: &[] };
        assert!(lowered.in_transcript("input[0] user") && lowered.in_transcript("input[3]"));
        for owner in ["input[0] system", "tools[1] x", "inputs[0] user", "instructions"] {
            assert!(!lowered.in_transcript(owner), "{owner}");
        }
    }

    #[test]
    fn the_first_byte_that_changed_and_its_owner() {
        let first = prefix(r#"{"messages":[{"role":"user","content":"a"}],"tools":[{"name":"x"},{"name":"y","d":1}]}"#);
        let more = r#"{"tools":[{"name":"x"},{"name":"y","d":1}],"messages":[{"role":"user","content":"a"},{"role":"assistant"}]}"#;
        assert_eq!(first.broken_by(&prefix(more)), None, "the order of the body's fields does not matter");
        let broken = first.broken_by(&prefix(&more.replace("\"d\":1", "\"d\":2"))).unwrap();
        assert_eq!((broken.byte, broken.owner.as_str()), (12 + 16, "tools[1] y"));
        assert!(broken.to_string().contains("tools[1] y"), "{broken}");
        let system = prefix(r#"{"system":"b","tools":[{"name":"x"},{"name":"y","d":1}]}"#);
        assert_eq!(first.broken_by(&system).unwrap().owner, "system");
        assert_eq!(first.broken_by(&prefix("{}")).unwrap().owner, "tools[0] x");
    }

    #[test]
    fn hashes_are_those_of_the_beginning() {
        let short = prefix(r#"{"system":"s","messages":[1]}"#);
        let long = prefix(r#"{"system":"s","messages":[1,2]}"#);
        let shared: Vec<_> = long.hashes().take(2).map(|(_, hash)| hash).collect();
        assert_eq!(short.hashes().map(|(_, hash)| hash).collect::<Vec<_>>(), shared);
        assert_ne!(short.hash(), long.hash());
        assert_eq!(prefix("").hash(), 0);
    }

    #[test]
    fn texts_of_many_bytes_are_shown_whole_characters() {
        let first = prefix(&format!(r#"{{"system":"{}a"}}"#, "é".repeat(50)));
        let broken = first.broken_by(&prefix(&format!(r#"{{"system":"{}ü"}}"#, "é".repeat(50)))).unwrap();
        assert!(broken.before.ends_with("a\"") && broken.after.ends_with("ü\""), "{broken:?}");
    }
}
