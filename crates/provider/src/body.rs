//! The body of a request.

use atomr_agents_core::Value;
use atomr_agents_inference::InferenceError;
use serde::Serialize;
use serde_json::Map;

use crate::unsupported;

/// The body as JSON text, with the fields of `extra` in place of its own.
///
/// # Errors
/// [`InferenceError::Unsupported`] for a body that has no JSON form.
pub fn written(provider: &str, body: &impl Serialize, extra: &Map<String, Value>) -> Result<Vec<u8>, InferenceError> {
    let written = if extra.is_empty() {
        serde_json::to_vec(body)
    } else {
        serde_json::to_value(body).and_then(|mut whole| {
            if let Value::Object(fields) = &mut whole {
                fields.extend(extra.clone());
            }
            serde_json::to_vec(&whole)
        })
    };
    written.map_err(|error| unsupported(provider, error.to_string()))
}

/// The fields of a request that are sent only where they say something.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// No fields yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the field `name`, if there is a value for it.
    pub fn set(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
    }

    /// The fields, in the order in which they were set.
    #[must_use]
    pub fn into_fields(self) -> Map<String, Value> {
        self.0
    }

    /// The fields as an object; `None` where there are none.
    #[must_use]
    pub fn into_object(self) -> Option<Value> {
        (!self.0.is_empty()).then_some(Value::Object(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn extra_fields_take_the_place_of_the_bodys_own() {
        let mut settings = Settings::new();
        settings.set("seed", Some(7));
        settings.set("stop", None::<Value>);
        let body = settings.into_object().unwrap();
        assert_eq!(written("p", &body, &Map::new()).unwrap(), br#"{"seed":7}"#);
        let extra = json!({"seed": null, "more": [1]}).as_object().unwrap().clone();
        assert_eq!(written("p", &body, &extra).unwrap(), br#"{"seed":null,"more":[1]}"#);
        assert_eq!(Settings::new().into_object(), None);
    }
}
