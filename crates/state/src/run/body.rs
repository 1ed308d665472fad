//! Values inside of frames.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use atomr_agents_core::Value;

use crate::{BlobId, RunLogError};

/// From this many bytes on a value is a blob of its own: below it the blob's own bookkeeping would cost more than the
/// second copy that it saves.
const BLOB_FROM: usize = 512;

/// A value in a frame: written out, or named by the hash of its bytes. The same value has the same name in a journal, a
/// checkpoint and another run, and is stored once.
#[derive(Clone, Debug, Deserialize)]
pub enum Body {
    /// The value as JSON text.
    #[serde(rename = "v")]
    Inline(Box<RawValue>),
    /// The id of the blob that has it.
    #[serde(rename = "b")]
    Blob(BlobId),
}

/// A value made ready to be written: its body, and the bytes of the blob if it is one.
#[derive(Clone, Debug)]
pub struct NewBody {
    /// What goes into the frame.
    pub body: Body,
    /// What goes beside it.
    pub bytes: Option<Bytes>,
}

/// A blob's id and its bytes.
pub(crate) type NewBlob = (BlobId, Bytes);

impl Body {
    /// Makes a value ready to be written.
    ///
    /// # Errors
    /// [`RunLogError::NotJson`] for a value that JSON has no form for (a map whose keys are no text).
    ///
    /// ```
    /// use atomr_agents_state::Body;
    /// use serde_json::json;
    ///
    /// assert!(Body::of(&json!("short")).unwrap().bytes.is_none());
    /// assert!(Body::of(&json!("long".repeat(1_000))).unwrap().bytes.is_some());
    /// ```
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<NewBody, RunLogError> {
        let text = serde_json::to_string(value).map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        if text.len() < BLOB_FROM {
            let raw =
                RawValue::from_string(text).map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
            return Ok(NewBody { body: Self::Inline(raw), bytes: None });
        }
        let id = BlobId::of(text.as_bytes());
        Ok(NewBody { body: Self::Blob(id), bytes: Some(Bytes::from(text)) })
    }

    /// Nothing.
    #[must_use]
    pub fn null() -> Self {
        Self::Inline(RawValue::NULL.to_owned())
    }

    /// The blob that it needs.
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        match self {
            Self::Inline(_) => None,
            Self::Blob(id) => Some(*id),
        }
    }

    /// Its value, where `bytes` are those of its blob.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, bytes: Option<&Bytes>) -> Result<T, String> {
        let result = match (self, bytes) {
            (Self::Inline(raw), _) => serde_json::from_str(raw.get()),
            (Self::Blob(id), None) => return Err(format!("the blob {id} is gone")),
            (Self::Blob(id), Some(bytes)) if BlobId::of(bytes) != *id => {
                return Err(format!("the blob {id} has other bytes than those its name says"));
            }
            (Self::Blob(_), Some(bytes)) => serde_json::from_slice(bytes),
        };
        result.map_err(|error| error.to_string())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(left), Self::Inline(right)) => left.get() == right.get(),
            (Self::Blob(left), Self::Blob(right)) => left == right,
            _ => false,
        }
    }
}

impl From<NewBody> for Body {
    fn from(new: NewBody) -> Self {
        new.body
    }
}

/// Any JSON value as a body that stays inline; for what is known to be small.
impl TryFrom<&Value> for NewBody {
    type Error = RunLogError;

    fn try_from(value: &Value) -> Result<Self, RunLogError> {
        Body::of(value)
    }
}
