//! How much there is to store.

use atomr_agents_core::Value;

/// About how many bytes `value` takes as JSON: each string its length, each number eight.
///
/// ```
/// use atomr_agents_state::weight_of;
/// use serde_json::json;
///
/// assert_eq!(weight_of(&json!("twelve bytes")), 12 + 2);
/// assert!(weight_of(&json!({"role": "user"})) < 20);
/// ```
#[must_use]
pub fn weight_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| weight_of(item) + 1).sum::<usize>(),
        Value::Object(map) => 2 + map.iter().map(|(key, value)| weight_of_entry(key, value)).sum::<usize>(),
    }
}

/// An entry of an object with its key, its quotes, its colon and its comma.
pub(crate) fn weight_of_entry(key: &str, value: &Value) -> usize {
    key.len() + weight_of(value) + 4
}
