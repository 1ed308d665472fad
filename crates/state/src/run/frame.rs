//! One commit of a run: what is written at once.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BlobId, Entry, Item, RunLogError, StoreError};

/// The newest format of frames that is known.
const FRAME_FORMAT: u8 = 1;

/// Bytes before the JSON of a frame: its format and its link in the chain.
const HEAD: usize = 1 + Chain::LEN;

/// The link of a frame: a hash over the link before it, its position and its bytes. A frame that was changed, moved, left
/// out or taken from another run breaks it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Chain([u8; Self::LEN]);

impl Chain {
    const LEN: usize = 16;

    /// The link before the first frame of a run.
    pub(crate) fn start(run: &str) -> Self {
        Self::cut(&blake3::hash(run.as_bytes()))
    }

    fn next(self, at: u64, format: u8, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(&at.to_le_bytes()).update(&[format]).update(body);
        Self::cut(&hasher.finalize())
    }

    fn cut(hash: &blake3::Hash) -> Self {
        let mut link = [0; Self::LEN];
        link.copy_from_slice(&hash.as_bytes()[..Self::LEN]);
        Self(link)
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id: BlobId = format!("{text}{text}").parse().ok()?;
        let mut link = [0; Self::LEN];
        link.copy_from_slice(&id.as_bytes()[..Self::LEN]);
        Some(Self(link))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One commit of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// The token of the lease that it was written under. Never goes back.
    pub epoch: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// A number that no event of this run has had before this frame: whoever goes on after a crash begins there.
    #[serde(default)]
    pub next_seq: u64,
    /// What happened, in order.
    pub items: Vec<Item>,
}

impl Frame {
    /// Its bytes at position `at` after the link `chain`, and its own link.
    pub(crate) fn encode(&self, chain: Chain, at: u64) -> Result<(Bytes, Chain), RunLogError> {
        let mut bytes = vec![0; HEAD];
        serde_json::to_writer(&mut bytes, self).map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        let link = chain.next(at, FRAME_FORMAT, &bytes[HEAD..]);
        bytes[0] = FRAME_FORMAT;
        bytes[1..HEAD].copy_from_slice(&link.0);
        Ok((Bytes::from(bytes), link))
    }

    /// Which links the frame after a damaged one may follow: the one that the damaged frame says it has, and the one that its
    /// bytes give after one of the links `before`.
    pub(crate) fn links_past(entry: &Entry, before: &[Chain]) -> Vec<Chain> {
        let told = entry.body.get(1..HEAD).and_then(|link| link.try_into().ok()).map(Chain);
        let (Some(told), Some(body)) = (told, entry.body.get(HEAD..)) else { return Vec::new() };
        let given = before.iter().map(|chain| chain.next(entry.at, entry.body[0], body));
        std::iter::once(told).chain(given).collect()
    }

    /// The frame that an entry holds, and its link; `chain` is the link before it, where it is known.
    pub(crate) fn decode(run: &str, entry: &Entry, chain: Option<Chain>) -> Result<(Self, Chain), RunLogError> {
        let corrupt = |message: String| RunLogError::Corrupt { run: run.to_owned(), at: entry.at, message };
        let Some((&format, rest)) = entry.body.split_first() else {
            return Err(corrupt("the frame is empty".to_owned()));
        };
        if rest.len() < Chain::LEN {
            return Err(corrupt("the frame is cut".to_owned()));
        }
        let (link, body) = rest.split_at(Chain::LEN);
        let mut told = [0; Chain::LEN];
        told.copy_from_slice(link);
        let told = Chain(told);
        if chain.is_some_and(|chain| chain.next(entry.at, format, body) != told) {
            return Err(corrupt(
                "its bytes, or those of the frame before it, are not those that were written".to_owned(),
            ));
        }
        // Only now, so that a damaged byte is not taken for a newer format.
        if format != FRAME_FORMAT {
            let (found, supported) = (u32::from(format), u32::from(FRAME_FORMAT));
            return Err(StoreError::UnsupportedFormat { subject: format!("run {run}"), found, supported }.into());
        }
        let frame = serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))?;
        Ok((frame, told))
    }
}
