//! What can go wrong in setting up a test.

use std::io;
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_inference::InferenceError;
use thiserror::Error;

/// What can go wrong in setting up a test.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TestkitError {
    /// A file of a recording cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of a recording is not what it should be.
    #[error("{path} is no recording: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        message: String,
        /// The parser's error, if it was one.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A recording cannot be written.
    #[error("cannot write {path}")]
    Unwritable {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The server got no port on loopback.
    #[error("cannot listen on loopback")]
    Listen(#[source] io::Error),
}

impl TestkitError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreadable { .. } | Self::Malformed { .. } | Self::Unwritable { .. } => Kind::Config,
            Self::Listen(_) => Kind::Runtime,
        }
    }
}

/// In the middle of a call, a recording that cannot be written ends it.
impl From<TestkitError> for InferenceError {
    fn from(error: TestkitError) -> Self {
        InferenceError::Replay { message: error.to_string(), source: Arc::new(error) }
    }
}
