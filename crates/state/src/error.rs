//! What can go wrong with what outlives a process.

use atomr_agents_core::Kind;

use crate::Key;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else holds the lease now; nothing was written.
    #[error(
        "{key} is written by somebody else now: token {token} is not the newest (it is {newest}); nothing was written"
    )]
    Fenced {
        /// The lease.
        key: Key,
        /// The token that the writer had.
        token: u64,
        /// The newest one.
        newest: u64,
    },
    /// Something was not as the writer expected; nothing was written.
    #[error("{key} is not as expected: {expected} was expected, there is {found}; nothing was written")]
    Conflict {
        /// The record or log.
        key: Key,
        /// What the writer expected.
        expected: String,
        /// What there is.
        found: String,
    },
    /// Somebody holds the lease.
    #[error("{key} is held by {owner} for another {left_ms} ms")]
    Held {
        /// The lease.
        key: Key,
        /// Who holds it.
        owner: String,
        /// For how long, if it is not renewed.
        left_ms: u64,
    },
    /// A name that cannot be used.
    #[error("{key:?} cannot be the key of anything in a store: {why}")]
    BadKey {
        /// The name.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// There is no room left; nothing was written.
    #[error("{store} is full: {message}; nothing was written. Make room and resume")]
    Full {
        /// The store and where it is.
        store: String,
        /// What the medium says.
        message: String,
    },
    /// The medium cannot be written.
    #[error("{store} cannot be written: {message}")]
    ReadOnly {
        /// The store and where it is.
        store: String,
        /// What the medium says.
        message: String,
    },
    /// The medium cannot be reached, or did not answer in time. A commit that was under way may have happened.
    #[error("{store} cannot be reached: {message}")]
    Unavailable {
        /// The store and where it is.
        store: String,
        /// What happened.
        message: String,
    },
    /// Another process has the store for itself.
    #[error("{store} is open in another process that does not share it")]
    Locked {
        /// The store and where it is.
        store: String,
    },
    /// The medium failed.
    #[error("{store} failed: {message}")]
    Io {
        /// The store and where it is.
        store: String,
        /// What the medium says.
        message: String,
    },
    /// What is stored is not what was written.
    #[error("{subject} is damaged: {message}")]
    Corrupt {
        /// What is damaged.
        subject: String,
        /// How that was noticed.
        message: String,
    },
    /// It was written by a newer version of this project.
    #[error("{subject} has format {found}, and this version reads formats up to {supported}: use a newer one")]
    UnsupportedFormat {
        /// What has it.
        subject: String,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        supported: u32,
    },
    /// A setting of the store makes no sense.
    #[error("{setting}: {message}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// A store that is written in another language failed. The source is what it raised.
    #[error("the store {store} failed")]
    Guest {
        /// The store.
        store: String,
        /// What it raised.
        #[source]
        source: std::sync::Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fenced { .. } => Kind::Fenced,
            Self::Conflict { .. } => Kind::Conflict,
            Self::Held { .. } | Self::Locked { .. } => Kind::Locked,
            Self::BadKey { .. } | Self::Config { .. } => Kind::Config,
            Self::Full { .. } => Kind::StorageFull,
            Self::ReadOnly { .. } | Self::Io { .. } | Self::Unavailable { .. } => Kind::Storage,
            Self::Corrupt { .. } => Kind::Corrupt,
            Self::UnsupportedFormat { .. } => Kind::UnsupportedFormat,
            Self::Guest { .. } => Kind::Guest,
        }
    }

    /// Whether the same call may succeed if it is made again.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.kind().retryable()
    }
}
