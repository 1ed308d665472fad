//! The key.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::StoreError;

/// The 32 bytes that a store is encrypted with. They are never shown, and overwritten when the last clone is dropped.
///
/// ```
/// use atomr_agents_state::EncryptionKey;
///
/// let key = EncryptionKey::from_hex(&"0f".repeat(32)).unwrap();
/// assert_eq!(format!("{key:?}"), "EncryptionKey");
/// assert!(EncryptionKey::from_hex("0f").is_err());
/// ```
#[derive(Clone)]
pub struct EncryptionKey(Arc<Zeroizing<[u8; 32]>>);

impl EncryptionKey {
    /// These bytes. They must come from a generator of random keys: a password is none.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// 64 hexadecimal digits, as `openssl rand -hex 32` writes them; white space around them does not count.
    ///
    /// # Errors
    /// [`StoreError::Config`] for anything else. The text is not repeated.
    pub fn from_hex(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::Config {
            setting: "encryption_key",
            message: "a key is 64 hexadecimal digits (32 bytes)".to_owned(),
        };
        let digits = text.trim().as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(bad());
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).ok_or_else(bad)? << 4 | digit(*low).ok_or_else(bad)?;
        }
        Ok(Self(Arc::new(bytes)))
    }

    /// A key for one purpose.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, self.0.as_slice()))
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey")
    }
}
