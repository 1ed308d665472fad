//! JSON as a Rust type.

use std::fmt;
use std::marker::PhantomData;

use atomr_agents_core::Value;
use serde::de::DeserializeOwned;

use crate::{JsonSchema, ParseError, Parser};

/// Reads JSON that is valid against a schema, as a Rust type.
///
/// ```
/// use atomr_agents_parser::{Parser, Typed};
/// use serde_json::json;
///
/// #[derive(serde::Deserialize)]
/// struct Forecast {
///     city: String,
///     days: u8,
/// }
///
/// let schema = json!({
///     "type": "object",
///     "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
///     "required": ["city", "days"],
/// });
/// let forecast = Typed::<Forecast>::new(schema)?.parse(r#"{"city": "Oslo", "days": 3}"#)?;
/// assert_eq!((forecast.city.as_str(), forecast.days), ("Oslo", 3));
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
pub struct Typed<T> {
    json: JsonSchema,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Typed<T> {
    /// A parser for `T`, which models are told about, and checked, by this schema.
    ///
    /// # Errors
    /// [`ParseError::Config`] for a schema that is none.
    pub fn new(schema: Value) -> Result<Self, ParseError> {
        Ok(Self { json: JsonSchema::new(schema)?, of: PhantomData })
    }
}

impl<T> fmt::Debug for Typed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed<{}>({:?})", std::any::type_name::<T>(), self.json)
    }
}

impl<T: DeserializeOwned + Send + 'static> Parser for Typed<T> {
    type Output = T;

    fn parse(&self, text: &str) -> Result<T, ParseError> {
        let value = self.json.parse(text)?;
        serde_json::from_value(value).map_err(|error| ParseError::invalid("typed", error.to_string(), text))
    }

    fn format_instructions(&self) -> String {
        self.json.format_instructions()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_schema_lets_through_and_the_type_does_not_is_a_fault_of_the_text() {
        let parser = Typed::<(u8, String)>::new(json!({"type": "array"})).unwrap();
        assert_eq!(parser.parse("It is [7, \"a\"].").unwrap(), (7, "a".to_owned()));
        for text in ["[700, \"a\"]", "[7]", "{}"] {
            assert!(parser.parse(text).unwrap_err().fault().is_some(), "{text}");
        }
        assert!(format!("{parser:?}").starts_with("Typed<(u8, alloc::string::String)>"));
    }
}
