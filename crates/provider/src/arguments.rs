//! The arguments of a call, as a provider can read them back.
//!
//! Providers refuse a whole transcript for a call whose arguments are no JSON object, which a model may well have
//! written; so they are sent inside one.

use std::borrow::Cow;

use atomr_agents_core::{ToolCall, Value};
use serde::de::IgnoredAny;
use serde_json::json;

/// Under this key of an object stands what the model wrote in place of one.
const INVALID: &str = "invalid_arguments";

/// The arguments of `call` as an object; what is none stands inside one.
#[must_use]
pub fn arguments_object(call: &ToolCall) -> Value {
    match call.arguments() {
        Ok(arguments @ Value::Object(_)) => arguments,
        _ => json!({ INVALID: call.raw }),
    }
}

/// The same as text, for providers that want it so: an object as the model wrote it, byte by byte.
#[must_use]
pub fn arguments_text(raw: &str) -> Cow<'_, str> {
    let trimmed = raw.trim();
    if trimmed.is_empty() {
        Cow::Borrowed("{}")
    } else if trimmed.starts_with('{') && serde_json::from_str::<IgnoredAny>(trimmed).is_ok() {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(json!({ INVALID: raw }).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_stands_inside_one() {
        for (raw, text) in [
            ("", "{}"),
            ("{\"a\": 1}", "{\"a\": 1}"),
            ("{\"a\": ", r#"{"invalid_arguments":"{\"a\": "}"#),
            ("[1]", r#"{"invalid_arguments":"[1]"}"#),
        ] {
            assert_eq!(arguments_text(raw), text);
            let object = arguments_object(&ToolCall::new("c", "f", raw));
            assert_eq!(object, serde_json::from_str::<Value>(text).unwrap(), "{raw}");
        }
    }
}
