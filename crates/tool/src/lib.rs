//! The seam to tools: what a tool is, how a set of them is kept, how a model's call becomes checked arguments and
//! a guarded execution, and how calls are read from a stream while they are being written.
//!
//! This crate knows no model client, no agent and no Python.

mod arguments;
pub mod conformance;
mod error;
mod execute;
mod function;
mod handoff;
mod parser;
mod toolbox;
mod traits;

pub use arguments::parse_arguments;
pub use error::{ToolDefinitionError, ToolError};
pub use execute::{Execution, execute};
pub use function::FnTool;
pub use handoff::HandoffTool;
pub use parser::{ParsedToolCall, Provider, ToolCallParser, ToolCallParserError};
pub use toolbox::{CheckedTool, Toolbox};
pub use traits::{Invocation, Tool, ToolFuture, ToolOptions};
