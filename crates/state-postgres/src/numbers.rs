//! Ids as the database keeps them.

use atomr_agents_postgres::Server;
use atomr_agents_state::{BlobId, StoreError};
use tokio_postgres::Row;

/// The ids that were stored one behind the other.
pub(crate) fn ids(server: &Server, row: &Row, at: usize) -> Result<Vec<BlobId>, StoreError> {
    let bytes: &[u8] = row.try_get(at).map_err(|error| server.odd(error))?;
    let (ids, rest) = bytes.as_chunks::<{ BlobId::LEN }>();
    if rest.is_empty() {
        return Ok(ids.iter().copied().map(BlobId::from_bytes).collect());
    }
    Err(server.odd(format!("{} bytes are no whole ids", bytes.len())))
}
