//! Any JSON.

use atomr_agents_core::Value;

use crate::find::values_for;
use crate::{ParseError, Parser};

/// Reads JSON: the whole text, else what stands in a code fence, else the first object or array between words.
///
/// Integers beyond 64 bits are refused, not rounded.
///
/// ```
/// use atomr_agents_parser::{Json, Parser};
/// use serde_json::json;
///
/// assert_eq!(Json.parse("I think it is {\"rain\": true}. Anything else?")?, json!({"rain": true}));
/// assert!(Json.parse("It rains.").is_err());
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Parser for Json {
    type Output = Value;

    fn parse(&self, text: &str) -> Result<Value, ParseError> {
        let first = values_for("json", text)?.into_iter().next();
        first.ok_or_else(|| ParseError::invalid("json", "not JSON", text))
    }

    fn format_instructions(&self) -> String {
        "Answer with JSON and with nothing else.".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any JSON value that is not too deep.
    pub(crate) fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let fields = prop::collection::vec((".{0,6}", inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(value in values()) {
            prop_assert_eq!(&Json.parse(&value.to_string()).unwrap(), &value);
            let fenced = format!("Sure:\n```json\n{value:#}\n```");
            let tricky = value.to_string().contains("```");
            prop_assert!(tricky || Json.parse(&fenced).unwrap() == value);
        }

        #[test]
        fn it_never_panics(text in ".*|[`{}\\[\\]\",:0-9 \n]*") {
            let _ = Json.parse(&text);
        }
    }
}
