//! Encryption at rest, for any store.
//!
//! What is hidden: values of records, bodies of entries, blobs, and which blob has which content. What is not: names, sizes,
//! versions, times, leases, and which entry needs which blob.

mod key;
mod seal;
mod store;
#[cfg(test)]
mod store_tests;

pub use key::EncryptionKey;
pub use store::EncryptedStore;
