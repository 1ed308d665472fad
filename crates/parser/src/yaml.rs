//! YAML.

use atomr_agents_core::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use crate::error::cut;
use crate::find::{fences, floats};
use crate::{ParseError, Parser};

const NAME: &str = "yaml";
/// How deep lists and mappings may lie in each other.
const MAX_DEPTH: usize = 64;
/// How many values a document may have, those that aliases repeat included.
const MAX_NODES: usize = 100_000;

/// Reads one YAML document: the first code fence of the text, or the whole text where it has none.
///
/// Values are what YAML 1.2 says: numbers, booleans, nulls, lists and mappings in each other; `no` and `on` are strings. A
/// key that is there twice, an integer beyond 64 bits, infinities and NaN are refused. A text is at most 1 MiB, at most 64
/// levels deep, and has at most 100,000 values; what aliases repeat counts, so that no alias can make much out of little.
///
/// ```
/// use atomr_agents_parser::{Parser, Yaml};
/// use serde_json::json;
///
/// let text = "Here it is:\n```yaml\ncity: Oslo\ndays:\n  - {rain: true, wind: 5.5}\n  - null\n```";
/// assert_eq!(Yaml.parse(text)?, json!({"city": "Oslo", "days": [{"rain": true, "wind": 5.5}, null]}));
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Yaml;

/// How long a text may be.
const MAX_BYTES: usize = 1 << 20;

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_documents: 1,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

impl Parser for Yaml {
    type Output = Value;

    fn parse(&self, text: &str) -> Result<Value, ParseError> {
        if text.len() > MAX_BYTES {
            return Err(ParseError::invalid(NAME, format!("it is longer than {MAX_BYTES} bytes"), text));
        }
        // A quote or a backtick of YAML's own makes no fence: that stands at the start of a line.
        let fence = fences(text).find(|(start, _)| begins_a_line(text, *start));
        let (from, body) = fence.unwrap_or((0, text));
        if body.trim().is_empty() {
            return Err(ParseError::at(NAME, "not YAML: it is empty", text, from));
        }
        let value: Value = serde_saphyr::from_str_with_options(body, options()).map_err(|error| {
            let message = format!("not YAML: {}", cut(&error.to_string(), 500));
            match error.location() {
                Some(location) => ParseError::at(NAME, message, text, from + offset(body, &location)),
                None => ParseError::invalid(NAME, message, text),
            }
        })?;
        match rounded(&value, body) {
            None => Ok(value),
            Some(at) => {
                let message = "an integer does not fit into 64 bits; write it in quotes";
                Err(ParseError::at(NAME, message, text, from + at))
            }
        }
    }

    fn format_instructions(&self) -> String {
        "Answer with one YAML document in a code fence (```yaml), and with nothing else. Put text that could be read as \
         something else into double quotes."
            .into()
    }
}

/// Whether the fence whose body begins here stands at the start of a line.
fn begins_a_line(text: &str, body: usize) -> bool {
    let fence = text[..body].rfind("```").unwrap_or(0);
    text[..fence].rsplit('\n').next().is_none_or(|line| line.trim().is_empty())
}

/// The byte of a place that is told in lines and characters.
fn offset(text: &str, location: &serde_saphyr::Location) -> usize {
    let count = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.match_indices('\n').take(count(location.line())).last().map_or(0, |(at, _)| at + 1);
    let column = text[line..].char_indices().nth(count(location.column())).map_or(text.len() - line, |(at, _)| at);
    line + column
}

/// Where an integer stands that was read as the float which lies next to it.
fn rounded(value: &Value, text: &str) -> Option<usize> {
    let huge: Vec<f64> = floats(value).map(f64::abs).filter(|float| *float >= 9.2e18).collect();
    if huge.is_empty() {
        return None;
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while at < bytes.len() {
        let mut end = at;
        while digit(end) {
            end += 1;
        }
        let part = |at: Option<&u8>| matches!(at, Some(b'.' | b'e' | b'E'));
        let alone = !part(bytes.get(end)) && (at == 0 || !part(bytes.get(at - 1)));
        if end - at > 18 && alone {
            let read: f64 = text[at..end].parse().unwrap_or(f64::NAN);
            if huge.contains(&read) {
                return Some(at);
            }
        }
        at = end + 1;
    }
    None
}

#[cfg(test)]
mod tests;
