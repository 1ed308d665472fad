//! What a JSON value is, in few letters.

use atomr_agents_core::Value;

/// A hash of a value that does not depend on the order of the names in its objects.
pub(crate) fn fingerprint(value: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    add(value, &mut hasher);
    let hash = hasher.finalize().to_hex();
    hash[..32].to_owned()
}

/// Everything is written with its kind and its length, so that no two values are written alike.
fn add(value: &Value, hasher: &mut blake3::Hasher) {
    let text = |mark: u8, text: &str, hasher: &mut blake3::Hasher| {
        hasher.update(&[mark]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    match value {
        Value::Null => text(b'0', "", hasher),
        Value::Bool(is) => text(b'b', if *is { "1" } else { "0" }, hasher),
        Value::Number(number) => text(b'n', &number.to_string(), hasher),
        Value::String(string) => text(b's', string, hasher),
        Value::Array(items) => {
            text(b'a', &items.len().to_string(), hasher);
            items.iter().for_each(|item| add(item, hasher));
        }
        Value::Object(fields) => {
            text(b'o', &fields.len().to_string(), hasher);
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in sorted {
                text(b's', name, hasher);
                add(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_names_makes_no_difference_and_everything_else_does() {
        let one = json!({"a": [1, {"x": null, "y": true}], "b": "z"});
        let other: Value = serde_json::from_str(r#"{"b": "z", "a": [1, {"y": true, "x": null}]}"#).unwrap();
        assert_eq!(fingerprint(&one), fingerprint(&other));
        let all =
            [json!([1, 2]), json!([2, 1]), json!([[1], 2]), json!(["1", 2]), json!({"1": 2}), json!([]), json!({})];
        for (at, left) in all.iter().enumerate() {
            for right in &all[at + 1..] {
                assert_ne!(fingerprint(left), fingerprint(right), "{left} {right}");
            }
        }
    }
}
