//! The waits of a call.

use std::fmt;

/// A wait of a call, each with a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Opening the connection, or getting a place among those that are open.
    Connect,
    /// From the request to the head of the answer.
    FirstByte,
    /// Between two reads of the answer.
    Idle,
    /// The whole call.
    Deadline,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "connecting",
            Phase::FirstByte => "waiting for the answer to begin",
            Phase::Idle => "waiting for more of the answer",
            Phase::Deadline => "the whole call",
        })
    }
}
