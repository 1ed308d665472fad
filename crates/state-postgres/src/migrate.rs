//! The schema and its formats.

use atomr_agents_state::StoreError;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::options::Schema;
use crate::server::{Patience, Server, TransactError};

/// What brings a schema from one format to the next; the first makes it. One that was released is never changed.
const STEPS: &[&str] = &[include_str!("schema/v1.sql")];

/// The format that this version writes.
#[allow(clippy::cast_possible_truncation, reason = "there are a handful of formats")]
pub(crate) const FORMAT: u32 = STEPS.len() as u32;

/// Sees to it that the schema is there in the format of this version.
pub(crate) async fn open(server: &Server) -> Result<(), StoreError> {
    let patience = Patience::of(server.options.connect_timeout);
    let found = server
        .transact(&patience, async |client| {
            check_encoding(client, &server.place).await?;
            format(client, &server.schema).await
        })
        .await?;
    let subject = || format!("schema {:?} in {}", server.schema.name(), server.place);
    match found {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => {
            Err(StoreError::UnsupportedFormat { subject: subject(), found, supported: FORMAT })
        }
        _ if server.options.migrate => server.transact(&patience, async |client| migrate(client, server).await).await,
        Some(found) => {
            let message = format!("{} has format {found}, {FORMAT} is needed", subject());
            Err(StoreError::Config { setting: "migrate", message })
        }
        None => Err(StoreError::Config { setting: "migrate", message: format!("there is no {}", subject()) }),
    }
}

async fn check_encoding(client: &Client, place: &str) -> Result<(), TransactError> {
    let row = client.query_typed_one("SELECT current_setting('server_encoding')", &[]).await?;
    let encoding: String = row.try_get(0)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let message = format!("{place} has the encoding {encoding}, not UTF8");
    Err(StoreError::Config { setting: "dsn", message }.into())
}

/// The format of the schema; `None` where there is no schema of ours.
async fn format(client: &Client, schema: &Schema) -> Result<Option<u32>, TransactError> {
    // The catalogue as of now: `to_regclass` would answer from what this session has looked up before.
    let sql =
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = 'format')";
    let there = client.query_typed_one(sql, &[(&schema.name(), Type::TEXT)]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let row = client.query_typed_one(&schema.of("SELECT COALESCE(max(version), 0) FROM SCHEMA.format"), &[]).await?;
    let version: i32 = row.try_get(0)?;
    Ok(Some(u32::try_from(version).unwrap_or(0)))
}

async fn migrate(client: &mut Client, server: &Server) -> Result<(), TransactError> {
    let schema = &server.schema;
    let transaction = client.transaction().await?;
    // Who comes second waits here and then finds everything done.
    let lock = format!("atomr-agents schema {}", schema.name());
    transaction.query_typed("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", &[(&lock, Type::TEXT)]).await?;
    let found = format(transaction.client(), schema).await?.unwrap_or(0);
    if found == 0 {
        let there = transaction
            .query_typed_one(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
                &[(&schema.name(), Type::TEXT)],
            )
            .await?;
        if !there.try_get::<_, bool>(0)? {
            transaction.batch_execute(&schema.of("create schema SCHEMA")).await?;
        }
        let table = "CREATE TABLE IF NOT EXISTS SCHEMA.format (version int PRIMARY KEY, made timestamptz NOT NULL)";
        transaction.batch_execute(&schema.of(table)).await?;
    }
    for (at, step) in STEPS.iter().enumerate().skip(found as usize) {
        transaction.batch_execute(&schema.of(step)).await?;
        let version = i32::try_from(at + 1).unwrap_or(i32::MAX);
        let note = schema.of("INSERT INTO SCHEMA.format VALUES ($1, now())");
        transaction.query_typed(&note, &[(&version, Type::INT4)]).await?;
    }
    transaction.commit().await?;
    Ok(())
}
