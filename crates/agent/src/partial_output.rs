//! An answer of a certain shape, while it is being written.

use atomr_agents_core::Value;
use atomr_agents_wire::{PartialJson, PartialJsonLimits};

use crate::AgentError;

/// Words of a schema that a value need not fulfil before it is whole.
const FOR_THE_WHOLE: [&str; 21] = [
    "required",
    "minItems",
    "minLength",
    "minProperties",
    "minContains",
    "contains",
    "pattern",
    "format",
    "enum",
    "const",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
];

/// Reads an answer of a certain shape while it is being written: the value as far as it is known, checked against as much
/// of the schema as an unfinished value can fulfil (types, known properties, what lies in lists). Values that do not fit
/// are not shown.
///
/// ```
/// use atomr_agents_agent::PartialOutput;
/// use serde_json::json;
///
/// let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city", "days"]});
/// let mut answer = PartialOutput::new(&schema)?;
/// assert_eq!(answer.push("Here it is: {\"city\": \"Os"), Some(&json!({"city": "Os"})));
/// assert_eq!(answer.push("lo\""), Some(&json!({"city": "Oslo"})));
/// assert_eq!(answer.push(","), None);
/// # Ok::<(), atomr_agents_agent::AgentError>(())
/// ```
#[derive(Debug)]
pub struct PartialOutput {
    check: jsonschema::Validator,
    json: PartialJson,
    /// Whether the value has begun: models like to say something before it.
    begun: bool,
    broken: bool,
    shown: Value,
}

impl PartialOutput {
    /// An answer of which nothing is there.
    ///
    /// # Errors
    /// [`AgentError::Config`] for a schema that is none.
    pub fn new(schema: &Value) -> Result<Self, AgentError> {
        let mut loose = schema.clone();
        loosen(&mut loose);
        let check = jsonschema::validator_for(&loose).map_err(|error| AgentError::Config {
            setting: "output schema",
            message: format!("it is no usable JSON Schema: {error}"),
        })?;
        let json = PartialJson::new(PartialJsonLimits::default());
        Ok(Self { check, json, begun: false, broken: false, shown: Value::Null })
    }

    /// Takes the next piece. Gives the value if it is another one than before, and fits.
    pub fn push(&mut self, text: &str) -> Option<&Value> {
        let text = if self.begun { text } else { &text[text.find(['{', '['])?..] };
        self.begun = true;
        if self.broken || self.json.is_complete() {
            return None; // a fence or a word after the value
        }
        self.broken = self.json.push_quiet(text).is_err();
        let value = self.json.value()?;
        if *value == self.shown || !self.check.is_valid(value) {
            return None;
        }
        self.shown = value.clone();
        Some(&self.shown)
    }

    /// Begins anew: what was said so far is void.
    pub fn restart(&mut self) {
        self.json = PartialJson::new(PartialJsonLimits::default());
        (self.begun, self.broken, self.shown) = (false, false, Value::Null);
    }
}

fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(words) => {
            FOR_THE_WHOLE.iter().for_each(|word| {
                words.shift_remove(*word);
            });
            if let Some(choices) = words.shift_remove("oneOf") {
                // An unfinished value may fit several of them.
                words.insert("anyOf".into(), choices);
            }
            for (word, inner) in words {
                match (word.as_str(), inner) {
                    // Here the keys are names, not words.
                    ("properties" | "$defs" | "definitions" | "patternProperties", Value::Object(named)) => {
                        named.values_mut().for_each(loosen);
                    }
                    (_, inner) => loosen(inner),
                }
            }
        }
        Value::Array(several) => several.iter_mut().for_each(loosen),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_fits_as_far_as_it_goes_is_shown_and_only_when_it_is_new() {
        let schema = json!({
            "type": "object",
            "properties": {
                "required": {"type": "array", "items": {"enum": ["ab", "cd"], "type": "string"}, "minItems": 2},
                "n": {"oneOf": [{"type": "integer", "minimum": 10}, {"type": "null"}]},
            },
            "required": ["required", "n"],
            "additionalProperties": false,
        });
        let mut answer = PartialOutput::new(&schema).unwrap();
        assert_eq!(answer.push("```json\n{"), Some(&json!({})));
        assert_eq!(answer.push("\"required\": [\"a"), Some(&json!({"required": ["a"]})));
        assert_eq!(answer.push("b\""), Some(&json!({"required": ["ab"]})));
        assert_eq!(answer.push("], \"n\": 1"), None, "a number may go on");
        assert_eq!(answer.push("2}\n```"), Some(&json!({"required": ["ab"], "n": 12})));
        assert_eq!(answer.push("bye {"), None);
        answer.restart();
        assert_eq!(answer.push("{\"n\": \"x\""), None, "a text is no number");
        answer.restart();
        assert_eq!(answer.push("{\"n\": null"), Some(&json!({"n": null})));
        assert_eq!(answer.push(" oops"), None);
    }
}
