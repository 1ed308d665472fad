//! The seam to tools: what a tool is and what it needs to be allowed, how tools are kept in versioned sets, how a
//! model's call becomes checked arguments and a guarded execution, and how calls are read from a stream while they
//! are being written.
//!
//! This crate knows no model client, no agent and no Python.

mod arguments;
pub mod conformance;
mod descriptor;
mod error;
mod execute;
mod function;
mod grants;
mod guarded;
mod handoff;
mod parser;
mod pattern;
mod permission;
mod reconcile;
mod registry;
mod resolve;
mod rich;
mod toolbox;
mod toolset;
mod toolset_error;
mod traits;

pub use arguments::parse_arguments;
pub use descriptor::{ToolDescriptor, ToolMeta};
pub use error::{ToolDefinitionError, ToolError};
pub use execute::{Execution, execute};
pub use function::FnTool;
pub use grants::Grants;
pub use guarded::GuardedTool;
pub use handoff::HandoffTool;
pub use parser::{ParsedToolCall, Provider, ToolCallParser, ToolCallParserError};
pub use permission::{Permission, PermissionError, PermissionSpec};
pub use reconcile::{IdempotencyKey, ReconcileFuture, Reconciled};
pub use registry::ToolSetRegistry;
pub use resolve::Resolution;
pub use rich::{Rich, RichReturn, RichTool};
pub use semver::{Version, VersionReq};
pub use toolbox::{CheckedTool, Toolbox};
pub use toolset::{Dependency, ToolSet, ToolSetBuilder};
pub use toolset_error::ToolSetError;
pub use traits::{Invocation, Tool, ToolFuture, ToolOptions};
