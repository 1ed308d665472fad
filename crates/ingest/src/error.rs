//! What can go wrong between a source and an index.

use std::error::Error as StdError;
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_embed::EmbedError;
use atomr_agents_http::FetchError;
use atomr_agents_state::StoreError;
use thiserror::Error;

/// A document could not be loaded, cut or kept.
///
/// ```
/// use atomr_agents_core::Kind;
/// use atomr_agents_ingest::Recursive;
///
/// let error = Recursive::new(100).overlap(100).build().unwrap_err();
/// assert_eq!(error.to_string(), "overlap must be smaller than chunk_size (100), not 100");
/// assert_eq!(error.kind(), Kind::Config);
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum IngestError {
    /// A setting makes no sense.
    #[error("{setting} {problem}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// Something that was read is not what it should be.
    #[error("{id}: {problem}")]
    Invalid {
        /// The document.
        id: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// Something is larger than it may be.
    #[error("{id}: {what} is larger than the limit of {limit}")]
    TooLarge {
        /// The document.
        id: String,
        /// What of it.
        what: String,
        /// How large it may be.
        limit: u64,
    },
    /// Something cannot be read at all.
    #[error("{id}: {source}")]
    Io {
        /// The document.
        id: String,
        /// What the system says.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A page cannot be fetched.
    #[error("{id}: {source}")]
    Fetch {
        /// Its URL as it was given.
        id: String,
        /// What is wrong.
        #[source]
        source: FetchError,
    },
    /// The embedder failed.
    #[error("{id}: {source}")]
    Embed {
        /// The document.
        id: String,
        /// Its error.
        #[source]
        source: EmbedError,
    },
    /// The store of the records, or of vectors, failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Code of somebody else failed.
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
    /// It was stopped.
    #[error("stopped before it was done")]
    Cancelled,
}

impl IngestError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Config { .. } => Kind::Config,
            Self::Invalid { .. } => Kind::InvalidRequest,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
            Self::Io { .. } => Kind::InvalidRequest,
            Self::Fetch { source, .. } => source.kind(),
            Self::Embed { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
            Self::Failed { kind, .. } => *kind,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    /// The document it is about, where it is about one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Invalid { id, .. }
            | Self::TooLarge { id, .. }
            | Self::Io { id, .. }
            | Self::Fetch { id, .. }
            | Self::Embed { id, .. } => Some(id),
            Self::Config { .. } | Self::Store(_) | Self::Failed { .. } | Self::Cancelled => None,
        }
    }

    /// A setting that makes no sense.
    #[must_use]
    pub fn config(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Config { setting, problem: problem.into() }
    }

    /// Something that was read and is wrong.
    #[must_use]
    pub fn invalid(id: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { id: id.into(), problem: problem.into() }
    }

    /// Something that cannot be read.
    #[must_use]
    pub fn io(id: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { id: id.into(), source: Arc::new(source) }
    }
}
