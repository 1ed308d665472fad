//! What a model can do that a caller must know before it asks.

/// How an answer of a certain shape is got from a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputMode {
    /// The provider forces the shape ([`atomr_agents_core::ModelRequest::output`]).
    Native,
    /// The model is made to call a tool whose arguments have the shape.
    Tool,
    /// The model is asked for it in words. Works everywhere, and is the least certain.
    #[default]
    Prompted,
}

impl OutputMode {
    /// Every mode, for completeness tests.
    pub const ALL: &'static [OutputMode] = &[OutputMode::Native, OutputMode::Tool, OutputMode::Prompted];

    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OutputMode::Native => "native",
            OutputMode::Tool => "tool",
            OutputMode::Prompted => "prompted",
        }
    }
}

/// What a model can do that a caller must know before it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The best way to an answer of a certain shape.
    pub output: OutputMode,
    /// The same, in a request that gives the model tools: some models cannot be forced to a shape then.
    pub output_with_tools: OutputMode,
}

impl Capabilities {
    /// A model that is best asked for a shape this way.
    #[must_use]
    pub fn with_output(output: OutputMode) -> Self {
        Self { output, output_with_tools: output }
    }

    /// The same model, which is best asked this way when it has tools.
    #[must_use]
    pub fn and_with_tools(self, output_with_tools: OutputMode) -> Self {
        Self { output_with_tools, ..self }
    }
}
