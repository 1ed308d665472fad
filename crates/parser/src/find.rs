//! JSON in a text: the text itself, a code fence, or an object or array between words.

use atomr_agents_core::Value;
use atomr_agents_wire::{PartialJson, PartialJsonError, PartialJsonLimits};

use crate::ParseError;

/// How many values of a text are looked at.
const MAX_VALUES: usize = 32;
/// How many code fences of a text are looked into.
const MAX_FENCES: usize = 16;
/// The smallest float that may have been an integer of more than 64 bits.
const HUGE: f64 = 9.2e18;

/// The bodies of the code fences of a text, and where each begins. The last one may lack its end.
pub(crate) fn fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let open = from + text.get(from..)?.find("```")?;
        // The rest of the line names the language; a fence in one line may have a value there.
        let after = open + 3;
        let line = text[after..].find('\n').map_or(text.len(), |end| after + end);
        let word = text[after..line].trim();
        let tagged = word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_+-.".contains(letter));
        let start = if tagged && line < text.len() { line + 1 } else { after };
        let end = text[start..].find("```").map_or(text.len(), |end| start + end);
        from = (end + 3).min(text.len());
        Some((start, &text[start..end]))
    })
    .take(MAX_FENCES)
}

/// Why a text, or a part of it, is no JSON.
struct Refused {
    message: String,
    /// Bytes from the start of the text.
    offset: usize,
}

impl Refused {
    /// What `serde_json` says of the part of the text from `start` on.
    fn of(error: &serde_json::Error, text: &str, start: usize) -> Self {
        let said = error.to_string();
        // The place is told in bytes of the whole text instead.
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message).to_owned();
        let part = &text[start..];
        let lines = error.line().saturating_sub(1);
        let line = part.match_indices('\n').take(lines).last().map_or(0, |(at, _)| at + 1);
        let offset = start + (line + error.column().saturating_sub(1)).min(part.len());
        Self { message, offset }
    }
}

/// Reads one whole value from `text[start..end]`.
fn whole(text: &str, start: usize, end: usize) -> Result<Value, Refused> {
    let part = &text[start..end];
    let value = serde_json::from_str(part).map_err(|error| Refused::of(&error, &text[..end], start))?;
    exact(value, part, start)
}

/// Refuses a value that has an integer which was rounded.
fn exact(value: Value, part: &str, start: usize) -> Result<Value, Refused> {
    if !floats(&value).any(|float| float.abs() >= HUGE) {
        return Ok(value);
    }
    // The decoder for pieces knows integers from floats.
    let mut decoder = PartialJson::new(PartialJsonLimits { max_bytes: usize::MAX, ..PartialJsonLimits::default() });
    match decoder.push_quiet(part).and_then(|()| decoder.finish(&mut Vec::new()).map(|_| ())) {
        Err(PartialJsonError::IntegerTooLarge { offset, literal }) => {
            let message = format!("the integer {literal} does not fit into 64 bits; write it as a string");
            Err(Refused { message, offset: start + offset })
        }
        _ => Ok(value),
    }
}

/// Every float of a value.
pub(crate) fn floats(value: &Value) -> impl Iterator<Item = f64> {
    let mut left = vec![value];
    std::iter::from_fn(move || {
        while let Some(value) = left.pop() {
            match value {
                Value::Number(number) if number.is_f64() => return number.as_f64(),
                Value::Array(items) => left.extend(items),
                Value::Object(fields) => left.extend(fields.values()),
                _ => {}
            }
        }
        None
    })
}

/// The JSON values that a text may mean, the likeliest first; at least one.
///
/// That is the whole text where it is JSON. Else, as models like to add words: what stands in code fences, and the objects
/// and arrays between the words, at most 32. What lies in an object or array that cannot be read is never taken for the
/// answer: the search goes on behind the fault.
///
/// ```
/// use atomr_agents_parser::json_values;
/// use serde_json::json;
///
/// assert_eq!(json_values("\"just text\"")?, [json!("just text")]);
/// assert_eq!(json_values("See [1]: {\"n\": [2]} [3")?, [json!([1]), json!({"n": [2]})]);
/// assert!(json_values("{\"n\": [2], }").is_err());
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
///
/// # Errors
/// [`ParseError::Invalid`] where there is none, with the fault of that attempt which came farthest.
pub fn json_values(text: &str) -> Result<Vec<Value>, ParseError> {
    values_for("json", text)
}

