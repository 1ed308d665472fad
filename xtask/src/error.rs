//! What keeps `tidy` from reaching a verdict; a broken rule is no error but a finding.

use std::path::PathBuf;

/// Why the tree could not be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line is not understood.
    #[error("{0}")]
    Usage(&'static str),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A manifest or a policy file is not the TOML that it should be.
    #[error("{path}: {source}")]
    Toml {
        /// Which file.
        path: String,
        /// Where it is wrong.
        source: Box<toml::de::Error>,
    },
    /// A file lacks a key that everything else rests on.
    #[error("{path}: no `{key}`")]
    MissingKey {
        /// Which file.
        path: String,
        /// Which key.
        key: &'static str,
    },
    /// `git` or `cargo` could not be started, or refused.
    #[error("`{command}` failed: {message}")]
    Command {
        /// What was called.
        command: &'static str,
        /// Its own words.
        message: String,
    },
    /// `cargo metadata` answered something that is no JSON.
    #[error("`cargo metadata`: {0}")]
    Metadata(#[from] serde_json::Error),
}
