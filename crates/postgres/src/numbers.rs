//! Numbers as the database keeps them.

use std::time::Duration;

use atomr_agents_state::StoreError;
use tokio_postgres::Row;

use crate::server::Server;

/// As a `bigint`. What is beyond it (a time in 292 million years, a position that no log reaches) is as good as the last.
#[must_use]
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Milliseconds that can be added to a time without leaving a `bigint`.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// A number of a row; it is never negative.
///
/// # Errors
/// [`StoreError::Corrupt`] where it is, or is no number.
pub fn number(server: &Server, row: &Row, at: usize) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(at).map_err(|error| server.odd(error))?;
    u64::try_from(number).map_err(|_| server.odd(format!("{number} is negative")))
}

/// As [`number`], where there may be none.
///
/// # Errors
/// As [`number`].
pub fn number_or_none(server: &Server, row: &Row, at: usize) -> Result<Option<u64>, StoreError> {
    let number: Option<i64> = row.try_get(at).map_err(|error| server.odd(error))?;
    number.map(|number| u64::try_from(number).map_err(|_| server.odd(format!("{number} is negative")))).transpose()
}
