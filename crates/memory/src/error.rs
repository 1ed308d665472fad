//! What can go wrong with memories.

use std::error::Error as StdError;
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_embed::EmbedError;
use atomr_agents_retriever::RetrieveError;
use atomr_agents_state::StoreError;
use atomr_agents_strategy::StrategyError;
use atomr_agents_tool::ToolError;
use thiserror::Error;

/// Something could not be remembered, or recalled.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A namespace, a key or an option that cannot be used.
    #[error("the {what} {problem}")]
    Name {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A text could not be embedded, or a vector does not fit the others.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A search by words or by values could not be made.
    #[error(transparent)]
    Retrieve(#[from] RetrieveError),
    /// What is stored is not what was written.
    #[error("the memory {place} is damaged: {message}")]
    Damaged {
        /// Where.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// A search would have to look at too much.
    #[error("below {namespace} lie more than {limit} items: search in a narrower namespace")]
    TooMany {
        /// Where it was searched.
        namespace: String,
        /// How many are looked at.
        limit: usize,
    },
    /// Vectors were made by another model than the one that searches.
    #[error("{count} items below {namespace} have vectors of {found}, not of {wanted}: embed them anew with reindex")]
    OtherModel {
        /// Where it was searched.
        namespace: String,
        /// How many.
        count: usize,
        /// The model of the first of them.
        found: String,
        /// The model that searches.
        wanted: String,
    },
    /// Others write the same item all the time.
    #[error("{place} was changed by others {attempts} times in a row while it was updated")]
    Contended {
        /// Which item.
        place: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The memory, or the model, of somebody else failed.
    #[error("{what} failed: {message}")]
    Failed {
        /// What failed.
        what: String,
        /// What that amounts to.
        kind: Kind,
        /// What happened.
        message: String,
        /// Its own error, if there is one.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
}

impl MemoryError {
    /// A name or an option that cannot be used, and why.
    #[must_use]
    pub fn name(what: &'static str, problem: String) -> Self {
        Self::Name { what, problem }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Name { .. } => Kind::Config,
            Self::Store(error) => error.kind(),
            Self::Embed(error) => error.kind(),
            Self::Retrieve(error) => error.kind(),
            Self::Damaged { .. } => Kind::Corrupt,
            Self::TooMany { .. } => Kind::TooLarge,
            Self::OtherModel { .. } => Kind::Incompatible,
            Self::Contended { .. } => Kind::Conflict,
            Self::Failed { kind, .. } => *kind,
        }
    }
}

impl From<MemoryError> for StrategyError {
    fn from(error: MemoryError) -> Self {
        let (kind, message) = (error.kind(), error.to_string());
        Self::Failed { family: "memory", kind, message, source: Some(Arc::new(error)) }
    }
}

impl From<MemoryError> for ToolError {
    fn from(error: MemoryError) -> Self {
        Self::Failed { message: error.to_string(), source: Some(Arc::new(error)) }
    }
}
