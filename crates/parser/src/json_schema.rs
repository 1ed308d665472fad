//! JSON that is valid against a schema.

use std::fmt;

use atomr_agents_core::Value;

use crate::error::cut;
use crate::find::values_for;
use crate::{ParseError, Parser};

const NAME: &str = "json_schema";
/// How many faults are told.
const MAX_FAULTS: usize = 10;
/// How many characters of each: a fault quotes the value.
const MAX_FAULT: usize = 200;

/// Reads JSON as [`Json`](crate::Json) does and validates all of it against a JSON Schema. Of several values in a text,
/// the one is meant that is valid.
///
/// ```
/// use atomr_agents_parser::{JsonSchema, Parser};
/// use serde_json::json;
///
/// let schema = json!({
///     "type": "object",
///     "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 14}},
///     "required": ["city", "days"],
///     "additionalProperties": false,
/// });
/// let parser = JsonSchema::new(schema)?;
/// assert_eq!(parser.parse("As in [1]: {\"city\": \"Oslo\", \"days\": 3}")?["days"], 3);
///
/// let error = parser.parse(r#"{"city": 7, "days": 30}"#).unwrap_err().to_string();
/// assert!(error.contains("/city: 7 is not of type \"string\"; /days: 30 is greater than"), "{error}");
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
pub struct JsonSchema {
    schema: Value,
    validator: jsonschema::Validator,
}

impl JsonSchema {
    /// A parser for values of this schema (draft 2020-12, unless `$schema` says otherwise). What a `$ref` points to must
    /// be in the schema itself: nothing is fetched.
    ///
    /// # Errors
    /// [`ParseError::Config`] for a schema that is none.
    pub fn new(schema: Value) -> Result<Self, ParseError> {
        let unusable = |error: &dyn fmt::Display| {
            ParseError::config(NAME, "schema", cut(&format!("it is no usable JSON Schema: {error}"), 500))
        };
        let validator = jsonschema::validator_for(&schema).map_err(|error| unusable(&error))?;
        Ok(Self { schema, validator })
    }

    /// The schema.
    ///
    /// ```
    /// use atomr_agents_parser::JsonSchema;
    /// use serde_json::json;
    ///
    /// assert_eq!(JsonSchema::new(json!({"type": "string"}))?.schema()["type"], "string");
    /// # Ok::<(), atomr_agents_parser::ParseError>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// What is wrong with a value, at most ten faults, each with its JSON pointer; the pointer of the first one.
    fn faults(&self, value: &Value) -> Option<(String, String)> {
        let mut place = None;
        let mut told: Vec<String> = Vec::new();
        for fault in self.validator.iter_errors(value) {
            if told.len() == MAX_FAULTS {
                told.push("and more".into());
                break;
            }
            let pointer = fault.instance_path().to_string();
            let whole = if pointer.is_empty() { "the value" } else { &pointer };
            told.push(format!("{whole}: {}", cut(&fault.to_string(), MAX_FAULT)));
            place.get_or_insert(pointer);
        }
        place.map(|place| (told.join("; "), place))
    }

    /// Checks a value that was read elsewhere.
    ///
    /// ```
    /// use atomr_agents_parser::JsonSchema;
    /// use serde_json::json;
    ///
    /// let words = JsonSchema::new(json!({"items": {"type": "string"}}))?;
    /// let error = words.check(&json!(["a", 1])).unwrap_err();
    /// assert!(error.to_string().contains("/1: 1 is not of type"));
    /// # Ok::<(), atomr_agents_parser::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Invalid`] with the faults.
    pub fn check(&self, value: &Value) -> Result<(), ParseError> {
        match self.faults(value) {
            None => Ok(()),
            // The value is shown only where it is refused.
            Some((message, place)) => Err(ParseError::within(NAME, message, place, &value.to_string())),
        }
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSchema").field(&self.schema).finish()
    }
}

impl Parser for JsonSchema {
    type Output = Value;

    fn parse(&self, text: &str) -> Result<Value, ParseError> {
        let mut values = values_for(NAME, text)?;
        if let Some(at) = values.iter().position(|value| self.validator.is_valid(value)) {
            return Ok(values.swap_remove(at));
        }
        let fault = values.first().and_then(|value| self.faults(value));
        let (message, place) = fault.unwrap_or_else(|| ("it does not fit the schema".into(), String::new()));
        Err(ParseError::within(NAME, message, place, text))
    }

    fn format_instructions(&self) -> String {
        format!("Answer with JSON that is valid against this JSON Schema, and with nothing else:\n{}", self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn everything_that_a_schema_says_is_checked() {
        let schema = json!({
            "type": "object",
            "properties": {
                "kind": {"enum": ["a", "b"]},
                "flag": {"type": "boolean"},
                "sizes": {"type": "array", "items": {"type": "number"}, "minItems": 1},
                "inner": {"$ref": "#/$defs/inner"},
            },
            "required": ["kind"],
            "additionalProperties": false,
            "$defs": {"inner": {"type": "object", "required": ["n"]}},
        });
        let parser = JsonSchema::new(schema).unwrap();
        let good = json!({"kind": "a", "flag": true, "sizes": [1, 2.5], "inner": {"n": null}});
        assert_eq!(parser.parse(&good.to_string()).unwrap(), good);
        for (text, place) in [
            (r#"{"kind": "c"}"#, "/kind"),
            (r#"{"kind": "a", "flag": "yes"}"#, "/flag"),
            (r#"{"kind": "a", "sizes": [1, "2"]}"#, "/sizes/1"),
            (r#"{"kind": "a", "sizes": []}"#, "/sizes"),
            (r#"{"kind": "a", "inner": {}}"#, "/inner"),
            (r#"{"kind": "a", "more": 1}"#, ""),
            (r#"{}"#, ""),
            ("[]", ""),
        ] {
            let error = parser.parse(text).unwrap_err();
            assert_eq!(error.fault().unwrap().place, Some(Place::Pointer(place.into())), "{error}");
        }
        let booleans = JsonSchema::new(json!(false)).unwrap();
        assert!(booleans.parse("1").is_err() && booleans.check(&json!(null)).is_err());
    }

    #[test]
    fn faults_are_all_named_and_not_too_many() {
        let parser = JsonSchema::new(json!({"items": {"type": "string"}})).unwrap();
        let message =
            |count| parser.parse(&json!(vec![1; count]).to_string()).unwrap_err().fault().unwrap().message.clone();
        assert_eq!(message(3).matches("is not of type").count(), 3);
        assert_eq!(message(500).matches("is not of type").count(), MAX_FAULTS);
        assert!(message(500).ends_with("; and more"));
        let huge = json!([["x".repeat(100_000)]]).to_string();
        assert!(parser.parse(&huge).unwrap_err().to_string().chars().count() < 600);
    }

    #[test]
    fn a_schema_that_is_none_is_refused_and_nothing_is_fetched() {
        for schema in [json!({"type": "strin"}), json!(7), json!({"$ref": "https://example.com/schema.json"})] {
            let error = JsonSchema::new(schema).unwrap_err();
            assert_eq!(error.kind(), atomr_agents_core::Kind::Config, "{error}");
        }
    }

    proptest! {
        #[test]
        fn it_never_panics(text in ".*|[`{}\\[\\]\",:0-9 \n]*") {
            let _ = JsonSchema::new(json!({"type": "object", "minProperties": 1})).unwrap().parse(&text);
        }
    }
}
