//! A JSON Schema in the part of the language that the provider can force.

use atomr_agents_core::Value;
use serde_json::{Map, json};

/// Keywords that the provider refuses. The caller's own check still knows them; the model reads them in words.
const REFUSED: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "minContains",
];

/// Keywords whose value is a schema, or a list of schemas.
const SCHEMAS: [&str; 5] = ["items", "anyOf", "allOf", "oneOf", "additionalProperties"];

/// Keywords whose value is schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// The schema as the provider takes it: objects without further properties, limits told in words.
pub(crate) fn forced(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut out = Map::new();
    let mut limits = Vec::new();
    for (key, value) in fields {
        let key_is = |keys: &[&str]| keys.contains(&key.as_str());
        let lowered = match value {
            // More than one cannot be asked for.
            value if key == "minItems" && value.as_u64().is_none_or(|least| least > 1) => {
                limits.push(format!("{key}: {value}"));
                continue;
            }
            value if key_is(&REFUSED) => {
                limits.push(format!("{key}: {value}"));
                continue;
            }
            Value::Array(list) if key_is(&SCHEMAS) => Value::Array(list.iter().map(forced).collect()),
            value if key_is(&SCHEMAS) => forced(value),
            Value::Object(named) if key_is(&NAMED) => {
                Value::Object(named.iter().map(|(name, schema)| (name.clone(), forced(schema))).collect())
            }
            value => value.clone(),
        };
        out.insert(key.clone(), lowered);
    }
    let is_object = fields.get("type").is_some_and(|kind| kind == "object") || fields.contains_key("properties");
    if is_object && fields.get("additionalProperties").is_none_or(|more| more == true) {
        out.insert("additionalProperties".into(), json!(false));
    }
    if !limits.is_empty() {
        let said = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("{said} ({})", limits.join(", "));
        out.insert("description".into(), json!(description.trim_start()));
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_closed_and_limits_are_told_in_words() {
        let schema = json!({"type": "object", "properties": {
            "maximum": {"type": "integer", "minimum": 1, "maximum": 5, "description": "How many."},
            "tags": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {}}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}},
            "pick": {"enum": [{"minimum": 1}]},
        }, "$defs": {"x": {"anyOf": [{"type": "object"}, {"type": "null"}]}}});
        assert_eq!(
            forced(&schema),
            json!({"type": "object", "properties": {
                "maximum": {"type": "integer", "description": "How many. (minimum: 1, maximum: 5)"},
                "tags": {"type": "array", "description": "(minItems: 2)",
                    "items": {"type": "object", "properties": {}, "additionalProperties": false}},
                "map": {"type": "object", "additionalProperties": {"type": "string", "description": "(maxLength: 3)"}},
                "pick": {"enum": [{"minimum": 1}]},
            }, "$defs": {"x": {"anyOf": [{"type": "object", "additionalProperties": false}, {"type": "null"}]}},
                "additionalProperties": false})
        );
    }
}
