//! Sealing bytes for the place they are put.

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::EncryptionKey;
use crate::{BlobId, Key, StoreError};

/// The first byte of everything that is sealed.
const FORM: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Where sealed bytes belong. Bytes that were moved elsewhere cannot be opened there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// The value of a record, with when it is due.
    Record(&'a Key, Option<u64>),
    /// An entry of a log. Its position is not part of this, as the writer need not know it.
    Entry(&'a Key),
    /// A blob, by the id it is stored under.
    Blob(&'a BlobId),
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        let named = |kind: u8, key: &Key| {
            // A space has no slash, so the first one ends it.
            [&[FORM, kind][..], key.space().as_bytes(), b"/", key.name().as_bytes()].concat()
        };
        match self {
            Self::Record(key, due_ms) => {
                let due = due_ms.map_or([0; 9], |due| {
                    let mut bytes = [1; 9];
                    bytes[1..].copy_from_slice(&due.to_le_bytes());
                    bytes
                });
                [&[FORM, b'r'][..], &due, key.space().as_bytes(), b"/", key.name().as_bytes()].concat()
            }
            Self::Entry(key) => named(b'e', key),
            Self::Blob(id) => [&[FORM, b'b'][..], id.as_bytes()].concat(),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(key, _) | Self::Entry(key) => key.fmt(f),
            Self::Blob(id) => write!(f, "blob {id}"),
        }
    }
}

/// Seals and opens.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    ids: Zeroizing<[u8; 32]>,
    check: Zeroizing<[u8; 32]>,
}

impl Sealer {
    /// By how many bytes a sealed blob is longer.
    pub(super) const OVERHEAD: u64 = (1 + NONCE + TAG) as u64;

    pub(super) fn new(key: &EncryptionKey) -> Self {
        let cipher = key.derive("atomr-agents 2026 state store contents");
        Self {
            cipher: XChaCha20Poly1305::new((&*cipher).into()),
            ids: key.derive("atomr-agents 2026 state store blob ids"),
            check: key.derive("atomr-agents 2026 state store key check"),
        }
    }

    /// The id that a blob is stored under: nobody without the key can say whether some content is there.
    pub(super) fn id(&self, id: &BlobId) -> BlobId {
        BlobId::from_bytes(*blake3::keyed_hash(&self.ids, id.as_bytes()).as_bytes())
    }

    /// What only this key makes of `salt`.
    pub(super) fn check(&self, salt: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.check, salt).as_bytes()
    }

    pub(super) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Bytes, StoreError> {
        let nonce: [u8; NONCE] = rand::random();
        let aad = place.bytes();
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| StoreError::Config {
            setting: "batch",
            message: format!("{place} is too large to be encrypted"),
        })?;
        let mut out = Vec::with_capacity(1 + NONCE + sealed.len());
        out.push(FORM);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out.into())
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Bytes, StoreError> {
        let damaged = || StoreError::Corrupt {
            subject: place.to_string(),
            message: "it cannot be decrypted: it was changed, moved, or not written through this encryption".to_owned(),
        };
        let (form, rest) = sealed.split_first().ok_or_else(damaged)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        if *form != FORM || body.len() < TAG {
            return Err(damaged());
        }
        let aad = place.bytes();
        let payload = Payload { msg: body, aad: &aad };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map(Bytes::from).map_err(|_| damaged())
    }

    /// Seals a body with the ids that its writer knows, as those in the store do not lead back to them.
    pub(super) fn seal_with(&self, place: Place<'_>, refs: &[BlobId], body: &[u8]) -> Result<Bytes, StoreError> {
        let count = u32::try_from(refs.len())
            .map_err(|_| StoreError::Config { setting: "batch", message: format!("{place} names too many blobs") })?;
        let mut plain = Zeroizing::new(Vec::with_capacity(4 + refs.len() * BlobId::LEN + body.len()));
        plain.extend_from_slice(&count.to_le_bytes());
        refs.iter().for_each(|id| plain.extend_from_slice(id.as_bytes()));
        plain.extend_from_slice(body);
        self.seal(place, &plain)
    }

    /// The body and the ids again, if the store names the same blobs.
    pub(super) fn open_with(
        &self,
        place: Place<'_>,
        stored: &[BlobId],
        sealed: &[u8],
    ) -> Result<(Bytes, Vec<BlobId>), StoreError> {
        let plain = self.open(place, sealed)?;
        let damaged = || StoreError::Corrupt {
            subject: place.to_string(),
            message: "the blobs it names are not those it was written with".to_owned(),
        };
        let (count, rest) = plain.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (ids, _) = rest.as_chunks::<{ BlobId::LEN }>();
        let count = u32::from_le_bytes(*count) as usize;
        let ids = ids.get(..count).ok_or_else(damaged)?;
        let refs: Vec<_> = ids.iter().map(|id| BlobId::from_bytes(*id)).collect();
        if !refs.iter().map(|id| self.id(id)).eq(stored.iter().copied()) {
            return Err(damaged());
        }
        Ok((plain.slice(4 + count * BlobId::LEN..), refs))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}
