//! What can go wrong with a tool.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Kind;
use thiserror::Error;

/// What can go wrong with one call. All but [`ToolError::Fatal`] and [`ToolError::Cancelled`] are told to the
/// model, and the turn goes on.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is no tool of that name.
    #[error("there is no tool named {name:?}; the tools are: {known}")]
    Unknown {
        /// What the model asked for.
        name: String,
        /// The names there are, comma separated.
        known: String,
    },
    /// The arguments are not JSON or do not match the schema.
    #[error("the arguments for {name} are not valid: {message}")]
    InvalidArguments {
        /// The tool.
        name: String,
        /// What is wrong, with its place.
        message: String,
    },
    /// The tool said no.
    #[error("{message}")]
    Failed {
        /// In words, for the model.
        message: String,
        /// What it raised.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The tool wants to be called in another way: the model is told at once, also where there are retries left.
    #[error("{message}")]
    Rejected {
        /// In words, for the model.
        message: String,
        /// What it raised.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The call needs permissions that the run was not granted ([`crate::Grants`]). The tool did not run.
    #[error("{name} is not allowed: it lacks the permission {}", missing.join(", "))]
    Denied {
        /// The tool.
        name: String,
        /// The permissions that are missing, each with the resource that was asked for.
        missing: Vec<String>,
    },
    /// One attempt took too long.
    #[error("{name} did not finish within {after:?}")]
    Timeout {
        /// The tool.
        name: String,
        /// The limit.
        after: Duration,
    },
    /// The tool panicked.
    #[error("{name} panicked: {message}")]
    Panicked {
        /// The tool.
        name: String,
        /// What it said.
        message: String,
    },
    /// The run cannot go on from this.
    #[error("{name} stopped the run: {message}")]
    Fatal {
        /// The tool.
        name: String,
        /// In words.
        message: String,
        /// What was raised.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The run was cancelled.
    #[error("the tool call was cancelled")]
    Cancelled,
}

impl ToolError {
    /// A failure in words.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), source: None }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unknown { .. } => Kind::UnknownTool,
            Self::InvalidArguments { .. } => Kind::InvalidArguments,
            Self::Failed { .. } | Self::Rejected { .. } | Self::Panicked { .. } | Self::Fatal { .. } => Kind::Tool,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Denied { .. } => Kind::Denied,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    /// Whether the run ends with it.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        matches!(self, Self::Fatal { .. } | Self::Cancelled)
    }
}

/// Why a tool cannot be offered to a model.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolDefinitionError {
    /// Two tools have one name.
    #[error("two tools are named {name:?}; give one of them another name")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Providers would not accept the name.
    #[error("{name:?} cannot be a tool's name: use 1 to 64 of the characters A-Z a-z 0-9 _ -")]
    Name {
        /// The name.
        name: String,
    },
    /// The schema is no JSON Schema of an object.
    #[error("the parameters of {name} are no usable JSON Schema: {message}")]
    Schema {
        /// The tool.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A permission names an argument that the tool does not have.
    #[error("the permission {permission} of {name} names an argument that its schema does not have")]
    Permission {
        /// The tool.
        name: String,
        /// The permission.
        permission: String,
    },
}

impl ToolDefinitionError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::ToolDefinition
    }
}
