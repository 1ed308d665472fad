//! What can go wrong with vectors.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_core::Kind;
use thiserror::Error;

use crate::Vectors;

/// A vector could not be made, kept or looked for.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A vector has another number of values than those it shall be compared with.
    #[error("a vector of dimension {expected} was expected, not one of {found}")]
    Dimension {
        /// The dimension of the others.
        expected: usize,
        /// The vector's.
        found: usize,
    },
    /// A value is NaN or infinite, or too large to be compared.
    #[error("value {column} of vector {row} is not a finite number")]
    NotFinite {
        /// Which vector, from 0.
        row: usize,
        /// Which of its values, from 0.
        column: usize,
    },
    /// An option makes no sense.
    #[error("{option} {problem}")]
    Invalid {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The embedder failed after it had made some of the vectors.
    #[error("{model} made {} of {wanted} vectors, then: {cause}", done.len())]
    Partial {
        /// The embedder.
        model: String,
        /// How many were asked for.
        wanted: usize,
        /// The texts that have a vector, by their places in the call, in rising order.
        done: Vec<usize>,
        /// Their vectors, in the order of `done`.
        vectors: Box<Vectors>,
        /// What stopped the rest.
        #[source]
        cause: Box<EmbedError>,
    },
    /// A file that an index is read from or written to.
    #[error("{} {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What that amounts to: [`Kind::Corrupt`] for a file that is damaged or cut, [`Kind::UnsupportedFormat`] for one
        /// of something else or of a later version.
        kind: Kind,
        /// What is wrong with it.
        problem: String,
        /// The system's own error, if there is one.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// The embedder, or the index of somebody else, failed.
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

impl EmbedError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Dimension { .. } | Self::NotFinite { .. } => Kind::InvalidRequest,
            Self::Invalid { .. } => Kind::Config,
            Self::Partial { cause, .. } => cause.kind(),
            Self::Failed { kind, .. } | Self::File { kind, .. } => *kind,
        }
    }

    /// An option that makes no sense.
    #[must_use]
    pub fn invalid(option: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { option, problem: problem.into() }
    }
}
