//! The closed list of what can go wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, retryable: $retryable:literal;)*) => {
        /// What went wrong, as a closed list: each crate's error answers one of these, and each door
        /// (Python, CLI, HTTP) maps this list once and exhaustively.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind, for completeness tests.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// The name users see, in snake case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// Whether the same call may succeed if it is made again later.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Kind::$variant => $retryable,)* }
            }
        }
    };
}

kinds! {
    /// A setting is missing or makes no sense (no API key, unknown model prefix, bad URL).
    Config = "config", retryable: false;
    /// The provider did not accept the credentials (401).
    Authentication = "authentication", retryable: false;
    /// The credentials are good but do not allow this (403).
    Permission = "permission", retryable: false;
    /// The model, deployment or resource does not exist (404).
    NotFound = "not_found", retryable: false;
    /// The provider refuses the request as malformed (400, 422).
    InvalidRequest = "invalid_request", retryable: false;
    /// The conversation does not fit the model's context window.
    ContextTooLong = "context_too_long", retryable: false;
    /// The provider's safety system blocked the input or the output.
    ContentFilter = "content_filter", retryable: false;
    /// The model refused to answer.
    Refusal = "refusal", retryable: false;
    /// Too many requests (429).
    RateLimited = "rate_limited", retryable: true;
    /// The account has no quota left; waiting does not help.
    QuotaExceeded = "quota_exceeded", retryable: false;
    /// The provider failed or is overloaded (5xx, 529).
    ServerError = "server_error", retryable: true;
    /// The host could not be reached.
    Connect = "connect", retryable: true;
    /// The TLS handshake failed.
    Tls = "tls", retryable: false;
    /// A deadline passed.
    Timeout = "timeout", retryable: true;
    /// The stream ended before its terminal event.
    StreamInterrupted = "stream_interrupted", retryable: true;
    /// The peer broke its protocol.
    Protocol = "protocol", retryable: false;
    /// A limit on size was exceeded.
    TooLarge = "too_large", retryable: false;
    /// The output limit cut a tool call's arguments.
    IncompleteToolCall = "incomplete_tool_call", retryable: false;
    /// The iteration cap was reached while tool calls were pending.
    IterationCap = "iteration_cap", retryable: false;
    /// A budget is used up.
    BudgetExceeded = "budget_exceeded", retryable: false;
    /// A bounded queue is full.
    Overloaded = "overloaded", retryable: true;
    /// Something that was not allowed: a permission that is missing, a call that nobody approved.
    Denied = "denied", retryable: false;
    /// An approval that does not belong to what waits for one.
    Approval = "approval", retryable: false;
    /// The final output does not match the requested type.
    InvalidOutput = "invalid_output", retryable: false;
    /// A tool's description cannot be used (schema, duplicate name).
    ToolDefinition = "tool_definition", retryable: false;
    /// A tool failed in a way the run cannot go on from.
    Tool = "tool", retryable: false;
    /// The model asked for a tool that does not exist.
    UnknownTool = "unknown_tool", retryable: false;
    /// The arguments do not match the tool's schema.
    InvalidArguments = "invalid_arguments", retryable: false;
    /// User code broke the contract of its kind.
    Contract = "contract", retryable: false;
    /// User code raised.
    Guest = "guest", retryable: false;
    /// The store of runs failed or cannot be reached.
    Storage = "storage", retryable: true;
    /// The store of runs has no room left.
    StorageFull = "storage_full", retryable: true;
    /// What is stored is not what was written.
    Corrupt = "corrupt", retryable: false;
    /// What is stored was written by a newer version.
    UnsupportedFormat = "unsupported_format", retryable: false;
    /// Somebody else holds what can have one holder at a time.
    Locked = "locked", retryable: true;
    /// Somebody else took over: the writer must stop.
    Fenced = "fenced", retryable: false;
    /// What is stored is not what the writer expected (a run of that id exists, a step is gone).
    Conflict = "conflict", retryable: false;
    /// The effect of a call that must not happen twice may have happened; somebody must find out.
    OutcomeUnknown = "outcome_unknown", retryable: false;
    /// A stored run does not fit what would go on with it (another graph, another format of its state).
    Incompatible = "incompatible", retryable: false;
    /// A graph of steps that cannot be run, or a step that broke its rules.
    Workflow = "workflow", retryable: false;
    /// A value that a channel of the state does not take.
    State = "state", retryable: false;
    /// The work was cancelled.
    Cancelled = "cancelled", retryable: false;
    /// The runtime cannot be used here (closed loop, fork, shut down).
    Runtime = "runtime", retryable: false;
    /// A bug of this project.
    Internal = "internal", retryable: false;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_serde_writes_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert!(seen.insert(kind.as_str()), "{kind} twice");
        }
        assert!(seen.len() > 20);
    }
}
