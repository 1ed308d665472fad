//! Who may write, on the database's clock.

use std::time::Duration;

use atomr_agents_postgres::{Server, millis, number, number_or_none, signed};
use atomr_agents_state::{Key, Lease, Record, StoreError, Swept};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::reads::{key, record, without_nul};

/// The statements of the leases, and of the sweep.
#[derive(Debug)]
pub(crate) struct LeaseSql {
    acquire: String,
    renew: String,
    release: String,
    claim: String,
    sweep: String,
}

impl LeaseSql {
    pub(crate) fn new(server: &Server) -> Self {
        let of = |sql: &str| server.schema().of(sql);
        Self {
            acquire: of("SELECT * FROM SCHEMA.acquire($1, $2, $3, $4)"),
            renew: of("SELECT * FROM SCHEMA.renew($1, $2, $3, $4)"),
            release: of("SELECT SCHEMA.release($1, $2, $3)"),
            claim: of("SELECT * FROM SCHEMA.claim($1, $2, $3, $4)"),
            sweep: of("SELECT * FROM SCHEMA.sweep($1)"),
        }
    }
}

pub(crate) async fn acquire(
    server: &Server,
    sql: &LeaseSql,
    key: &Key,
    owner: &str,
    ttl: Duration,
) -> Result<Lease, StoreError> {
    checked(owner)?;
    let ttl = millis(ttl);
    let args = [
        (&key.space() as _, Type::TEXT),
        (&key.name() as _, Type::TEXT),
        (&owner as _, Type::TEXT),
        (&ttl as _, Type::INT8),
    ];
    let row = server.ask_one(&sql.acquire, &args).await?;
    let holder: String = row.try_get(3).map_err(|error| server.odd(error))?;
    if got(server, &row)? {
        let (token, until_ms) = (number(server, &row, 1)?, number(server, &row, 2)?);
        return Ok(Lease { key: key.clone(), owner: holder, token, until_ms });
    }
    // It may have run out while the answer was made.
    let left: i64 = row.try_get(2).map_err(|error| server.odd(error))?;
    Err(StoreError::Held { key: key.clone(), owner: holder, left_ms: u64::try_from(left).unwrap_or(0).max(1) })
}

pub(crate) async fn renew(server: &Server, sql: &LeaseSql, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
    let (token, ttl) = (signed(lease.token), millis(ttl));
    let args = [
        (&lease.key.space() as _, Type::TEXT),
        (&lease.key.name() as _, Type::TEXT),
        (&token as _, Type::INT8),
        (&ttl as _, Type::INT8),
    ];
    let row = server.ask_one(&sql.renew, &args).await?;
    if got(server, &row)? {
        return Ok(Lease { until_ms: number(server, &row, 2)?, ..lease.clone() });
    }
    let newest = number_or_none(server, &row, 1)?.unwrap_or(0);
    Err(StoreError::Fenced { key: lease.key.clone(), token: lease.token, newest })
}

pub(crate) async fn release(server: &Server, sql: &LeaseSql, lease: &Lease) -> Result<(), StoreError> {
    let token = signed(lease.token);
    let args = [(&lease.key.space() as _, Type::TEXT), (&lease.key.name() as _, Type::TEXT), (&token as _, Type::INT8)];
    server.ask(&sql.release, &args).await.map(|_| ())
}

pub(crate) async fn claim(
    server: &Server,
    sql: &LeaseSql,
    space: &str,
    owner: &str,
    ttl: Duration,
    limit: usize,
) -> Result<Vec<(Key, Record, Lease)>, StoreError> {
    checked(owner)?;
    let (asked, ttl, limit) = (without_nul(space), millis(ttl), signed(limit as u64));
    let args =
        [(&asked as _, Type::TEXT), (&owner as _, Type::TEXT), (&ttl as _, Type::INT8), (&limit as _, Type::INT8)];
    let rows = server.ask(&sql.claim, &args).await?;
    let claimed = rows.iter().map(|row| {
        let name: &str = row.try_get(0).map_err(|error| server.odd(error))?;
        let key = key(server, space, name)?;
        let (token, until_ms) = (number(server, row, 5)?, number(server, row, 6)?);
        let lease = Lease { key: key.clone(), owner: owner.to_owned(), token, until_ms };
        Ok((key, record(server, row, 1)?, lease))
    });
    claimed.collect()
}

pub(crate) async fn sweep(
    server: &Server,
    sql: &LeaseSql,
    grace: Duration,
    limit: Duration,
) -> Result<Swept, StoreError> {
    let grace = millis(grace);
    let rows = server.ask_for(limit, &sql.sweep, &[(&grace, Type::INT8)]).await?;
    let row = rows.first().ok_or_else(|| server.odd("no row"))?;
    Ok(Swept { blobs: number(server, row, 0)?, bytes: number(server, row, 1)? })
}

fn got(server: &Server, row: &Row) -> Result<bool, StoreError> {
    row.try_get(0).map_err(|error| server.odd(error))
}

fn checked(owner: &str) -> Result<(), StoreError> {
    if owner.contains('\0') {
        let message = "an owner has no NUL character in its name".to_owned();
        return Err(StoreError::Config { setting: "owner", message });
    }
    Ok(())
}
