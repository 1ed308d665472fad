//! What goes wrong while an answer is sent.

/// What goes wrong while an answer is sent. Positions count bytes of the body; one beyond its end counts as its end.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is reset after so many bytes.
    ResetAt(usize),
    /// The connection is closed after so many bytes, though the transfer coding promises more.
    CloseAt(usize),
    /// The answer ends after so many bytes as if it were complete.
    CleanEndAt(usize),
    /// Nothing more comes after so many bytes, and the connection stays open.
    StallAt(usize),
    /// The request is read and never answered.
    StallBeforeHeaders,
    /// The connection is closed instead of an answer.
    CloseBeforeHeaders,
    /// This answer instead of the recorded one.
    Status {
        /// The status.
        status: u16,
        /// Headers; `content-type` is JSON unless it is among them.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// A 307 that points elsewhere.
    RedirectTo(String),
}