/// As [`json_values`], for the parser of this name.
pub(crate) fn values_for(parser: &str, text: &str) -> Result<Vec<Value>, ParseError> {
    if text.trim().is_empty() {
        return Err(ParseError::at(parser, "not JSON: it is empty", text, 0));
    }
    let mut worst = match whole(text, 0, text.len()) {
        Ok(value) => return Ok(vec![value]),
        Err(refused) => refused,
    };
    let mut note = |refused: Refused| {
        if refused.offset > worst.offset {
            worst = refused;
        }
    };
    let mut found = Vec::new();
    for (start, body) in fences(text) {
        match whole(text, start, start + body.len()) {
            Ok(value) => found.push(value),
            Err(refused) => note(refused),
        }
    }
    let mut end = 0;
    for (at, _) in text.char_indices().filter(|(_, letter)| matches!(letter, '{' | '[')) {
        if at < end {
            continue; // a part of one that was tried
        }
        if found.len() >= MAX_VALUES {
            break;
        }
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                end = at + values.byte_offset();
                match exact(value, &text[at..end], at) {
                    Ok(value) if !found.contains(&value) => found.push(value),
                    Ok(_) => {}
                    Err(refused) => note(refused),
                }
            }
            Some(Err(error)) => {
                let refused = Refused::of(&error, text, at);
                // So each part of the text is read once.
                end = refused.offset;
                note(refused);
            }
            None => {}
        }
    }
    if found.is_empty() {
        return Err(ParseError::at(parser, format!("not JSON: {}", worst.message), text, worst.offset));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use serde_json::json;

    #[test]
    fn a_value_is_found_in_prose_and_fences_and_prose_alone_is_none() {
        for text in [
            r#"{"n":1}"#,
            "Sure:\n```json\n{\"n\": 1}\n```\nBye {",
            "a {b} {\"n\":1} {\"n\":2}",
            "See [1]:\n```\n{\"n\": 1}",
            "```{\"n\":1}```",
            "```json {\"n\":1}```",
            "\u{a0}{\"n\":1}",
        ] {
            assert_eq!(json_values(text).unwrap()[0], json!({"n": 1}), "{text}");
        }
        assert_eq!(json_values("```json\n42\n```").unwrap(), [json!(42)]);
        let many = "see [a] ".repeat(100) + "{\"n\": 1}";
        assert_eq!(json_values(&many).unwrap(), [json!({"n": 1})]);
        for text in ["", "  ", "no", "{\"n\":", "```", "```json", "``````", &"{".repeat(100_000), &"[".repeat(100_000)]
        {
            assert!(json_values(text).unwrap_err().to_string().starts_with("json: not JSON"), "{}", text.len());
        }
    }

    #[test]
    fn the_fault_that_is_told_is_that_of_the_attempt_which_came_farthest() {
        let text = "Here {you} are:\n```json\n{\"ä\": 1,\n \"b\": }\n```\n";
        let error = json_values(text).unwrap_err();
        let fault = error.fault().unwrap();
        assert_eq!(fault.message, "not JSON: expected value");
        assert_eq!(fault.place, Some(Place::Byte(text.find("}\n```").unwrap())));
    }

    #[test]
    fn a_part_of_what_cannot_be_read_is_no_answer() {
        for text in [
            "{\"days\": [1, 2], }",
            "Sure: {\"days\": [1, 2], 'city': \"Oslo\"}",
            "```json\n{\"a\": {\"b\": 1}, \"c\": \"cut",
            "[{\"a\": 1}, {\"a\": 2}",
        ] {
            assert!(json_values(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_are_exact_or_refused() {
        for text in ["{\"n\": 1180591620717411303424}", "so: [-9223372036854775809]", "```\n18446744073709551616\n```"]
        {
            let error = json_values(text).unwrap_err();
            assert!(error.to_string().contains("does not fit into 64 bits"), "{error}");
        }
        assert_eq!(json_values("[1e30, 18446744073709551615]").unwrap(), [json!([1e30, u64::MAX])]);
    }
}
