//! What goes wrong while an answer is sent.

/// What goes wrong while an answer is sent. Positions count bytes of the body; one beyond its end counts as its end.
/// How an answer can break its own format says [`crate::Flaw`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is reset after so many bytes.
    ResetAt(usize),
    /// The connection is closed after so many bytes, though the transfer coding promises more.
    CloseAt(usize),
    /// The answer ends after so many bytes as if it were complete.
    CleanEndAt(usize),
    /// The answer ends as if it were complete in the middle of this event, from 0; of the last one, if there are fewer.
    HalfEvent(usize),
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
    /// After so many bytes come these, so many times, and then the rest: garbage, a line without an end, a million
    /// empty events.
    Insert {
        /// After how many bytes.
        at: usize,
        /// What is sent there.
        bytes: Vec<u8>,
        /// How often.
        times: usize,
    },
    /// Random bytes instead of HTTP, the same ones for the same seed.
    Garbage {
        /// How many.
        bytes: usize,
        /// Which ones.
        seed: u64,
    },
    /// So many headers more than usual.
    ManyHeaders(usize),
    /// A header of so many bytes.
    HugeHeader(usize),
    /// The answer is packed with gzip, whatever was asked for.
    Gzip,
    /// A packed answer of about a thousandth of this size, which unpacks to so many zeros.
    GzipBomb(usize),
}

impl Fault {
    /// These bytes, once, after so many bytes of the body.
    #[must_use]
    pub fn insert(at: usize, bytes: impl Into<Vec<u8>>) -> Self {
        Fault::Insert { at, bytes: bytes.into(), times: 1 }
    }
}
