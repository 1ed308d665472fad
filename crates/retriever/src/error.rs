//! What can go wrong when documents are kept or looked for.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_embed::EmbedError;
use thiserror::Error;

/// Documents could not be kept, or not be looked for.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RetrieveError {
    /// An option makes no sense.
    #[error("{option} {problem}")]
    Invalid {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A filter asks what cannot be answered.
    #[error("the filter on {key:?} is wrong: {problem}")]
    Filter {
        /// The key of the metadata; empty where the fault lies in no single one.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A document cannot be kept.
    #[error("document {id:?} {problem}")]
    Document {
        /// Its id.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There are vectors where none are taken, none where they are needed, or not one for each document.
    #[error("{documents} documents came with {found} vectors; {problem}")]
    Vectors {
        /// How many documents there are.
        documents: usize,
        /// How many vectors came with them.
        found: usize,
        /// What the index needs.
        problem: String,
    },
    /// Vectors could not be made or compared.
    #[error("{0}")]
    Embed(#[from] EmbedError),
    /// A file is no index, or not a whole one.
    #[error("{path} holds no index that can be read: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file was written by a newer version.
    #[error("{path} is of format {found}; this version reads up to {known}")]
    Version {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A model, or a retriever of somebody else, failed.
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

impl RetrieveError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } => Kind::Config,
            Self::Filter { .. } | Self::Document { .. } | Self::Vectors { .. } => Kind::InvalidRequest,
            Self::Embed(error) => error.kind(),
            Self::Damaged { .. } => Kind::Corrupt,
            Self::Version { .. } => Kind::UnsupportedFormat,
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Kind::StorageFull,
                _ => Kind::Storage,
            },
            Self::Failed { kind, .. } => *kind,
        }
    }

    /// An option that makes no sense.
    #[must_use]
    pub fn invalid(option: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { option, problem: problem.into() }
    }

    pub(crate) fn filter(key: &str, problem: impl Into<String>) -> Self {
        Self::Filter { key: key.to_owned(), problem: problem.into() }
    }
}
