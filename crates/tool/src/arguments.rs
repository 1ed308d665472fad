//! From the text a model wrote to arguments a tool can trust.

use atomr_agents_core::{ToolCall, Value};

use crate::ToolError;

/// Reads a call's arguments as JSON.
///
/// Integers that do not fit into 64 bits are refused: read as floating point they would silently become another
/// number.
///
/// # Errors
/// [`ToolError::InvalidArguments`] with the place of the fault.
pub fn parse_arguments(call: &ToolCall) -> Result<Value, ToolError> {
    let invalid = |message: String| ToolError::InvalidArguments { name: call.name.clone(), message };
    let value = call.arguments().map_err(|error| invalid(format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err(invalid("they must be a JSON object".into()));
    }
    if has_suspicious_float(&value)
        && let Some(literal) = integer_beyond_64_bits(&call.raw)
    {
        return Err(invalid(format!("the integer {literal} does not fit into 64 bits; pass it as a string")));
    }
    Ok(value)
}

/// A float large enough to have been an integer of more than 64 bits.
fn has_suspicious_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|float| float.abs() >= 9.2e18),
        Value::Array(items) => items.iter().any(has_suspicious_float),
        Value::Object(map) => map.values().any(has_suspicious_float),
        _ => false,
    }
}

/// Finds an integer literal of JSON text, outside strings, that no 64-bit type holds.
fn integer_beyond_64_bits(raw: &str) -> Option<&str> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while at < bytes.len() && matches!(bytes[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    at += 1;
                }
                let literal = &raw[start..at];
                let integer = !literal.contains(['.', 'e', 'E']);
                if integer && literal.parse::<i64>().is_err() && literal.parse::<u64>().is_err() {
                    return Some(literal);
                }
            }
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(raw: &str) -> Result<Value, ToolError> {
        parse_arguments(&ToolCall::new("1", "t", raw))
    }

    #[test]
    fn names_what_is_wrong() {
        for (raw, fault) in [
            ("{\"a\":", "not JSON"),
            ("[1]", "must be a JSON object"),
            ("{\"a\": 1180591620717411303424}", "1180591620717411303424 does not fit"),
            ("{\"s\": \"a\\\"9\", \"a\": [-9223372036854775809]}", "-9223372036854775809 does not fit"),
        ] {
            let said = parse(raw).unwrap_err().to_string();
            assert!(said.contains(fault), "{said}");
        }
        assert_eq!(parse("{\"a\": 1e30, \"b\": \"1180591620717411303424\"}").unwrap()["a"], 1e30);
        assert_eq!(parse("").unwrap(), serde_json::json!({}));
        assert_eq!(parse("{\"a\": 18446744073709551615}").unwrap()["a"], u64::MAX);
    }

    proptest! {
        #[test]
        fn integers_are_exact_or_refused(number in any::<i128>()) {
            match parse(&format!("{{\"n\": {number}}}")) {
                Ok(value) => prop_assert_eq!(value["n"].to_string(), number.to_string()),
                Err(error) => prop_assert!(error.to_string().contains(&number.to_string())),
            }
        }

        #[test]
        fn never_panics(raw in ".*") {
            let _ = parse(&raw);
            let _ = integer_beyond_64_bits(&raw);
        }
    }
}
