//! Answers of a certain shape: how a model is asked for them and how they are checked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use atomr_agents_core::{CallCtx, Message, ModelRequest, OutputSchema, ToolChoice, ToolSpec, Value};
use atomr_agents_inference::{Capabilities, OutputMode};
use atomr_agents_parser::{JsonSchema, ParseError, Parser as _};
use atomr_agents_tool::Toolbox;
use futures_util::future::BoxFuture;

use crate::AgentError;

/// The name of the tool whose call is the answer; a number is added where there is such a tool already.
const ANSWER_TOOL: &str = "final_answer";

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
    compiled: OnceLock<Result<JsonSchema, ParseError>>,
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
        let compiled = self.compiled.get_or_init(|| JsonSchema::new(self.schema.schema.clone()));
        let schema = compiled.as_ref().map_err(|error| AgentError::Config {
            setting: "output schema",
            message: match error {
                ParseError::Config { message, .. } => message.clone(),
                other => other.to_string(),
            },
        })?;
        let value = match schema.parse(text) {
            Ok(value) => value,
            Err(error) => {
                return Ok(Err(error.fault().map_or_else(|| error.to_string(), |fault| fault.message.clone())));
            }
        };
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
