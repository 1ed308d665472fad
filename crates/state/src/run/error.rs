//! What can go wrong with a run that is kept.

use atomr_agents_core::Kind;

use crate::{EffectKey, RunStatus, StoreError};

/// Why a run could not be begun, resumed, written or read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunLogError {
    /// The store failed, or somebody else writes the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run of that name exists.
    #[error("a run named {run:?} exists ({status}): resume it, or give the new one another name")]
    Exists {
        /// The name.
        run: String,
        /// How it is doing.
        status: RunStatus,
    },
    /// There is no run of that name.
    #[error("there is no run named {run:?}")]
    NoSuchRun {
        /// The name.
        run: String,
    },
    /// The run is over.
    #[error("run {run:?} is {status}: there is nothing to resume")]
    Over {
        /// The name.
        run: String,
        /// How it ended.
        status: RunStatus,
    },
    /// The run has no such step or position.
    #[error("run {run:?} has no {what} {wanted}: {have}")]
    NoSuchStep {
        /// The name.
        run: String,
        /// `step` or `position`.
        what: &'static str,
        /// What was asked for.
        wanted: u64,
        /// What there is.
        have: String,
    },
    /// A call that must not happen twice was begun, and nothing says whether it happened.
    #[error(
        "nobody knows whether {subject} ({key}) of run {run:?} happened: it was begun before the process ended. Find out, then \
         resolve it with what it gave"
    )]
    OutcomeUnknown {
        /// The run.
        run: String,
        /// The effect.
        key: EffectKey,
        /// What was called.
        subject: String,
    },
    /// Nobody asks whether this call happened.
    #[error("nobody asks whether {key} of run {run:?} happened; what is open is: {}", open.join(", "))]
    NotOpen {
        /// The run.
        run: String,
        /// The effect.
        key: EffectKey,
        /// The effects of which that is asked.
        open: Vec<String>,
    },
    /// What is read is not what was written.
    #[error("run {run:?} is damaged at position {at}: {message}")]
    Corrupt {
        /// The run.
        run: String,
        /// The position in its log.
        at: u64,
        /// How that was noticed.
        message: String,
    },
    /// The run was made by another version of what would go on with it.
    #[error("run {run:?} was begun by another version of {target:?}: {difference}")]
    Changed {
        /// The run.
        run: String,
        /// The graph or agent.
        target: String,
        /// What is different.
        difference: String,
    },
    /// Others were forked from the run.
    #[error("run {run:?} cannot be removed: {} was forked from it", forks.join(", "))]
    Needed {
        /// The name.
        run: String,
        /// The names of its forks.
        forks: Vec<String>,
    },
    /// A value that JSON has no form for.
    #[error("this cannot be stored as JSON: {message}")]
    NotJson {
        /// Why.
        message: String,
    },
}

impl RunLogError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Exists { .. }
            | Self::Over { .. }
            | Self::NoSuchRun { .. }
            | Self::NoSuchStep { .. }
            | Self::NotOpen { .. }
            | Self::Needed { .. } => Kind::Conflict,
            Self::OutcomeUnknown { .. } => Kind::OutcomeUnknown,
            Self::Corrupt { .. } => Kind::Corrupt,
            Self::Changed { .. } => Kind::Incompatible,
            Self::NotJson { .. } => Kind::State,
        }
    }
}
