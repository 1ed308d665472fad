//! What became known of a document.

use serde_json::Value;

use super::Path;

/// A kind of value that is not known at once but grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// An object; its members follow.
    Object,
    /// An array; its elements follow.
    Array,
    /// A string; its pieces follow.
    String,
}

/// Something that became known of a document, in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An object, an array or a string began. Where an object has a key twice, this replaces what the key held.
    Started {
        /// Its place.
        path: Path,
        /// What it is.
        shape: Shape,
    },
    /// A string grew.
    Grew {
        /// Its place.
        path: Path,
        /// The new piece, escapes resolved, never empty. Every push tells at most one piece of a string.
        piece: String,
    },
    /// A number, `true`, `false` or `null`, known at once.
    Scalar {
        /// Its place.
        path: Path,
        /// The value.
        value: Value,
    },
    /// What had [started](Self::Started) is complete.
    Finished {
        /// Its place.
        path: Path,
    },
}

impl Change {
    /// The place that changed.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Started { path, .. }
            | Self::Grew { path, .. }
            | Self::Scalar { path, .. }
            | Self::Finished { path } => path,
        }
    }
}
