//! Answers of a certain shape: how a model is asked for them and how they are checked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use atomr_agents_core::{CallCtx, Message, ModelRequest, OutputSchema, ToolChoice, ToolSpec, Value};
use atomr_agents_inference::{Capabilities, OutputMode};
use atomr_agents_tool::Toolbox;
use futures_util::future::BoxFuture;

use crate::AgentError;

/// The name of the tool whose call is the answer; a number is added where there is such a tool already.
const ANSWER_TOOL: &str = "final_answer";

/// How many openings of a JSON value in a text are tried.
const MAX_OPENINGS: usize = 32;

/// Checks more of an answer than a schema can say.
pub trait OutputValidator: fmt::Debug + Send + Sync + 'static {
    /// Says what is wrong with a value that fits the schema. The model is told and asked again.
    fn validate<'a>(&'a self, value: &'a Value, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), String>>;
}

/// How answers of a certain shape are asked for and checked. The schema is compiled at the first answer.
pub(crate) struct OutputCheck {
    schema: OutputSchema,
    mode: OutputMode,
    /// The same, beside tools.
    mode_with_tools: OutputMode,
    own: Option<Arc<dyn OutputValidator>>,
    compiled: OnceLock<Result<jsonschema::Validator, String>>,
}

impl OutputCheck {
    pub(crate) fn new(
        schema: OutputSchema,
        mode: Option<OutputMode>,
        capabilities: Capabilities,
        own: Option<Arc<dyn OutputValidator>>,
    ) -> Self {
        let (alone, with_tools) = (capabilities.output, capabilities.output_with_tools);
        let compiled = OnceLock::new();
        Self { schema, mode: mode.unwrap_or(alone), mode_with_tools: mode.unwrap_or(with_tools), own, compiled }
    }

    fn mode(&self, has_tools: bool) -> OutputMode {
        if has_tools { self.mode_with_tools } else { self.mode }
    }

    /// The tool whose call is the answer, where the model is asked that way.
    pub(crate) fn tool(&self, toolbox: &Toolbox) -> Option<Arc<ToolSpec>> {
        if self.mode(!toolbox.tools().is_empty()) != OutputMode::Tool {
            return None;
        }
        let mut name = ANSWER_TOOL.to_owned();
        let mut number = 1;
        while toolbox.find(&name).is_ok() {
            number += 1;
            name = format!("{ANSWER_TOOL}_{number}");
        }
        let OutputSchema { schema, strict, .. } = &self.schema;
        let description = "Call this once, with the final answer, when nothing else is left to do.".to_owned();
        Some(Arc::new(ToolSpec { name, description, parameters: schema.clone(), strict: *strict }))
    }

    /// Asks for the shape in this request.
    pub(crate) fn ask(&self, tool: Option<&Arc<ToolSpec>>, request: &mut ModelRequest) {
        match (self.mode(!request.tools.is_empty()), tool) {
            (OutputMode::Native, None) => request.output = Some(self.schema.clone()),
            (_, Some(tool)) => {
                request.tools.push(Arc::clone(tool));
                // Without it, many models write the answer as text in between. Those that think refuse to be forced.
                let thinks = request.sampling.thinking_budget.is_some_and(|budget| budget > 0);
                if request.tool_choice == ToolChoice::Auto && !thinks {
                    request.tool_choice = ToolChoice::Required;
                }
            }
            _ => {
                let words = format!(
                    "Answer with one JSON object that is valid against this JSON Schema, and with nothing else:\n{}",
                    self.schema.schema
                );
                match request.messages.first_mut().filter(|message| message.role == atomr_agents_core::Role::System) {
                    Some(system) => *system = Message::system(format!("{}\n\n{words}", system.text())),
                    None => request.messages.insert(0, Message::system(words)),
                }
            }
        }
    }

    /// Reads an answer as JSON and checks it. The inner error is what the model is told.
    pub(crate) async fn read(&self, text: &str, ctx: &CallCtx) -> Result<Result<Value, String>, AgentError> {
        let values = match json_in(text) {
            Ok(values) => values,
            Err(message) => return Ok(Err(message)),
        };
        let compiled = self
            .compiled
            .get_or_init(|| jsonschema::validator_for(&self.schema.schema).map_err(|error| error.to_string()));
        let validator = compiled.as_ref().map_err(|message| AgentError::Config {
            setting: "output schema",
            message: format!("it is no usable JSON Schema: {message}"),
        })?;
        // Of several values in a text, e.g. `[1]` in front of an object, the answer is the first one that fits.
        let Some(value) = values.iter().find(|value| validator.is_valid(value)).or(values.first()).cloned() else {
            return Ok(Err("not JSON: it is empty".into()));
        };
        let fault = validator.iter_errors(&value).next().map(|fault| format!("{}: {fault}", fault.instance_path()));
        if let Some(fault) = fault {
            return Ok(Err(fault));
        }
        match &self.own {
            Some(own) => Ok(own.validate(&value, ctx).await.map(|()| value)),
            None => Ok(Ok(value)),
        }
    }
}

impl fmt::Debug for OutputCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputCheck({})", self.schema.name)
    }
}

/// The JSON values an answer may be: the whole text, or, as models like to add words, the objects and arrays in it that
/// can be read. At least one.
fn json_in(text: &str) -> Result<Vec<Value>, String> {
    let whole = match serde_json::from_str(text) {
        Ok(value) => return Ok(vec![value]),
        Err(error) => error,
    };
    let openings = text.char_indices().filter(|(_, letter)| matches!(letter, '{' | '[')).take(MAX_OPENINGS);
    let (mut found, mut end) = (Vec::new(), 0);
    for (at, _) in openings {
        if at < end {
            continue; // a part of one that was found
        }
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            end = at + values.byte_offset();
            found.push(value);
        }
    }
    if found.is_empty() { Err(format!("not JSON: {whole}")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_found_in_prose_and_fences_and_prose_alone_is_none() {
        for text in [r#"{"n":1}"#, "Sure:\n```json\n{\"n\": 1}\n```\nBye {", "a {b} {\"n\":1} {\"n\":2}"] {
            assert_eq!(json_in(text).unwrap()[0], json!({"n": 1}), "{text}");
        }
        assert_eq!(json_in("\"just text\"").unwrap(), [json!("just text")]);
        assert_eq!(json_in("See [1]: {\"n\": [2]} [3").unwrap(), [json!([1]), json!({"n": [2]})]);
        for text in ["", "no", "{\"n\":", &"{".repeat(100_000)] {
            assert!(json_in(text).unwrap_err().starts_with("not JSON"), "{}", text.len());
        }
    }
}
