//! Checksums of rows.

use atomr_agents_state::BlobId;

/// Eight bytes of a hash over where a row is and what it says. It finds accidents, not forgers.
#[derive(Debug)]
pub(crate) struct Sum(blake3::Hasher);

impl Sum {
    pub(crate) fn of(table: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(table.as_bytes());
        Self(hasher)
    }

    /// One more column, with its length, so that no two rows look alike.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn end(self) -> i64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        i64::from_le_bytes(first)
    }
}

/// Ids one after the other, or nothing.
pub(crate) fn pack(refs: &[BlobId]) -> Option<Vec<u8>> {
    if refs.is_empty() { None } else { Some(refs.iter().flat_map(|id| *id.as_bytes()).collect()) }
}

/// The ids again; `None` if they are no whole number of ids.
pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<BlobId>> {
    let (ids, rest) = packed.as_chunks::<{ BlobId::LEN }>();
    rest.is_empty().then(|| ids.iter().map(|id| BlobId::from_bytes(*id)).collect())
}
