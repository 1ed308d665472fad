//! The arguments of a call, as a server can read them back.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::json;

/// Servers that read the arguments back refuse the whole transcript for a call that is no JSON object, which a model
/// may well have written; so it is sent inside one.
pub(crate) fn arguments(raw: &str) -> Cow<'_, str> {
    let trimmed = raw.trim();
    if trimmed.is_empty() {
        Cow::Borrowed("{}")
    } else if trimmed.starts_with('{') && serde_json::from_str::<IgnoredAny>(trimmed).is_ok() {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(json!({ "invalid_arguments": raw }).to_string())
    }
}
