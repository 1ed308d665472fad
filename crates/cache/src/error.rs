//! What can go wrong in a store of answers.

use std::error::Error as StdError;
use std::sync::Arc;

use atomr_agents_core::Kind;
use thiserror::Error;

/// A store of answers failed. [`crate::CachedClient`] treats it as a miss: a cache never makes a call fail.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The store could not be read or written.
    #[error("the cache {cache} failed: {message}")]
    Store {
        /// The cache.
        cache: String,
        /// What happened.
        message: String,
        /// The store's own error, if there is one.
        #[source]
        source: Option<Arc<dyn StdError + Send + Sync>>,
    },
    /// An entry is not what was stored.
    #[error("the cache {cache} holds a damaged entry: {message}")]
    Damaged {
        /// The cache.
        cache: String,
        /// What is wrong with it.
        message: String,
    },
}

impl CacheError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Internal
    }
}
