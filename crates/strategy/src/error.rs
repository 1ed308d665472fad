//! What can go wrong while a strategy is resolved.

use std::error::Error as StdError;
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_tool::ToolDefinitionError;
use thiserror::Error;

/// What can go wrong while a strategy is resolved.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// The strategy failed.
    #[error("the {family} strategy failed: {message}")]
    Failed {
        /// Which family: `instruction`, `tool`, `memory`, `skill`, `loop`, `termination`.
        family: &'static str,
        /// What it amounts to: [`Kind::Guest`] where the strategy says no more.
        kind: Kind,
        /// In words.
        message: String,
        /// What it raised.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// It selected tools that cannot be offered together.
    #[error(transparent)]
    Tools(#[from] ToolDefinitionError),
}

impl StrategyError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Failed { kind, .. } => *kind,
            Self::Tools(error) => error.kind(),
        }
    }
}
