//! The schema and its formats.

use atomr_agents_state::StoreError;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::schema::Schema;
use crate::server::{Patience, Server, TransactError};

/// The format in which the schema is; `None` where there is none of ours.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Config`] where the database's encoding is not UTF-8.
pub async fn found(server: &Server) -> Result<Option<u32>, StoreError> {
    found_within(server, &Patience::of(server.options().connect_timeout)).await
}

async fn found_within(server: &Server, patience: &Patience) -> Result<Option<u32>, StoreError> {
    server
        .transact(patience, async |client| {
            check_encoding(client, server.place()).await?;
            format(client, server.schema()).await
        })
        .await
}

/// Sees to it that the schema is there in the format of today, which is the number of `steps`.
///
/// Each step brings a schema from one format to the next, and the first makes it; `SCHEMA` in it stands for the schema's quoted
/// name. One that was released is never changed. Whoever does it at the same time waits and then finds everything done.
///
/// # Errors
/// [`StoreError::UnsupportedFormat`] for a newer schema; [`StoreError::Config`] for one that is missing or old where nothing
/// may be made ([`crate::ServerOptions::migrate`]); what the database says.
pub async fn open(server: &Server, steps: &[&str]) -> Result<(), StoreError> {
    let patience = Patience::of(server.options().connect_timeout);
    let newest = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let subject = || format!("schema {:?} in {}", server.schema().name(), server.place());
    match found_within(server, &patience).await? {
        Some(found) if found == newest => Ok(()),
        Some(found) if found > newest => {
            Err(StoreError::UnsupportedFormat { subject: subject(), found, supported: newest })
        }
        _ if server.options().migrate => {
            server.transact(&patience, async |client| migrate(client, server, steps).await).await
        }
        Some(found) => {
            let message = format!("{} has format {found}, {newest} is needed", subject());
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

async fn migrate(client: &mut Client, server: &Server, steps: &[&str]) -> Result<(), TransactError> {
    let schema = server.schema();
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
    for (at, step) in steps.iter().enumerate().skip(found as usize) {
        transaction.batch_execute(&schema.of(step)).await?;
        let version = i32::try_from(at + 1).unwrap_or(i32::MAX);
        let note = schema.of("INSERT INTO SCHEMA.format VALUES ($1, now())");
        transaction.query_typed(&note, &[(&version, Type::INT4)]).await?;
    }
    transaction.commit().await?;
    Ok(())
}
