//! A value as filters compare it, written so that `jsonb` compares it as they do.
//!
//! Two things of JSON are something else there: it takes no NUL character, and of a floating point number it keeps what is
//! written, where filters compare what it is. Values are kept as they were given beside this.

use std::borrow::Cow;
use std::fmt::Write as _;

use atomr_agents_core::Value;

/// From here on a floating point number is whole, and what is written of it not all of it.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// The fields of a value; `None` for one that has none.
pub(crate) fn fields(value: &Value) -> Option<String> {
    value.is_object().then(|| comparable(value))
}

/// A value as JSON that compares as filters do.
pub(crate) fn comparable(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// A text without NUL, in the same order among such texts as before: NUL becomes two characters that stand before all others.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\0' => plain.push_str("\u{1}\u{1}"),
            '\u{1}' => plain.push_str("\u{1}\u{2}"),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

/// Whether nothing in it lies deeper than this.
pub(crate) fn is_within(value: &Value, depth: usize) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match value {
        Value::Array(list) => list.iter().all(|value| is_within(value, below)),
        Value::Object(fields) => fields.values().all(|value| is_within(value, below)),
        _ => true,
    }
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => match number.as_f64().filter(|float| number.is_f64() && float.abs() >= WHOLE) {
            // Every digit of it.
            Some(float) => drop(write!(text, "{float:.0}")),
            None => text.push_str(&number.to_string()),
        },
        Value::String(string) => quoted(string, text),
        Value::Array(list) => {
            text.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                quoted(key, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        word => text.push_str(&word.to_string()),
    }
}

fn quoted(string: &str, text: &mut String) {
    text.push_str(&Value::from(plain(string)).to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_what_they_are() {
        assert_eq!(
            comparable(&json!([1.5, 3, 9_007_199_254_740_993_u64, 1e17])),
            "[1.5,3,9007199254740993,100000000000000000]"
        );
        assert_eq!(comparable(&json!(1_152_921_504_606_846_976.0)), "1152921504606846976");
        assert_eq!(
            comparable(&json!({"a\0": [null, true, "\u{1}"]})),
            "{\"a\\u0001\\u0001\":[null,true,\"\\u0001\\u0002\"]}"
        );
        assert_eq!(fields(&json!([1])), None);
    }

    #[test]
    fn what_lies_too_deep_is_seen() {
        assert!(is_within(&json!([[1]]), 3) && !is_within(&json!([[1]]), 2) && !is_within(&json!({"a": {"b": 1}}), 2));
    }

    proptest! {
        #[test]
        fn texts_keep_their_order(a in "[\0\u{1}\u{2}az]{0,5}", b in "[\0\u{1}\u{2}az]{0,5}") {
            prop_assert_eq!(a.cmp(&b), plain(&a).cmp(&plain(&b)));
            prop_assert!(!plain(&a).contains('\0'));
        }
    }
}
