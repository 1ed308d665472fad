//! What can go wrong with a session.

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_state::RunStatus;
use thiserror::Error;

/// Why a session did not take an input, or did not do what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A turn runs, and the policy is to refuse what arrives meanwhile.
    #[error(
        "session {session:?} is in the middle of a turn ({by}), and its policy is to reject other inputs meanwhile"
    )]
    Busy {
        /// The session.
        session: String,
        /// Who runs it.
        by: String,
    },
    /// Another input took the turn's place.
    #[error("another input of session {session:?} interrupted the turn; what it did is recorded")]
    Interrupted {
        /// The session.
        session: String,
    },
    /// The last turn has not ended, and what becomes of it is yours to say.
    #[error("the last turn of session {session:?} has not ended ({status}): resume it, or give it up with `abandon`")]
    Unfinished {
        /// The session.
        session: String,
        /// How it is doing.
        status: RunStatus,
    },
    /// There is nothing to resume.
    #[error("session {session:?} has no turn that has not ended: send it something")]
    NothingToResume {
        /// The session.
        session: String,
    },
    /// The input did not get its turn.
    #[error("the input did not get its turn in session {session:?} within {after:?}; it was taken back")]
    Waited {
        /// The session.
        session: String,
        /// How long it waited.
        after: Duration,
    },
    /// The turn of the input was run in another process, and did not end well.
    #[error("the turn was run by another process and ended there: {message}")]
    Elsewhere {
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
    },
    /// The input was taken back before its turn came.
    #[error("input {id:?} of session {session:?} was taken back before its turn came")]
    TakenBack {
        /// The session.
        session: String,
        /// The input.
        id: String,
    },
    /// A summary of the history is no history.
    #[error("the compacted history of session {session:?} cannot be sent to a model: {message}")]
    BadCompaction {
        /// The session.
        session: String,
        /// What is wrong with it.
        message: String,
    },
    /// The history could not be compacted.
    #[error("the history of session {session:?} could not be compacted: {message}")]
    Compaction {
        /// The session.
        session: String,
        /// Why.
        message: String,
    },
}

impl SessionError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Busy { .. } => Kind::Locked,
            Self::Interrupted { .. } | Self::TakenBack { .. } => Kind::Cancelled,
            Self::Unfinished { .. } | Self::NothingToResume { .. } => Kind::Conflict,
            Self::Waited { .. } => Kind::Timeout,
            Self::Elsewhere { kind, .. } => *kind,
            Self::BadCompaction { .. } | Self::Compaction { .. } => Kind::Guest,
        }
    }
}
