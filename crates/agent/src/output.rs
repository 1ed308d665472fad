//! The check of a structured answer.

use std::fmt;
use std::sync::OnceLock;

use atomr_agents_core::{OutputSchema, Value};

use crate::AgentError;

/// An output schema and its validator, compiled at the first answer.
pub(crate) struct OutputCheck {
    pub(crate) schema: OutputSchema,
    validator: OnceLock<Result<jsonschema::Validator, String>>,
}

impl OutputCheck {
    pub(crate) fn new(schema: OutputSchema) -> Self {
        Self { schema, validator: OnceLock::new() }
    }

    /// Reads an answer as JSON and checks it.
    pub(crate) fn read(&self, text: &str) -> Result<Value, AgentError> {
        let invalid = |message: String| AgentError::InvalidOutput { message, text: text.to_owned() };
        let value: Value = serde_json::from_str(text).map_err(|error| invalid(format!("not JSON: {error}")))?;
        let validator = self
            .validator
            .get_or_init(|| jsonschema::validator_for(&self.schema.schema).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|message| AgentError::Config {
                setting: "output schema",
                message: format!("it is no usable JSON Schema: {message}"),
            })?;
        let fault = validator.iter_errors(&value).next().map(|fault| format!("{}: {fault}", fault.instance_path()));
        match fault {
            None => Ok(value),
            Some(fault) => Err(invalid(fault)),
        }
    }
}

impl fmt::Debug for OutputCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputCheck({})", self.schema.name)
    }
}
